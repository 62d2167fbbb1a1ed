//! The numbers of a figure as a TSV table.

use std::fmt::Write;

/// A table with a header line.
#[derive(Debug, Clone)]
pub struct Tsv {
    out: String,
    n_columns: usize,
}

impl Tsv {
    /// A table with these columns and no rows yet.
    pub fn new(columns: &[&str]) -> Self {
        Self { out: columns.join("\t") + "\n", n_columns: columns.len() }
    }

    /// Adds a row; tabs and line ends inside a cell become blanks.
    pub fn row(&mut self, cells: &[String]) {
        debug_assert_eq!(cells.len(), self.n_columns, "a row has as many cells as the header");
        for (i, cell) in cells.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\t" };
            // Writing into a string cannot fail.
            let _ = write!(self.out, "{separator}{}", cell.replace(['\t', '\n', '\r'], " "));
        }
        self.out.push('\n');
    }

    /// The file.
    pub fn into_text(self) -> String {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::Tsv;

    #[test]
    fn cells_cannot_break_the_table() {
        let mut tsv = Tsv::new(&["id", "n"]);
        tsv.row(&["a\tb\nc".to_owned(), "1".to_owned()]);
        assert_eq!(tsv.into_text(), "id\tn\na b c\t1\n");
    }
}
