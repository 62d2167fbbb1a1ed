//! Clusters of similar sequences, given by the user to keep relatives on one side of a split.

use std::path::Path;

use rustc_hash::FxHashMap;

use super::table::Table;
use crate::error::{Error, Result};
use crate::files::input::Input;

const SHAPE: &str = "give two columns, id and cluster, one id per line; MMseqs2 writes the representative (its cluster) \
    first and the id second: swap its columns";

/// The cluster of each id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clusters {
    of: FxHashMap<String, String>,
}

impl Clusters {
    /// Reads lines of id and cluster, TSV or CSV, plain or gzip; a first line whose id is `id` is a header. Further
    /// columns are passed over.
    ///
    /// # Errors
    /// Those of [`Input::open`]; [`Error::Record`] for a line without id or cluster and for an id in two clusters,
    /// [`Error::Format`] for a file without any.
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_input(Input::open(path)?)
    }

    /// The same for an input that is open.
    ///
    /// # Errors
    /// Those of [`Clusters::read`].
    pub fn from_input(input: Input) -> Result<Self> {
        let path = input.path().to_path_buf();
        let mut table = Table::new(input, SHAPE)?;
        let mut clusters = Self::default();
        if table.first.first().is_none_or(|id| !id.eq_ignore_ascii_case("id")) {
            let field = |i: usize| table.first.get(i).map_or("", String::as_str);
            clusters.insert(field(0), field(1), &path, table.first_line)?;
        }
        while let Some(line) = table.next_row()? {
            let field = |i: usize| String::from_utf8_lossy(table.row.get(i).unwrap_or_default());
            clusters.insert(&field(0), &field(1), &path, line)?;
        }
        if clusters.of.is_empty() {
            return Err(Error::format(path, "the file has a header and no row", SHAPE));
        }
        Ok(clusters)
    }

    fn insert(&mut self, id: &str, cluster: &str, path: &Path, line: u64) -> Result<()> {
        if id.is_empty() || cluster.is_empty() {
            let missing = if id.is_empty() { "no id" } else { "no cluster" };
            return Err(Error::record(path, line, id, missing, SHAPE));
        }
        match self.of.insert(id.to_owned(), cluster.to_owned()) {
            Some(before) if before != cluster => {
                let reason = format!("is in two clusters, '{before}' and '{cluster}'");
                Err(Error::record(path, line, id, reason, SHAPE))
            }
            _ => Ok(()),
        }
    }

    /// The cluster of `id`.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&str> {
        self.of.get(id).map(String::as_str)
    }

    /// Number of ids.
    #[must_use]
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// True when there is none; a file that was read has some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn read(text: impl AsRef<[u8]>) -> Result<Clusters> {
        Clusters::from_input(Input::from_reader("c.tsv", Cursor::new(text.as_ref().to_vec()))?)
    }

    #[test]
    fn with_and_without_a_header() {
        for text in ["a\t1\nb\t1\n\nc\t2", "id\tcluster\na\t1\r\nb\t1\r\nc\t2\r\n", "ID,c\na,1\nb,1\nc,2\na,1\n"] {
            let clusters = read(text).unwrap();
            assert_eq!(clusters.len(), 3);
            assert_eq!((clusters.get("a"), clusters.get("b"), clusters.get("c")), (Some("1"), Some("1"), Some("2")));
            assert_eq!(clusters.get("id"), None);
        }
    }

    #[test]
    fn what_is_wrong_is_told_where() {
        for (text, message) in [
            ("", "c.tsv: the file is empty"),
            ("id\tcluster\n", "c.tsv: the file has a header and no row"),
            ("a\t1\n\nb\n", "c.tsv:3: record 'b': no cluster"),
            ("a\n", "c.tsv:1: record 'a': no cluster"),
            ("id\tc\n\t2\n", "c.tsv:2: no id"),
            ("r\ta\nr\tb\n", "c.tsv:2: record 'r': is in two clusters, 'a' and 'b'"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert!(error.help().contains("MMseqs2"));
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
