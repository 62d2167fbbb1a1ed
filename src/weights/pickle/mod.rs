//! Reading Python pickles without Python.
//!
//! A pickle is a program. This reader runs none of it: its machine builds containers, numbers, strings, NumPy arrays
//! and PyTorch tensors, and nothing else. Every other name that a pickle asks for is refused by that name.

mod globals;
mod machine;
mod rebuild;
mod value;
mod view;

use std::path::Path;

use super::elements::Element;
use crate::error::{Error, Result};

pub use view::{TensorView, View};

use value::{At, Node};

/// A pickle that was read. Text and numbers stay where they are in its bytes.
#[derive(Debug)]
pub struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    root: At,
}

impl<'a> Pickle<'a> {
    /// Reads the binary protocols (2 to 5). Memory: at most a small multiple of `bytes`.
    ///
    /// # Errors
    /// [`Error::Format`] for bytes that are no whole pickle, for protocols 0 and 1, and for every name that is not on
    /// the list of harmless ones; nothing of a pickle is ever executed. `path` names it in messages.
    pub fn read(path: &Path, bytes: &'a [u8]) -> Result<Self> {
        Ok(Self::read_first(path, bytes)?.0)
    }

    /// Reads the first of several pickles that lie end to end, and tells its length.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_first(path: &Path, bytes: &'a [u8]) -> Result<(Self, usize)> {
        machine::run(bytes).map_err(|fault| {
            let help = match fault {
                Fault::Refused(_) => {
                    "nothing was executed; where you trust the file, convert it in Python with numpy.savez"
                }
                _ => "write it again with pickle.dump(OBJECT, FILE, protocol=4), or use numpy.savez",
            };
            Error::format(path, fault.to_string(), help)
        })
    }

    /// What was pickled.
    #[must_use]
    pub fn root(&self) -> View<'_> {
        View::new(&self.nodes, self.root)
    }

    /// Key and type of every PyTorch storage, in order of appearance.
    pub fn storages(&self) -> impl Iterator<Item = (&'a str, Element)> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Storage { element, key, .. } => Some((*key, *element)),
            _ => None,
        })
    }
}

/// Why a pickle cannot be read.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("refused: the pickle asks for '{0}', which is not on the list of harmless names")]
    Refused(String),
    #[error("not a pickle of protocol 2 to 5: {0}")]
    NotBinary(&'static str),
    #[error("damaged pickle: {0} at byte {1}")]
    Damaged(&'static str, usize),
}

#[cfg(test)]
mod tests;
