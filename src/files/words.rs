//! Numbers and arrays of plain data as bytes, one after the other, for notes that the same machine reads back.

use bytemuck::Pod;

/// Bytes being written.
#[derive(Default)]
pub(crate) struct WordWriter(Vec<u8>);

impl WordWriter {
    pub fn number(&mut self, x: u64) {
        self.0.extend(x.to_le_bytes());
    }

    /// An array with its length.
    pub fn array<T: Pod>(&mut self, values: &[T]) {
        self.number(values.len() as u64);
        self.0.extend_from_slice(bytemuck::cast_slice(values));
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// What is left to read of such bytes. Nothing is taken on trust: what ends too early is `None`.
pub(crate) struct Words<'a>(pub &'a [u8]);

impl Words<'_> {
    pub fn number(&mut self) -> Option<u64> {
        let (word, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*word))
    }

    pub fn array<T: Pod>(&mut self) -> Option<Vec<T>> {
        let n = self.number()?;
        let len = usize::try_from(n).ok()?.checked_mul(size_of::<T>())?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytemuck::pod_collect_to_vec(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back_and_nothing_shorter() {
        let mut writer = WordWriter::default();
        writer.number(7);
        writer.array(&[1.5f32, -0.0]);
        writer.array::<u64>(&[]);
        let bytes = writer.finish();
        let read = |bytes: &[u8]| {
            let mut words = Words(bytes);
            Some((words.number()?, words.array::<f32>()?, words.array::<u64>()?))
        };
        assert_eq!(read(&bytes), Some((7, vec![1.5, -0.0], vec![])));
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]), None);
        }
        let mut huge = WordWriter::default();
        huge.number(u64::MAX);
        assert_eq!(Words(&huge.finish()).array::<f64>(), None);
    }
}
