//! The figures: each is drawn from the evaluation and brings its numbers along.

pub mod confusion;
pub mod curves;
pub mod forest;
pub mod gate;
pub mod histogram;
pub mod histories;
pub mod network;
pub mod reliability;
pub mod scatter;
pub mod series;

use super::plot::Panel;
use super::tsv::Tsv;

/// A figure before it has a number.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Name of its TSV file and anchor in the page.
    pub id: &'static str,
    /// Bold part of the caption.
    pub title: String,
    /// Rest of the caption.
    pub caption: String,
    /// Class of the grid that holds the panels.
    pub layout: &'static str,
    /// The drawings.
    pub panels: Vec<Panel>,
    /// What lines and marks mean.
    pub legend: Vec<Key>,
    /// The numbers.
    pub numbers: Tsv,
}

/// One entry of a legend.
#[derive(Debug, Clone)]
pub struct Key {
    /// How it is drawn.
    pub swatch: Swatch,
    /// What it means.
    pub text: String,
}

/// How a legend entry looks.
#[derive(Debug, Clone)]
pub enum Swatch {
    /// A line of this class.
    Line(String),
    /// A round dot of this class.
    Dot(String),
    /// A square of this class.
    Square(String),
}

impl Key {
    /// An entry.
    pub fn new(swatch: Swatch, text: impl Into<String>) -> Self {
        Self { swatch, text: text.into() }
    }
}
