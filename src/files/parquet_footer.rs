//! Opening of Parquet files, whose footer is read as a whole.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use parquet::errors::ParquetError;
use parquet::file::reader::SerializedFileReader;

/// Most bytes of a footer. It has about 100 for each column of a row group: our own reaches this at 10^10 records.
const MOST_FOOTER: u32 = 128 << 20;
/// Length of the footer and the mark behind it.
const TAIL: i64 = 8;

/// Opens a file whose footer is not too long.
///
/// # Errors
/// What the footer or the file system is at fault of.
pub(crate) fn open(mut file: File) -> Result<SerializedFileReader<File>, ParquetError> {
    // What is shorter than a tail is told by the reader.
    if file.seek(SeekFrom::End(-TAIL)).is_ok() {
        let mut length = [0; 4];
        file.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length > MOST_FOOTER {
            return Err(ParquetError::General(format!(
                "its footer of {length} bytes is beyond the {MOST_FOOTER} that are read"
            )));
        }
    }
    SerializedFileReader::new(file)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn message(bytes: &[u8]) -> String {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        open(file).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn a_footer_beyond_the_limit_is_not_read() {
        let with = |length: u32| [b"PAR1", &length.to_le_bytes()[..], b"PAR1"].concat();
        assert!(message(&with(MOST_FOOTER + 1)).contains("134217729 bytes is beyond the 134217728"));
        assert!(!message(&with(MOST_FOOTER)).contains("beyond"));
        assert!(!message(b"PAR1").is_empty());
    }
}
