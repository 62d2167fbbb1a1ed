//! What the machine builds: nodes that name each other by number, since pickles share and nest without limit.

use std::borrow::Cow;

use super::globals::Global;
use crate::weights::elements::Element;

/// Number of a node.
pub(super) type At = u32;

/// One value.
#[derive(Debug, Clone)]
pub(super) enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits, of which nothing here has a use.
    HugeInt,
    Float(f64),
    Str(&'a str),
    Bytes(Cow<'a, [u8]>),
    List(Vec<At>),
    Tuple(Vec<At>),
    Set(Vec<At>),
    Dict(Vec<(At, At)>),
    /// Attributes by name.
    Namespace(Vec<(At, At)>),
    Global(Global),
    /// A NumPy type; `None` for one that is not a number.
    Dtype {
        element: Option<Element>,
        big_endian: bool,
    },
    /// A NumPy array; its bytes are a node, absent until its state is set.
    Array {
        dtype: At,
        shape: Vec<usize>,
        fortran: bool,
        bytes: Option<At>,
    },
    /// A PyTorch storage: numbers in the file `key` beside the pickle.
    Storage {
        element: Element,
        key: &'a str,
        len: usize,
    },
    /// A PyTorch tensor: part of a storage. Sizes in elements.
    Tensor {
        storage: At,
        offset: usize,
        shape: Vec<usize>,
        strides: Vec<usize>,
    },
}

impl Node<'_> {
    /// What Python calls it, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::HugeInt => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Set(_) => "set",
            Self::Dict(_) => "dict",
            Self::Namespace(_) => "Namespace",
            Self::Global(_) => "type",
            Self::Dtype { .. } => "numpy.dtype",
            Self::Array { .. } => "numpy.ndarray",
            Self::Storage { .. } => "torch.Storage",
            Self::Tensor { .. } => "torch.Tensor",
        }
    }
}
