//! Files of a folder, beside others that are sound.

use std::fs;
use std::path::{Path, PathBuf};

use biollmnet::embed::import::{ImportOptions, import};
use biollmnet::embed::store::{Dtype, Store};
use biollmnet::files::manifest::{self, Manifest};
use biollmnet::files::verify::verify;
use biollmnet::models::backbone::Backbone;
use biollmnet::progress::Silent;
use biollmnet::seq::Alphabet;
use biollmnet::tokens;

use super::{read, scratch};
use crate::checkpoint::safetensors;
use crate::small_models::{ESM_CONFIG, hugging_face};
use crate::target::Target;

pub const MANIFEST: Target = Target {
    name: "manifest",
    read: |bytes| {
        let folder = store_folder("changed");
        fs::write(folder.join(manifest::MANIFEST), bytes).unwrap();
        read(verify(&folder, &Silent)) & read(Store::open(&folder))
    },
    seeds: || vec![fs::read(store_folder("sound").join(manifest::MANIFEST)).unwrap()],
    words: &[
        b"\"schema\": 1",
        b"\"kind\": \"store\"",
        b"\"files\": [",
        b"\"path\": \"../x\"",
        b"\"bytes\": 0",
        b"\"dim\": 0",
        b"\"rows\"",
        b"null",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b"\"",
        b"\\u0000",
        b"true",
        b"1e99",
    ],
    // The digest at its end.
    mend: Some(|mut bytes| {
        const END: &[u8] = b"\"\n}\n";
        if bytes.ends_with(END) && bytes.len() > END.len() + 64 {
            bytes.truncate(bytes.len() - END.len() - 64);
            let digest = blake3::hash(&bytes).to_hex();
            bytes.extend(digest.as_bytes());
            bytes.extend(END);
        }
        bytes
    }),
};

pub const CONFIG: Target = Target {
    name: "config",
    read: |bytes| {
        let folder = scratch::folder("backbone", |folder| {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("model.safetensors"), safetensors(&hugging_face())).unwrap();
        });
        fs::write(folder.join("config.json"), bytes).unwrap();
        read(Backbone::open(&folder))
    },
    seeds: || vec![ESM_CONFIG.as_bytes().to_vec()],
    words: &[
        b"\"model_type\"",
        b"\"esm\"",
        b"\"rinalmo\"",
        b"\"num_hidden_layers\"",
        b"\"hidden_size\"",
        b"\"vocab_size\"",
        b"true",
        b"null",
        b"\"rope_theta\"",
        b"\"schema\": 1",
        b"\"network\"",
        b"{",
        b"}",
        b"[",
        b",",
        b"-1",
        b"0.5",
    ],
    mend: None,
};

pub const VOCABULARY: Target = Target {
    name: "vocabulary",
    read: |bytes| {
        ["vocab.txt", "tokenizer.json"]
            .map(|name| {
                let vocabulary = tokens::file::read(&scratch::file(name, bytes), Alphabet::Protein);
                if let Ok(vocabulary) = &vocabulary {
                    assert!(vocabulary.encode(b"MKV*x\xff").iter().all(|&id| (id as usize) < vocabulary.size()));
                }
                read(vocabulary)
            })
            .contains(&true)
    },
    seeds: Vec::new,
    words: &[
        b"<cls>",
        b"<mask>",
        b"<eos>",
        b"<unk>",
        b"\n",
        b"\"vocab\":{",
        b"\"type\":\"WordLevel\"",
        b"\"type\":\"BPE\"",
        b"\"merges\":[]",
        b"\"added_tokens\":[",
        b"\"id\":0",
        b"\"special\":true",
        b"null",
        b"{",
        b"}",
        b",",
        b"(?",
        b"\"Regex\":\"",
        b"((a*)*)*",
    ],
    mend: None,
};

/// The table of records of a store; the manifest's digests are made to fit, so that the reader itself is tried.
pub const STORE: Target = Target {
    name: "store",
    read: |bytes| {
        let folder = store_folder("records");
        let path = ids_of(&folder);
        fs::write(&path, bytes).unwrap();
        let mut manifest = Manifest::read(&folder).unwrap();
        let entry = manifest.files.iter_mut().find(|file| folder.join(&file.path) == path).unwrap();
        (entry.bytes, entry.blake3) = (bytes.len() as u64, blake3::hash(bytes).to_hex().to_string());
        manifest.write(&folder).unwrap();
        let opened = Store::open(&folder);
        if let Ok(store) = &opened {
            for (i, record) in store.records().enumerate() {
                let _ = record;
                assert!(store.lookup(store.id(i)).is_some());
            }
            read(store.check_finite());
        }
        read(opened)
    },
    seeds: || vec![fs::read(ids_of(&store_folder("sound"))).unwrap()],
    words: &[
        b"PAR1",
        b"\x15\0",
        b"\x15\x02",
        b"\x19\x1c",
        b"\x1c",
        b"\x16",
        b"\x18",
        b"id",
        b"row",
        b"\xff\xff\xff\xff\x0f",
    ],
    mend: None,
};

/// A store of three vectors in the folder `name`.
fn store_folder(name: &str) -> PathBuf {
    scratch::folder(name, |out| {
        let source = scratch::file("three.tsv", b"id\tx\ty\na\t1\t2\nb\t3\t4\nc\t5\t6\n");
        let options = ImportOptions {
            ids: None,
            encoder_name: "x".into(),
            modality: "rna".into(),
            dtype: Dtype::F16,
            pooling: None,
            force: false,
        };
        import(&source, &options, out).unwrap();
    })
}

/// Its table of records.
fn ids_of(folder: &Path) -> PathBuf {
    let manifest = Manifest::read(folder).unwrap();
    let table = manifest.files.iter().find(|file| file.path.ends_with(".parquet")).unwrap();
    folder.join(&table.path)
}
