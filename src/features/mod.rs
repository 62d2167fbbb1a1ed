//! Encoders without weights: RNA k-mers and the protein conjoint triad.
