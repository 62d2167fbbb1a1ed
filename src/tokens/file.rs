//! The tokenizer file beside the weights, which wins over the built-in vocabularies.

use std::fs;
use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;

use super::Vocabulary;
use crate::error::{Error, Result};
use crate::files::foreign::quietly;
use crate::seq::Alphabet;

/// Files that are looked for, the first one found is read.
const FILES: [&str; 2] = ["tokenizer.json", "vocab.txt"];
/// Larger files are not those of a letter vocabulary, and are not read.
const MOST_BYTES: u64 = 16 << 20;

/// The tokenizer file in the folder of a checkpoint: `tokenizer.json`, else `vocab.txt`, else none.
#[must_use]
pub fn find(folder: &Path) -> Option<PathBuf> {
    FILES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// Reads a `tokenizer.json`, or a `vocab.txt` with one token a line in order of the ids. Only the tokens and their ids
/// are taken from it: how text becomes letters is settled by [`Alphabet`] for every encoder alike.
///
/// # Errors
/// [`Error::Io`]; [`Error::Format`] for a file that cannot be read as such, and for what [`Vocabulary::new`] refuses.
pub fn read(path: &Path, alphabet: Alphabet) -> Result<Vocabulary> {
    const HELP: &str = "take the tokenizer file that belongs to these weights, or remove it to use the built-in one";
    let bytes = fs::metadata(path).map_err(Error::io("read", path))?.len();
    if bytes > MOST_BYTES {
        return Err(Error::format(path, format!("{bytes} bytes are no vocabulary of letters"), HELP));
    }
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let vocabulary = if path.extension().is_some_and(|suffix| suffix == "json") {
        let unreadable =
            |e: tokenizers::Error| Error::format(path, format!("it cannot be read as a tokenizer: {e}"), HELP);
        let parsed = quietly(|| text.parse::<Tokenizer>()).unwrap_or_else(|| Err("it is damaged".into()));
        let tokenizer = parsed.map_err(unreadable)?;
        let tokens = tokenizer.get_vocab(true);
        Vocabulary::new(alphabet, tokens.iter().map(|(token, id)| (token.as_str(), *id)))
    } else {
        Vocabulary::new(alphabet, text.lines().map(str::trim).zip(0..))
    };
    vocabulary.map_err(|error| Error::format(path, error.to_string(), HELP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::NAMES;

    const ESM2_LINES: &str = "<cls>\n<pad>\n<eos>\n<unk>\nL\nA\nG\nV\nS\nE\nR\nT\nI\nD\nP\nK\nQ\nN\nF\nY\nM\nH\nW\nC\nX\nB\n\
                              U\nZ\nO\n.\n-\n<null_1>\n<mask>";

    /// The file that HF's word-level model would be saved as, with the tokens of `lines`.
    fn json(lines: &str) -> String {
        let vocab: serde_json::Map<String, serde_json::Value> =
            lines.lines().enumerate().map(|(id, token)| (token.to_owned(), id.into())).collect();
        let special = |content: &str| {
            serde_json::json!({
                "id": vocab[content], "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            })
        };
        serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": [special("<cls>"), special("<eos>"), special("<unk>"), special("<mask>")],
            "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
        })
        .to_string()
    }

    #[test]
    fn both_files_give_the_built_in_table_and_json_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(folder.path()), None);
        let (txt, json_file) = (folder.path().join("vocab.txt"), folder.path().join("tokenizer.json"));
        let expected = Vocabulary::by_name(NAMES[0]).unwrap();
        fs::write(&txt, ESM2_LINES.replace('\n', "\r\n")).unwrap();
        assert_eq!(find(folder.path()), Some(txt.clone()));
        assert_eq!(read(&txt, Alphabet::Protein).unwrap(), expected);
        fs::write(&json_file, json(ESM2_LINES)).unwrap();
        assert_eq!(find(folder.path()), Some(json_file.clone()));
        assert_eq!(read(&json_file, Alphabet::Protein).unwrap(), expected);
    }

    #[test]
    fn a_file_that_is_no_vocabulary_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text, reason) in [
            ("vocab.txt", ESM2_LINES.replace("<eos>", "[SEP]"), "'<eos>'"),
            ("vocab.txt", ESM2_LINES.replace("\nX\n", "\nL\n"), "'L' occurs twice"),
            ("tokenizer.json", "{\"model\": 3}".into(), "cannot be read as a tokenizer"),
            ("tokenizer.json", json(&ESM2_LINES.replace("\nO\n", "\nOO\n")), "'OO'"),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            let error = read(&path, Alphabet::Protein).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(reason), "{error}");
        }
    }
}
