//! Opening of text inputs: a path or `-` for standard input, plain or gzip (told by its first bytes, not by the
//! name), with or without a byte-order mark.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};

/// Bytes per read of the file, and of the decompressed stream.
const BUFFER: usize = 256 << 10;
/// Decompressed bytes that are always accepted, whatever the ratio.
pub const EXPANSION_GRACE: u64 = 64 << 20;
/// Beyond [`EXPANSION_GRACE`], the most decompressed bytes per compressed byte. Sequences reach about 4, very
/// repetitive ones 100; deflate itself ends at 1 032, which only a file made for the purpose comes near.
pub const MAX_EXPANSION: u64 = 256;
/// Longest header line of a text file. Sequence lines have no limit of their own.
pub const MAX_HEADER: usize = 1 << 20;

/// What stands at the beginning of files that are compressed or packed in a way that is not read here.
const FOREIGN: [(&[u8], &str); 6] = [
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "zip"),
    (b"PAR1", "Parquet"),
    (b"\x89HDF", "HDF5"),
];

/// A text input, decompressed and without its byte-order mark.
pub struct Input {
    path: PathBuf,
    gzip: bool,
    reader: Box<dyn BufRead + Send>,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("path", &self.path).field("gzip", &self.gzip).finish_non_exhaustive()
    }
}

impl Input {
    /// Opens `path`, or standard input for `-`.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be opened or read, [`Error::Format`] for a folder, for UTF-16 and for
    /// compressions other than gzip.
    pub fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Self::from_reader(path, io::stdin());
        }
        let file = File::open(path).map_err(Error::io("open", path))?;
        if file.metadata().map_err(Error::io("read", path))?.is_dir() {
            return Err(Error::format(path, "is a folder, not a file", "name a file"));
        }
        Self::from_reader(path, file)
    }

    /// The same for anything that can be read; `path` only names it in messages.
    ///
    /// # Errors
    /// Those of [`Input::open`].
    pub fn from_reader(path: impl Into<PathBuf>, reader: impl Read + Send + 'static) -> Result<Self> {
        let path = path.into();
        let (head, raw) = peek(BufReader::with_capacity(BUFFER, reader)).map_err(Error::io("read", &path))?;
        if let Some((_, kind)) = FOREIGN.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Err(Error::format(
                path,
                format!("is a {kind} file, not text"),
                "give the text itself, plain or compressed by gzip",
            ));
        }
        if !head.starts_with(&[0x1f, 0x8b]) {
            return Self::text(path, false, &head, Box::new(raw));
        }
        let limited = Limited { inner: MultiGzDecoder::new(Counted { inner: raw, taken: 0 }), given: 0 };
        let mut input = Self { path, gzip: true, reader: Box::new(io::empty()) };
        let (head, plain) = peek(BufReader::with_capacity(BUFFER, limited)).map_err(|e| input.failure(e))?;
        input.reader = Box::new(plain);
        Self::text(input.path, true, &head, input.reader)
    }

    fn text(path: PathBuf, gzip: bool, head: &[u8], mut reader: Box<dyn BufRead + Send>) -> Result<Self> {
        if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
            return Err(Error::format(path, "is UTF-16 text", "save it as UTF-8 or plain ASCII"));
        }
        if head.starts_with("\u{feff}".as_bytes()) {
            reader.consume(3);
        }
        Ok(Self { path, gzip, reader })
    }

    /// The path as it was given, `-` for standard input.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes at hand; empty at the end of the input.
    ///
    /// # Errors
    /// Those of [`Input::failure`].
    pub fn chunk(&mut self) -> Result<&[u8]> {
        while let Err(error) = self.reader.fill_buf() {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(self.failure(error));
            }
        }
        // The buffer is full now (or the input over): this call reads nothing.
        let path = &self.path;
        self.reader.fill_buf().map_err(Error::io("read", path))
    }

    /// Replaces `line` by the next line, its line end included; false at the end of the input.
    ///
    /// # Errors
    /// Those of [`Input::failure`]; [`Error::Record`] (at `number`) for a line longer than [`MAX_HEADER`].
    pub fn header_line(&mut self, line: &mut Vec<u8>, number: u64) -> Result<bool> {
        line.clear();
        let mut bounded = (&mut self.reader).take(MAX_HEADER as u64 + 1);
        if let Err(error) = bounded.read_until(b'\n', line) {
            return Err(self.failure(error));
        }
        if line.len() > MAX_HEADER {
            return Err(Error::record(
                &self.path,
                number,
                "",
                format!("the header line is longer than {MAX_HEADER} bytes"),
                "check that this is the right file, and that it is text",
            ));
        }
        Ok(!line.is_empty())
    }

    /// The error of this library for a failed read of this input: damage to a gzip stream is told from trouble with
    /// the file system.
    #[must_use]
    pub fn failure(&self, error: io::Error) -> Error {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        let help = "fetch or compress the file again; 'gzip -t' checks it";
        match error.kind() {
            UnexpectedEof if self.gzip => {
                Error::format(&self.path, "the gzip stream stops before its end: the file is cut short", help)
            }
            InvalidData | InvalidInput if self.gzip => {
                Error::format(&self.path, format!("the gzip stream is damaged: {error}"), help)
            }
            _ => Error::io("read", &self.path)(error),
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }
    fn consume(&mut self, n: usize) {
        self.reader.consume(n);
    }
}

/// A reader that has been looked into.
type Peeked<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// The first bytes (six, fewer for shorter inputs), and a reader that still gives them.
fn peek<R: BufRead>(mut reader: R) -> io::Result<(Vec<u8>, Peeked<R>)> {
    let mut head = Vec::with_capacity(6);
    reader.by_ref().take(6).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(reader)))
}

/// Counts the compressed bytes that the decoder has taken.
struct Counted<R> {
    inner: R,
    taken: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.taken += n as u64;
        Ok(n)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }
    fn consume(&mut self, n: usize) {
        self.taken += n as u64;
        self.inner.consume(n);
    }
}

/// Ends a stream that grows beyond all measure.
struct Limited<R> {
    inner: MultiGzDecoder<Counted<R>>,
    given: u64,
}

impl<R: BufRead> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.given += n as u64;
        let taken = self.inner.get_ref().taken;
        if self.given > EXPANSION_GRACE && self.given / MAX_EXPANSION > taken {
            let what = format!("{taken} bytes expand to more than {} (limit {MAX_EXPANSION}-fold)", self.given);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: Vec<u8>) -> Result<Vec<u8>> {
        let mut input = Input::from_reader("in", Cursor::new(bytes))?;
        let mut out = Vec::new();
        loop {
            let chunk = input.chunk()?;
            if chunk.is_empty() {
                return Ok(out);
            }
            out.extend_from_slice(chunk);
            let n = chunk.len();
            input.consume(n);
        }
    }

    /// Gives one byte at a time, as a slow pipe may.
    struct Drip(Cursor<Vec<u8>>);
    impl Read for Drip {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = buffer.len().min(1);
            self.0.read(&mut buffer[..n])
        }
    }

    #[test]
    fn plain_gzip_and_members_with_and_without_a_mark() {
        assert_eq!(read(b"abc\n".to_vec()).unwrap(), b"abc\n");
        assert_eq!(read("\u{feff}abc".into()).unwrap(), b"abc");
        assert_eq!(read(gzip("\u{feff}abc".as_bytes())).unwrap(), b"abc");
        assert_eq!(read([gzip(b"abc"), gzip(b"def")].concat()).unwrap(), b"abcdef");
        assert_eq!(read(Vec::new()).unwrap(), b"");
        assert_eq!(read(b"\xef".to_vec()).unwrap(), b"\xef");
        let mut dripping = Input::from_reader("-", Drip(Cursor::new(gzip(b">a\nACGT\n")))).unwrap();
        let mut text = String::new();
        dripping.read_to_string(&mut text).unwrap();
        assert_eq!(text, ">a\nACGT\n");
    }

    #[test]
    fn damaged_gzip_is_named() {
        let whole = gzip(&b"ACGT".repeat(1000));
        for cut in 2..whole.len() {
            let error = read(whole[..cut].to_vec()).unwrap_err();
            assert!(error.to_string().contains("cut short"), "{cut}: {error}");
            assert!(error.help().contains("gzip -t"));
        }
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert!(read(flipped).unwrap_err().to_string().contains("damaged"));
        let trailing = [whole, b"rubbish after the end".to_vec()].concat();
        assert!(read(trailing).unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn a_bomb_is_refused_and_honest_repetition_is_not() {
        let repetitive = gzip(&vec![b'A'; 32 << 20]);
        assert_eq!(read(repetitive).unwrap().len(), 32 << 20);
        let bomb = gzip(&vec![b'A'; 128 << 20]);
        let error = read(bomb).map(|bytes| bytes.len()).unwrap_err();
        assert!(error.to_string().contains("256-fold"), "{error}");
    }

    #[test]
    fn other_packings_folders_and_missing_files() {
        for (magic, kind) in FOREIGN {
            let error = read([magic, b"rest"].concat()).unwrap_err();
            assert!(error.to_string().contains(kind));
        }
        assert!(read(b"\xff\xfe>\0a\0".to_vec()).unwrap_err().to_string().contains("UTF-16"));
        let folder = tempfile::tempdir().unwrap();
        assert!(Input::open(folder.path()).unwrap_err().to_string().contains("folder"));
        let missing = Input::open(&folder.path().join("none.fa")).unwrap_err();
        assert!(missing.to_string().contains("none.fa") && missing.help().contains("spelling"));
    }

    #[test]
    fn header_lines_are_bounded() {
        let mut line = Vec::new();
        let mut input = Input::from_reader("in", Cursor::new(b"one\r\ntwo".to_vec())).unwrap();
        assert!(input.header_line(&mut line, 1).unwrap());
        assert_eq!(line, b"one\r\n");
        assert!(input.header_line(&mut line, 2).unwrap());
        assert_eq!(line, b"two");
        assert!(!input.header_line(&mut line, 3).unwrap());
        let mut input = Input::from_reader("in", Cursor::new(vec![b'x'; MAX_HEADER + 1])).unwrap();
        let error = input.header_line(&mut line, 7).unwrap_err();
        assert!(error.to_string().starts_with("in:7:"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), gz in any::<bool>()) {
            let bytes = if gz { [&[0x1f, 0x8b, 8, 0][..], &bytes].concat() } else { bytes };
            let _ = read(bytes);
        }
    }
}
