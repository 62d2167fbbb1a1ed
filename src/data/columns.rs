//! Which columns of a pairs file mean what.

use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, Result};

const SYNTAX: &str = "write it as --columns rna=NAME,partner=NAME,label=NAME (several labels: label=A,B,C)";

/// Which columns of a pairs file mean what. The default is by position: rna, partner, label.
///
/// As text: `rna=NAME,partner=NAME,label=NAME`, each part optional; several labels follow one another,
/// `label=A,B,C`. Where `rna` or `partner` is not named it is the first or second column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Columns {
    /// Name of the column of RNA ids; `None` = the first column.
    pub rna: Option<String>,
    /// Name of the column of partner ids; `None` = the second column.
    pub partner: Option<String>,
    /// The label columns.
    pub labels: Labels,
}

/// Which columns are labels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Labels {
    /// The third column where nothing is named, else the column called `label`; no label where there is none.
    #[default]
    Usual,
    /// The columns of these names.
    Named(Vec<String>),
    /// No column, whatever there is: for prediction.
    Ignored,
}

/// Positions of the columns in one file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Positions {
    pub rna: usize,
    pub partner: usize,
    pub labels: Vec<usize>,
}

impl Columns {
    /// The same ids without labels, for prediction.
    #[must_use]
    pub fn without_labels(self) -> Self {
        Self { labels: Labels::Ignored, ..self }
    }

    /// Finds the columns in `header`, which stands at `line` of `path`.
    pub(super) fn locate(&self, header: &[String], path: &Path, line: u64) -> Result<Positions> {
        let fault = |reason: String, help: &str| Error::record(path, line, "", reason, help);
        let find = |name: &str| {
            let mut places = (0..header.len()).filter(|&i| header[i] == name);
            match (places.next(), places.next()) {
                (Some(place), None) => Ok(place),
                (Some(_), Some(_)) => {
                    Err(fault(format!("the header has the column '{name}' twice"), "rename one of them"))
                }
                (None, _) => Err(fault(
                    format!("the header has no column '{name}', only: {}", header.join(", ")),
                    "name the columns of this file with --columns",
                )),
            }
        };
        if header.len() < 2 {
            return Err(fault(
                format!("the header has {} column, a pair needs two", header.len()),
                "separate the columns by tabs (TSV) or commas (CSV): rna, partner, label",
            ));
        }
        let rna = self.rna.as_deref().map_or(Ok(0), find)?;
        let partner = self.partner.as_deref().map_or(Ok(1), find)?;
        let labels = match &self.labels {
            Labels::Ignored => Vec::new(),
            Labels::Named(names) => names.iter().map(|name| find(name)).collect::<Result<_>>()?,
            Labels::Usual if self.rna.is_none() && self.partner.is_none() => (2..header.len().min(3)).collect(),
            Labels::Usual => header.iter().position(|name| name == "label").into_iter().collect(),
        };
        let mut used = [&[rna, partner], labels.as_slice()].concat();
        used.sort_unstable();
        if let Some(twice) = used.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(fault(
                format!("the column '{}' is used for two things", header[twice[0]]),
                "name all of rna, partner and label with --columns",
            ));
        }
        Ok(Positions { rna, partner, labels })
    }
}

impl FromStr for Columns {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut columns = Self::default();
        let mut labels: Vec<String> = Vec::new();
        let mut in_labels = false;
        let wrong = |what: String| Err(Error::usage(format!("--columns '{text}': {what}"), SYNTAX));
        for part in text.split(',') {
            let (key, name) = match part.split_once('=') {
                Some((key, name)) => (key.trim(), name.trim()),
                None if in_labels => ("label", part.trim()),
                None => return wrong(format!("'{part}' has no '='; {SYNTAX}")),
            };
            if name.is_empty() {
                return wrong(format!("'{key}' names no column; {SYNTAX}"));
            }
            let again = match key {
                "rna" => columns.rna.replace(name.to_owned()).is_some(),
                "partner" => columns.partner.replace(name.to_owned()).is_some(),
                "label" => {
                    let again = part.contains('=') && !labels.is_empty();
                    labels.push(name.to_owned());
                    again
                }
                _ => return wrong(format!("'{key}' is none of rna, partner, label; {SYNTAX}")),
            };
            if again {
                return wrong(format!("'{key}' is given twice; {SYNTAX}"));
            }
            in_labels = key == "label";
        }
        if !labels.is_empty() {
            columns.labels = Labels::Named(labels);
        }
        Ok(columns)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn located(columns: &str, header: &str) -> Result<Positions> {
        let columns = if columns.is_empty() { Columns::default() } else { columns.parse()? };
        let header: Vec<String> = header.split(' ').map(str::to_owned).collect();
        columns.locate(&header, Path::new("p.tsv"), 1)
    }

    #[test]
    fn text_to_columns() {
        let columns: Columns = "rna=x, partner=y,label=a,b,c".parse().unwrap();
        assert_eq!((columns.rna.as_deref(), columns.partner.as_deref()), (Some("x"), Some("y")));
        assert_eq!(columns.labels, Labels::Named(vec!["a".into(), "b".into(), "c".into()]));
        let columns: Columns = "label=a,b,rna=x".parse().unwrap();
        assert_eq!(columns.labels, Labels::Named(vec!["a".into(), "b".into()]));
        assert_eq!((columns.rna.as_deref(), columns.partner), (Some("x"), None));
        assert_eq!("rna=x".parse::<Columns>().unwrap().without_labels().labels, Labels::Ignored);
        for wrong in ["", "x", "rna=", "rna=a,rna=b", "label=a,label=b", "rna=a,b", "protein=p", "label=a,,b"] {
            let error = wrong.parse::<Columns>().unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn positions() {
        let found = |columns, header| located(columns, header).unwrap();
        assert_eq!(found("", "r p l x"), Positions { rna: 0, partner: 1, labels: vec![2] });
        assert_eq!(found("", "r p"), Positions { rna: 0, partner: 1, labels: vec![] });
        assert_eq!(
            found("rna=lncrna_id,partner=mirna_id,label=label", "mirna_id lncrna_id label"),
            Positions { rna: 1, partner: 0, labels: vec![2] }
        );
        assert_eq!(found("rna=b,partner=a", "a b c label").labels, [3]);
        assert!(found("rna=b,partner=a", "a b c").labels.is_empty());
        assert_eq!(found("label=c,d", "a b c d"), Positions { rna: 0, partner: 1, labels: vec![2, 3] });
        for (columns, header, message) in [
            ("rna=z", "a b c", "no column 'z', only: a, b, c"),
            ("label=b", "a b c", "'b' is used for two things"),
            ("rna=b", "a b c", "'b' is used for two things"),
            ("label=c", "a b c c", "'c' twice"),
            ("", "a", "a pair needs two"),
        ] {
            let error = located(columns, header).unwrap_err().to_string();
            assert!(error.contains(message) && error.starts_with("p.tsv:1:"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text(text in ".*") {
            let _ = text.parse::<Columns>();
        }
    }
}
