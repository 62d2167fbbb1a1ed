//! Element types of foreign arrays, and their reading as f32.

use half::{bf16, f16};

/// Type of the numbers of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// IEEE half precision.
    F16,
    /// The upper half of an f32.
    Bf16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
    /// Signed integer of this many bytes.
    Int(u8),
    /// Unsigned integer of this many bytes.
    Uint(u8),
    /// One byte, 0 or 1.
    Bool,
}

impl Element {
    /// Of a NumPy type code without its byte order: `f4`, `i8`, `b1`, …
    #[must_use]
    pub fn from_numpy(code: &str) -> Option<Self> {
        Some(match code {
            "f2" => Self::F16,
            "f4" => Self::F32,
            "f8" => Self::F64,
            "i1" | "i2" | "i4" | "i8" => Self::Int(code.as_bytes()[1] - b'0'),
            "u1" | "u2" | "u4" | "u8" => Self::Uint(code.as_bytes()[1] - b'0'),
            "b1" => Self::Bool,
            _ => return None,
        })
    }

    /// Of a name as safetensors spell it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::F16, Self::Bf16, Self::F32, Self::F64, Self::Bool];
        let integers = [1, 2, 4, 8].into_iter().flat_map(|n| [Self::Int(n), Self::Uint(n)]);
        all.into_iter().chain(integers).find(|element| element.name() == name)
    }

    /// Name as safetensors spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::F32 => "F32",
            Self::F64 => "F64",
            Self::Bool => "BOOL",
            Self::Int(1) => "I8",
            Self::Int(2) => "I16",
            Self::Int(4) => "I32",
            Self::Int(_) => "I64",
            Self::Uint(1) => "U8",
            Self::Uint(2) => "U16",
            Self::Uint(4) => "U32",
            Self::Uint(_) => "U64",
        }
    }

    /// Bytes of one number.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Int(n) | Self::Uint(n) => usize::from(n),
        }
    }

    /// The number in `bytes` (`[size()]`, in the order of `big_endian`), rounded to f32.
    #[must_use]
    pub fn read(self, bytes: &[u8], big_endian: bool) -> f32 {
        let mut raw = [0; 8];
        for (i, to) in raw.iter_mut().take(self.size()).enumerate() {
            let from = if big_endian { self.size() - 1 - i } else { i };
            *to = bytes.get(from).copied().unwrap_or_default();
        }
        let bits = u64::from_le_bytes(raw);
        match self {
            Self::F16 => f16::from_bits(bits as u16).to_f32(),
            Self::Bf16 => bf16::from_bits(bits as u16).to_f32(),
            Self::F32 => f32::from_bits(bits as u32),
            Self::F64 => f64::from_bits(bits) as f32,
            Self::Int(n) => {
                // The sign bit moves to the top and comes back down as a sign.
                let shift = 64 - 8 * u32::from(n);
                ((bits << shift) as i64 >> shift) as f32
            }
            Self::Uint(_) | Self::Bool => bits as f32,
        }
    }
}

/// An array inside a file: numbers, and how they are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrayView<'a> {
    /// Type of the numbers.
    pub element: Element,
    /// Byte order.
    pub big_endian: bool,
    /// Sizes of the axes.
    pub shape: Vec<usize>,
    /// True when the first axis moves fastest.
    pub fortran: bool,
    /// The numbers, exactly as many as the shape says.
    pub bytes: &'a [u8],
}

impl ArrayView<'_> {
    /// `[rows, columns]` of an array of one axis (one row) or two; `None` for every other.
    #[must_use]
    pub fn matrix_shape(&self) -> Option<(usize, usize)> {
        match *self.shape {
            [columns] => Some((1, columns)),
            [rows, columns] => Some((rows, columns)),
            _ => None,
        }
    }

    /// Copies row `row` of the matrix into `out`; numbers that are not there read as 0.
    pub fn copy_row(&self, row: usize, out: &mut [f32]) {
        let (rows, columns) = self.matrix_shape().unwrap_or_default();
        let (start, step) = if self.fortran && self.shape.len() == 2 { (row, rows) } else { (row * columns, 1) };
        let size = self.element.size();
        for (i, value) in out.iter_mut().enumerate() {
            let at = (start + i * step) * size;
            *value = self.bytes.get(at..at + size).map_or(0.0, |bytes| self.element.read(bytes, self.big_endian));
        }
    }
}

/// Number of elements of a shape; `None` beyond the address space.
#[must_use]
pub fn n_elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_its_own_bytes_in_both_orders() {
        let cases: [(Element, Vec<u8>, f32); 9] = [
            (Element::F16, f16::from_f32(-1.5).to_le_bytes().to_vec(), -1.5),
            (Element::Bf16, bf16::from_f32(3.0).to_le_bytes().to_vec(), 3.0),
            (Element::F32, 0.1f32.to_le_bytes().to_vec(), 0.1),
            (Element::F64, 0.1f64.to_le_bytes().to_vec(), 0.1),
            (Element::Int(1), vec![0xff], -1.0),
            (Element::Int(4), (-70_000i32).to_le_bytes().to_vec(), -70_000.0),
            (Element::Int(8), (-3i64).to_le_bytes().to_vec(), -3.0),
            (Element::Uint(2), 65_535u16.to_le_bytes().to_vec(), 65_535.0),
            (Element::Bool, vec![1], 1.0),
        ];
        for (element, mut bytes, expected) in cases {
            assert_eq!(bytes.len(), element.size());
            assert_eq!(element.read(&bytes, false), expected, "{element:?}");
            bytes.reverse();
            assert_eq!(element.read(&bytes, true), expected, "{element:?}");
        }
    }

    #[test]
    fn rows_of_both_orders_are_the_same() {
        let c: Vec<u8> = (0..6).collect();
        let fortran = [0, 3, 1, 4, 2, 5];
        let view = |bytes, fortran| ArrayView {
            element: Element::Uint(1),
            big_endian: false,
            shape: vec![2, 3],
            fortran,
            bytes,
        };
        for view in [view(&c[..], false), view(&fortran[..], true)] {
            let mut row = [0.0; 3];
            view.copy_row(1, &mut row);
            assert_eq!(row, [3.0, 4.0, 5.0]);
        }
    }
}
