//! Looking at what was pickled.

use super::value::{At, Node};
use crate::weights::elements::{ArrayView, Element, n_elements};

/// One value of a pickle.
#[derive(Debug, Clone, Copy)]
pub struct View<'p> {
    nodes: &'p [Node<'p>],
    at: At,
}

/// A PyTorch tensor: where its numbers lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorView {
    /// Type of the numbers.
    pub element: Element,
    /// Name of the storage in its file.
    pub key: String,
    /// Elements of the storage.
    pub storage_len: usize,
    /// First element.
    pub offset: usize,
    /// Sizes of the axes.
    pub shape: Vec<usize>,
    /// Elements from one to the next along each axis.
    pub strides: Vec<usize>,
}

impl TensorView {
    /// Number of elements.
    #[must_use]
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// True when the elements lie one after the other in row-major order.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        let mut step = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == step;
            step *= size;
            fits
        })
    }
}

impl<'p> View<'p> {
    pub(super) fn new(nodes: &'p [Node<'p>], at: At) -> Self {
        Self { nodes, at }
    }

    fn node(self) -> &'p Node<'p> {
        self.nodes.get(self.at as usize).unwrap_or(&Node::None)
    }

    fn to(self, at: At) -> Self {
        Self { at, ..self }
    }

    /// What Python calls its type.
    #[must_use]
    pub fn kind(self) -> &'static str {
        self.node().kind()
    }

    /// A text.
    #[must_use]
    pub fn as_str(self) -> Option<&'p str> {
        match self.node() {
            Node::Str(text) => Some(text),
            _ => None,
        }
    }

    /// An integer of at most 64 bits.
    #[must_use]
    pub fn as_int(self) -> Option<i64> {
        match self.node() {
            Node::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// True or False.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self.node() {
            Node::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// A number: float, integer, bool, or an array of one element without axes.
    #[must_use]
    pub fn as_f32(self) -> Option<f32> {
        match self.node() {
            Node::Float(x) => Some(*x as f32),
            Node::Int(n) => Some(*n as f32),
            Node::Bool(b) => Some(f32::from(u8::from(*b))),
            Node::Array { shape, .. } if shape.is_empty() => {
                let array = self.as_array()?;
                Some(array.element.read(array.bytes, array.big_endian))
            }
            _ => None,
        }
    }

    /// The items of a list, a tuple or a set.
    #[must_use]
    pub fn items(self) -> Option<impl ExactSizeIterator<Item = View<'p>>> {
        match self.node() {
            Node::List(items) | Node::Tuple(items) | Node::Set(items) => {
                Some(items.iter().map(move |&item| self.to(item)))
            }
            _ => None,
        }
    }

    /// Keys and values of a dict, or attributes of a namespace, in order.
    #[must_use]
    pub fn entries(self) -> Option<impl ExactSizeIterator<Item = (View<'p>, View<'p>)>> {
        match self.node() {
            Node::Dict(entries) | Node::Namespace(entries) => {
                Some(entries.iter().map(move |&(key, value)| (self.to(key), self.to(value))))
            }
            _ => None,
        }
    }

    /// The value of a text key of a dict; the last one, as in Python.
    #[must_use]
    pub fn get(self, key: &str) -> Option<View<'p>> {
        self.entries()?.filter(|(found, _)| found.as_str() == Some(key)).last().map(|(_, value)| value)
    }

    /// A NumPy array of numbers whose bytes are all there.
    #[must_use]
    pub fn as_array(self) -> Option<ArrayView<'p>> {
        let Node::Array { dtype, shape, fortran, bytes: Some(bytes) } = self.node() else { return None };
        let (Node::Dtype { element: Some(element), big_endian }, Node::Bytes(bytes)) =
            (self.to(*dtype).node(), self.to(*bytes).node())
        else {
            return None;
        };
        let whole = n_elements(shape)?.checked_mul(element.size())? == bytes.len();
        whole.then(|| ArrayView {
            element: *element,
            big_endian: *big_endian,
            shape: shape.clone(),
            fortran: *fortran,
            bytes,
        })
    }

    /// True of a PyTorch tensor, sound or not.
    #[must_use]
    pub fn is_tensor(self) -> bool {
        matches!(self.node(), Node::Tensor { .. })
    }

    /// A PyTorch tensor that stays inside its storage and has no more elements than it.
    #[must_use]
    pub fn as_tensor(self) -> Option<TensorView> {
        let Node::Tensor { storage, offset, shape, strides } = self.node() else { return None };
        let Node::Storage { element, key, len } = self.to(*storage).node() else { return None };
        let elements = n_elements(shape)?;
        let mut end = *offset;
        for (&size, &stride) in shape.iter().zip(strides) {
            end = end.checked_add(size.saturating_sub(1).checked_mul(stride)?)?;
        }
        let inside = shape.len() == strides.len() && elements <= *len && (elements == 0 || end < *len);
        inside.then(|| TensorView {
            element: *element,
            key: (*key).to_owned(),
            storage_len: *len,
            offset: *offset,
            shape: shape.clone(),
            strides: strides.clone(),
        })
    }
}
