//! One tensor of a checkpoint: typed numbers that stay where they are, usually in a mapped file.

use std::ops::Range;
use std::sync::Arc;

use half::{bf16, f16};

use super::elements::{Element, n_elements};

/// A tensor, row-major, of any float type; cheap to clone and to cut along its first axis.
#[derive(Clone)]
pub struct Tensor {
    name: Arc<str>,
    element: Element,
    shape: Vec<usize>,
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
}

/// The numbers of a tensor in the type in which they are stored.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// Half precision.
    F16(&'a [f16]),
    /// The upper halves of f32.
    Bf16(&'a [bf16]),
    /// Single precision.
    F32(&'a [f32]),
}

impl Tensor {
    /// The numbers in `range` of `owner`; `None` unless the type is f16, bf16 or f32, and the range is as long as the
    /// shape says, inside the owner and aligned for the type.
    pub fn new(
        name: &str,
        element: Element,
        shape: Vec<usize>,
        owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
        range: Range<usize>,
    ) -> Option<Self> {
        let floats = matches!(element, Element::F16 | Element::Bf16 | Element::F32);
        let bytes = (*owner).as_ref().get(range.clone())?;
        let aligned = (bytes.as_ptr() as usize).is_multiple_of(element.size());
        let whole = n_elements(&shape)?.checked_mul(element.size())? == bytes.len();
        (floats && whole && aligned).then(|| Self { name: name.into(), element, shape, owner, range })
    }

    /// A copy of little-endian `bytes`, which need no alignment; `None` as for [`new`](Self::new).
    #[must_use]
    pub fn copied(name: &str, element: Element, shape: Vec<usize>, bytes: &[u8]) -> Option<Self> {
        /// Whole words, so that the first number is aligned for every type.
        struct Words(Vec<u64>);
        impl AsRef<[u8]> for Words {
            fn as_ref(&self) -> &[u8] {
                bytemuck::cast_slice(&self.0)
            }
        }
        let mut words = vec![0u64; bytes.len().div_ceil(size_of::<u64>())];
        bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self::new(name, element, shape, Arc::new(Words(words)), 0..bytes.len())
    }

    /// A tensor of numbers in memory.
    ///
    /// # Panics
    /// When `values` is not as long as `shape` says.
    #[must_use]
    pub fn from_f32(name: &str, shape: &[usize], values: Vec<f32>) -> Self {
        struct Numbers(Vec<f32>);
        impl AsRef<[u8]> for Numbers {
            fn as_ref(&self) -> &[u8] {
                bytemuck::cast_slice(&self.0)
            }
        }
        let len = values.len() * Element::F32.size();
        Self::new(name, Element::F32, shape.to_vec(), Arc::new(Numbers(values)), 0..len)
            .expect("as many numbers as the shape says")
    }

    /// Name in its file, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Type of the stored numbers.
    #[must_use]
    pub fn element(&self) -> Element {
        self.element
    }
    /// Sizes of the axes.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }
    /// The stored bytes, little-endian.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &(*self.owner).as_ref()[self.range.clone()]
    }
    /// The stored numbers.
    #[must_use]
    pub fn values(&self) -> Values<'_> {
        match self.element {
            Element::F16 => Values::F16(bytemuck::cast_slice(self.bytes())),
            Element::Bf16 => Values::Bf16(bytemuck::cast_slice(self.bytes())),
            _ => Values::F32(bytemuck::cast_slice(self.bytes())),
        }
    }
    /// A copy of the numbers in f32.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        match self.values() {
            Values::F16(values) => values.iter().map(|x| x.to_f32()).collect(),
            Values::Bf16(values) => values.iter().map(|x| x.to_f32()).collect(),
            Values::F32(values) => values.to_vec(),
        }
    }
    /// The same numbers in half precision: itself where it is stored so.
    #[must_use]
    pub fn rounded_to_f16(&self) -> Self {
        struct Halves(Vec<f16>);
        impl AsRef<[u8]> for Halves {
            fn as_ref(&self) -> &[u8] {
                bytemuck::cast_slice(&self.0)
            }
        }
        let halves: Vec<f16> = match self.values() {
            Values::F16(_) => return self.clone(),
            Values::Bf16(values) => values.iter().map(|x| f16::from_f32(x.to_f32())).collect(),
            Values::F32(values) => values.iter().map(|&x| f16::from_f32(x)).collect(),
        };
        let range = 0..halves.len() * Element::F16.size();
        Self { element: Element::F16, owner: Arc::new(Halves(halves)), range, ..self.clone() }
    }
    /// Rows `rows` along the first axis, without a copy.
    ///
    /// # Panics
    /// When the rows are not there.
    #[must_use]
    pub fn rows(&self, rows: Range<usize>) -> Self {
        assert!(rows.start <= rows.end && rows.end <= self.shape[0], "rows {rows:?} of {:?}", self.shape);
        let row = self.shape[1..].iter().product::<usize>() * self.element.size();
        let range = self.range.start + rows.start * row..self.range.start + rows.end * row;
        let mut shape = self.shape.clone();
        shape[0] = rows.len();
        Self { shape, range, ..self.clone() }
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {:?}", self.name, self.element, self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_without_a_copy() {
        let tensor = Tensor::from_f32("w", &[3, 2], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let cut = tensor.rows(1..3);
        assert_eq!((cut.shape(), cut.to_f32()), (&[2, 2][..], vec![2.0, 3.0, 4.0, 5.0]));
        assert_eq!(cut.bytes().as_ptr(), tensor.bytes()[8..].as_ptr());
    }

    #[test]
    fn half_types_read_as_their_numbers() {
        let bytes: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect();
        let owner: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::new(bytes);
        let tensor = Tensor::new("h", Element::F16, vec![2], owner.clone(), 0..4).unwrap();
        assert_eq!(tensor.to_f32(), [1.5, -2.0]);
        assert_eq!(tensor.rounded_to_f16().bytes().as_ptr(), tensor.bytes().as_ptr());
        let rounded = Tensor::from_f32("w", &[2], vec![1.0 + 1e-4, 70_000.0]).rounded_to_f16();
        assert_eq!((rounded.element(), rounded.to_f32()), (Element::F16, vec![1.0, f32::INFINITY]));
        for (element, shape, range) in [
            (Element::F16, vec![3], 0..4),
            (Element::F16, vec![2], 0..6),
            (Element::F64, vec![1], 0..8),
            (Element::F16, vec![1], 1..3),
        ] {
            assert!(Tensor::new("h", element, shape, owner.clone(), range).is_none());
        }
    }
}
