//! The list of harmless names: what they stand for, and nothing is ever called that is not written here.

use crate::weights::elements::Element;

/// A name that a pickle may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    /// `collections.OrderedDict`, read as a dict.
    OrderedDict,
    /// `argparse.Namespace`, read as a container of its attributes.
    Namespace,
    /// `_codecs.encode`: bytes, as Python 3 writes them for Python 2.
    Encode,
    /// Makes an empty array that a state then fills.
    ReconstructArray,
    /// `numpy.ndarray`, as an argument only.
    NdArray,
    /// `numpy.dtype`.
    Dtype,
    /// One number with a NumPy type.
    Scalar,
    /// An array from a buffer (protocol 5).
    FromBuffer,
    /// A tensor from a storage.
    RebuildTensor,
    /// A parameter: a tensor with a name of its own.
    RebuildParameter,
    /// A kind of storage.
    Storage(Element),
}

impl Global {
    /// What `module.name` stands for; `None` for every name that is not on the list.
    pub fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("argparse", "Namespace") => Self::Namespace,
            ("_codecs", "encode") => Self::Encode,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Self::ReconstructArray,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Self::Scalar,
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Self::FromBuffer,
            ("numpy", "ndarray") => Self::NdArray,
            ("numpy", "dtype") => Self::Dtype,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", storage) => Self::Storage(storage_element(storage)?),
            _ => return None,
        })
    }
}

fn storage_element(name: &str) -> Option<Element> {
    Some(match name.strip_suffix("Storage")? {
        "Half" => Element::F16,
        "BFloat16" => Element::Bf16,
        "Float" => Element::F32,
        "Double" => Element::F64,
        "Char" => Element::Int(1),
        "Short" => Element::Int(2),
        "Int" => Element::Int(4),
        "Long" => Element::Int(8),
        "Byte" => Element::Uint(1),
        "Bool" => Element::Bool,
        _ => return None,
    })
}
