//! NumPy `.npy` content: versions 1 to 3, numbers and unicode strings, no objects.

use std::path::Path;

use super::elements::{ArrayView, Element, n_elements};
use crate::error::{Error, Result};

/// The first bytes of every `.npy` file.
pub const MAGIC: &[u8] = b"\x93NUMPY";
/// A header of ours is 128 bytes; NumPy itself refuses more than 10 000 unless told otherwise.
const MOST_HEADER: usize = 64 << 10;

/// What an `.npy` file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Npy<'a> {
    /// Numbers.
    Numbers(ArrayView<'a>),
    /// Strings, in order.
    Strings(Vec<String>),
}

/// Reads `bytes`, the whole content of an `.npy` file; `path` names it in messages.
///
/// # Errors
/// [`Error::Format`] for everything that is not an array of numbers or unicode strings, whole and well-formed.
pub fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<Npy<'a>> {
    let wrong = |reason: String| {
        Error::format(path, reason, "write it with numpy.save(FILE, ARRAY, allow_pickle=False), numbers of one type")
    };
    let (length, rest) = split(bytes).ok_or_else(|| wrong("is not a whole .npy file".into()))?;
    if length > MOST_HEADER {
        return Err(wrong(format!("its header of {length} bytes is beyond the {MOST_HEADER} that are read")));
    }
    let whole =
        rest.split_at_checked(length).and_then(|(header, data)| Some((std::str::from_utf8(header).ok()?, data)));
    let (header, data) = whole.ok_or_else(|| wrong("is not a whole .npy file".into()))?;
    let field = |name| field(header, name).ok_or_else(|| wrong(format!("its header has no {name}")));
    let (descr, order, shape) = (field("descr")?, field("fortran_order")?, field("shape")?);
    let fortran = order.starts_with("True");
    let shape = parse_shape(shape).ok_or_else(|| wrong("its shape cannot be read".into()))?;
    let descr = quoted(descr).ok_or_else(|| wrong("it holds records, not one type of number".into()))?;
    let (big_endian, code) = match descr.as_bytes().first() {
        Some(b'>') => (true, &descr[1..]),
        Some(b'<' | b'|' | b'=') => (false, &descr[1..]),
        _ => (false, descr),
    };
    let size = if let Some(letters) = code.strip_prefix('U') {
        letters.parse::<usize>().ok().filter(|&n| n > 0).and_then(|n| n.checked_mul(4))
    } else {
        Element::from_numpy(code).map(Element::size)
    };
    let size = size.ok_or_else(|| match code {
        "O" | "O8" => wrong("it holds Python objects, which are not read".into()),
        _ => wrong(format!("its type '{descr}' is not known")),
    })?;
    let expected = n_elements(&shape).and_then(|n| n.checked_mul(size));
    if expected != Some(data.len()) {
        return Err(wrong(format!("its shape {shape:?} of '{descr}' does not fit its {} bytes of data", data.len())));
    }
    match Element::from_numpy(code) {
        Some(element) => Ok(Npy::Numbers(ArrayView { element, big_endian, shape, fortran, bytes: data })),
        None => {
            strings(data, size, big_endian).map(Npy::Strings).ok_or_else(|| wrong("its strings are not unicode".into()))
        }
    }
}

/// Length of the header, and the bytes from there on.
fn split(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (version, rest) = rest.split_first_chunk::<2>()?;
    match version[0] {
        1 => {
            let (length, rest) = rest.split_first_chunk()?;
            Some((usize::from(u16::from_le_bytes(*length)), rest))
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk()?;
            Some((u32::from_le_bytes(*length) as usize, rest))
        }
        _ => None,
    }
}

/// What follows `'name':` in the header, which NumPy writes as a Python literal.
fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{name}'"))?;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split(quote).next()
}

fn parse_shape(text: &str) -> Option<Vec<usize>> {
    let (inner, _) = text.strip_prefix('(')?.split_once(')')?;
    let sizes = inner.split(',').map(str::trim).filter(|size| !size.is_empty());
    sizes.map(|size| size.trim_end_matches('L').parse().ok()).collect()
}

/// Strings of `size` bytes each: four bytes a letter, filled up with zeros.
fn strings(data: &[u8], size: usize, big_endian: bool) -> Option<Vec<String>> {
    let letter = |bytes: &[u8]| {
        let bytes = <[u8; 4]>::try_from(bytes).ok()?;
        char::from_u32(if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    };
    data.chunks_exact(size)
        .map(|string| {
            let text: Option<String> = string.chunks_exact(4).map(letter).collect();
            text.map(|text| text.trim_end_matches('\0').to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn read(header: &str, data: &[u8]) -> Result<(Vec<usize>, bool)> {
        let bytes = file(header, data);
        match parse(Path::new("x.npy"), &bytes)? {
            Npy::Numbers(view) => Ok((view.shape, view.fortran)),
            Npy::Strings(strings) => Ok((vec![strings.len()], false)),
        }
    }

    #[test]
    fn headers_as_numpy_writes_them() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n";
        assert_eq!(read(header, &[0; 24]).unwrap(), (vec![2, 3], false));
        assert_eq!(
            read("{'descr': '>f8', 'fortran_order': True, 'shape': (3,), }\n", &[0; 24]).unwrap(),
            (vec![3], true)
        );
        assert_eq!(read("{'descr': '|b1', 'fortran_order': False, 'shape': (), }\n", &[0]).unwrap(), (vec![], false));
        let letters: Vec<u8> = "aé\0b\0\0".chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
        let bytes = file("{'descr': '<U3', 'fortran_order': False, 'shape': (2,), }\n", &letters);
        assert_eq!(parse(Path::new("x"), &bytes).unwrap(), Npy::Strings(vec!["aé".into(), "b".into()]));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_reason() {
        let cases = [
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 23, "does not fit"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 3), }", 24, "does not fit"),
            ("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", 24, "objects"),
            ("{'descr': '<c16', 'fortran_order': False, 'shape': (3,), }", 48, "<c16"),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }", 12, "records"),
            ("{'descr': '<f4', 'shape': (3,), }", 12, "fortran_order"),
        ];
        for (header, n, expected) in cases {
            let error = read(header, &vec![0; n]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_header_beyond_the_limit_is_not_read() {
        let with = |length: usize| [MAGIC, &[2, 0], &(length as u32).to_le_bytes()[..], &vec![b' '; length]].concat();
        let message = |length| parse(Path::new("x.npy"), &with(length)).unwrap_err().to_string();
        assert!(message(MOST_HEADER + 1).contains("65537 bytes is beyond the 65536"));
        assert!(!message(MOST_HEADER).contains("beyond"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
            header in "\\{'descr': ?['\"<>|=]{0,2}[fiubOU]?[0-9]{0,20}'?, 'fortran_order': (True|False)?, 'shape': \\(?[0-9, é]{0,30}\\)?",
            cut in 0usize..200,
        ) {
            let _ = parse(Path::new("x"), &bytes);
            let whole = file(&header, &bytes);
            let _ = parse(Path::new("x"), &whole);
            let _ = parse(Path::new("x"), &whole[..cut.min(whole.len())]);
        }
    }
}
