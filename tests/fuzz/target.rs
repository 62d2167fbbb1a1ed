//! What is fuzzed.

/// A reader, and what its input looks like.
pub struct Target {
    pub name: &'static str,
    /// Reads the bytes to their end; true when nothing was refused.
    pub read: fn(&[u8]) -> bool,
    /// Sound inputs beside those of the corpus, made here where they are binary.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What the format is made of.
    pub words: &'static [&'static [u8]],
    /// Makes checksums and the like fit the bytes again, so that what is behind them is reached; done to half the cases.
    pub mend: Option<fn(Vec<u8>) -> Vec<u8>>,
}
