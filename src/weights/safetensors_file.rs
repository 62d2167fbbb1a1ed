//! Safetensors files: a header of names, types, shapes and places, and the numbers behind it.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::elements::{Element, n_elements};
use crate::error::{Error, Result};

/// A header of the largest published model is about 100 kB.
const MOST_HEADER: usize = 100 << 20;
/// The length of the header stands before it.
const LENGTH: usize = size_of::<u64>();

/// One tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    /// Type as the file spells it.
    pub dtype: String,
    pub shape: Vec<usize>,
    /// Place in the file.
    pub range: Range<usize>,
}

/// The tensors of a file, by place. The numbers fill the file behind the header without gaps or overlaps.
///
/// # Errors
/// [`Error::Format`] that names the tensor.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Entry>> {
    let wrong = |reason: String| {
        Error::format(
            path,
            format!("not a whole safetensors file: {reason}"),
            "the file is damaged or cut short, or of another kind: get or make it again",
        )
    };
    let head: [u8; LENGTH] = bytes
        .first_chunk()
        .copied()
        .ok_or_else(|| wrong(format!("it has {} bytes, fewer than any header", bytes.len())))?;
    let length = usize::try_from(u64::from_le_bytes(head)).unwrap_or(usize::MAX);
    if length > MOST_HEADER {
        return Err(wrong(format!("a header of {length} bytes is beyond the {MOST_HEADER} of any model")));
    }
    let header = bytes.get(LENGTH..LENGTH + length);
    let header = header.ok_or_else(|| wrong(format!("its header of {length} bytes is cut short")))?;
    let Header(mut tensors) =
        serde_json::from_slice(header).map_err(|e| wrong(format!("its header is not readable: {e}")))?;
    tensors.sort_by_key(|(_, tensor)| tensor.data_offsets);
    let data = bytes.len() - LENGTH - length;
    let (mut end, mut entries) = (0, Vec::with_capacity(tensors.len()));
    for (name, Described { dtype, shape, data_offsets: (from, to) }) in tensors {
        if from != end || to < from {
            return Err(wrong(format!("the numbers of the tensor '{name}' overlap others or leave a gap")));
        }
        if to > data {
            return Err(wrong(format!("the tensor '{name}' ends at byte {to} of {data}: the file is cut short")));
        }
        // A type that is unknown here is no fault unless somebody asks for the tensor.
        let expected =
            Element::from_name(&dtype).map(|element| n_elements(&shape).and_then(|n| n.checked_mul(element.size())));
        if expected.is_some_and(|size| size != Some(to - from)) {
            return Err(wrong(format!("the tensor '{name}', {dtype} {shape:?}, has {} bytes", to - from)));
        }
        end = to;
        let start = LENGTH + length;
        entries.push(Entry { name, dtype, shape, range: start + from..start + to });
    }
    if end != data {
        return Err(wrong(format!("{} bytes follow the last tensor", data - end)));
    }
    let mut names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(wrong(format!("it has two tensors '{}'", pair[0]))),
        None => Ok(entries),
    }
}

#[derive(Deserialize)]
struct Described {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// Every tensor of a header, second ones of a name included.
struct Header(Vec<(String, Described)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("tensors by name")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut tensors = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        tensors.push((name, map.next_value()?));
                    }
                }
                Ok(Header(tensors))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Entry>> {
        parse(Path::new("m.safetensors"), bytes)
    }

    const GOOD: &str = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2,3],"data_offsets":[8,20]},
        "a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"none":{"dtype":"F32","shape":[0,7],"data_offsets":[20,20]}}"#;

    #[test]
    fn tensors_come_by_place() {
        let bytes = file(GOOD, 20);
        let entries = read(&bytes).unwrap();
        let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "none"]);
        assert_eq!((entries[1].range.len(), entries[1].range.end), (12, bytes.len()));
    }

    #[test]
    fn every_fault_names_the_tensor() {
        let one = |entry: &str, data| read(&file(&format!("{{\"x\":{entry}}}"), data)).unwrap_err().to_string();
        for (entry, data) in [
            (r#"{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#, 7),
            (r#"{"dtype":"F32","shape":[3],"data_offsets":[0,8]}"#, 8),
            (r#"{"dtype":"F32","shape":[2],"data_offsets":[4,12]}"#, 12),
            (r#"{"dtype":"F32","shape":[2],"data_offsets":[8,0]}"#, 8),
            (r#"{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}"#, 0),
            (r#"{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]}"#, 8),
        ] {
            let error = one(entry, data);
            assert!(error.contains("m.safetensors") && error.contains("'x'"), "{error}");
        }
        let twice = r#"{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
        assert!(read(&file(twice, 2)).unwrap_err().to_string().contains("two tensors 'x'"));
        assert!(read(&file(GOOD, 21)).unwrap_err().to_string().contains("follow the last"));
    }

    #[test]
    fn a_cut_or_foreign_file_is_refused() {
        let good = file(GOOD, 20);
        for end in 0..good.len() {
            assert!(read(&good[..end]).is_err(), "cut at {end}");
        }
        let huge = [u64::MAX.to_le_bytes().as_slice(), b"{}"].concat();
        assert!(read(&huge).unwrap_err().to_string().contains("beyond the 104857600 of any model"));
        assert!(read(b"PK\x03\x04\0\0\0\0{}").is_err());
    }

    proptest::proptest! {
        #[test]
        fn a_flipped_bit_of_the_header_is_refused_or_harmless(at in 0usize..230, bit in 0u8..8) {
            let mut bytes = file(GOOD, 20);
            bytes[at] ^= 1 << bit;
            if let Ok(entries) = read(&bytes) {
                for entry in entries {
                    proptest::prop_assert!(entry.range.end <= bytes.len());
                }
            }
        }
    }
}
