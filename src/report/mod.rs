//! The report: one self-contained HTML file with inline SVG, and the numbers of every figure as TSV.
