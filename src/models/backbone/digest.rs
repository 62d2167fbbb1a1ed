//! One pass over all weights: are they numbers, and what is their digest.

use std::path::Path;

use blake3::{Hash, Hasher};
use half::{bf16, f16};
use rayon::prelude::*;

use super::config::Network;
use crate::error::{Error, Result};
use crate::progress::check_interrupt;
use crate::weights::{Tensor, Values};

/// Digest of a network and its weights.
pub(super) struct WeightsDigest(Hasher);

impl WeightsDigest {
    pub fn new(network: &Network) -> Result<Self> {
        let text = serde_json::to_string(network)
            .map_err(|e| Error::data(format!("the configuration cannot be written as JSON: {e}"), "report this"))?;
        let mut hasher = Hasher::new();
        hasher.update(b"biollmnet backbone 1\n").update(text.as_bytes());
        Ok(Self(hasher))
    }

    /// Adds one tensor; the order is that of the network's layout.
    pub fn add(&mut self, name: &str, dtype: &str, shape: &[usize], numbers: &Hash) {
        self.0.update(format!("\n{name} {dtype} {shape:?} ").as_bytes()).update(numbers.as_bytes());
    }

    pub fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

/// Digest of the numbers of each tensor.
///
/// Every byte is read once, at the speed of memory where the files are cached, else of the disk.
///
/// # Errors
/// [`Error::Format`] for a tensor with NaN or an infinity; [`Error::Interrupted`].
pub(super) fn scan<'t>(tensors: &[(&'t Path, &'t str, Tensor)]) -> Result<Vec<Hash>> {
    let one = |(file, name, tensor): &(&Path, &str, Tensor)| {
        check_interrupt()?;
        require_finite(file, name, tensor)?;
        Ok(blake3::hash(tensor.bytes()))
    };
    tensors.par_iter().with_max_len(1).map(one).collect()
}

/// # Errors
/// [`Error::Format`] for a tensor with NaN or an infinity.
pub(super) fn require_finite(file: &Path, name: &str, tensor: &Tensor) -> Result<()> {
    // Branch-free over a block, so that it is done in vectors.
    const BLOCK: usize = 4096;
    let first = match tensor.values() {
        Values::F16(x) => first_block(x, BLOCK, |x: &f16| x.to_bits() & 0x7c00 == 0x7c00),
        Values::Bf16(x) => first_block(x, BLOCK, |x: &bf16| x.to_bits() & 0x7f80 == 0x7f80),
        Values::F32(x) => first_block(x, BLOCK, |x: &f32| x.to_bits() & 0x7f80_0000 == 0x7f80_0000),
    };
    match first {
        None => Ok(()),
        Some(at) => Err(Error::format(
            file,
            format!("the tensor '{name}' holds NaN or an infinity (first at element {at})"),
            "the weights are damaged: get the checkpoint again",
        )),
    }
}

fn first_block<T>(values: &[T], block: usize, is_bad: impl Fn(&T) -> bool) -> Option<usize> {
    let bad = |values: &[T]| values.iter().fold(false, |any, x| any | is_bad(x));
    let at = values.chunks(block).position(bad)? * block;
    values[at..].iter().position(is_bad).map(|i| at + i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_named_with_its_place() {
        let path = Path::new("m.safetensors");
        let mut values = vec![1.0f32; 10_000];
        assert!(require_finite(path, "w", &Tensor::from_f32("w", &[10_000], values.clone())).is_ok());
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            values[9_999] = bad;
            let error = require_finite(path, "w", &Tensor::from_f32("w", &[10_000], values.clone())).unwrap_err();
            assert!(error.to_string().contains("'w'") && error.to_string().contains("9999"), "{error}");
        }
        for (element, bits) in
            [(crate::weights::elements::Element::F16, 0x7e00u16), (crate::weights::elements::Element::Bf16, 0x7f80)]
        {
            let bytes = [0x3c00u16, bits].map(u16::to_le_bytes).concat();
            let tensor = Tensor::copied("h", element, vec![2], &bytes).unwrap();
            assert!(require_finite(path, "h", &tensor).is_err(), "{element:?}");
        }
    }
}
