//! Small checkpoints in every published layout, and the program run on them.

#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use biollmnet::models::backbone::Backbone;

use crate::checkpoint::Saved;

/// Width, inner width and layers.
pub const D: usize = 8;
pub const F: usize = 5;
pub const LAYERS: usize = 2;

/// A temporary folder in which the program runs.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }
    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_biollmnet"));
        command.current_dir(self.0.path()).env("BIOLLMNET_THREADS", "1").env("BIOLLMNET_PROGRESS", "none");
        let output = command.args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
    /// Imports `source` into `out` and opens it.
    #[track_caller]
    pub fn import(&self, source: &Path, out: &str, flags: &[&str]) -> Backbone {
        let (code, _, err) = self.run(&[&["import", source.to_str().unwrap(), "--out", out], flags].concat());
        assert_eq!(code, 0, "{}: {err}", source.display());
        assert_eq!(self.run(&["verify", out]).0, 0);
        Backbone::open(&self.path(out)).unwrap()
    }
    /// `import` refuses `source` with exit code 3 and a message with `parts`, and writes nothing.
    #[track_caller]
    pub fn refused(&self, source: &str, flags: &[&str], parts: &[&str]) {
        let (code, out, err) = self.run(&[&["import", source, "--out", "out"], flags].concat());
        assert_eq!(code, 3, "{out}{err}");
        let missing = parts.iter().chain(&["error: ", "help: "]).find(|part| !err.contains(**part));
        assert_eq!(missing, None, "{err}");
        assert!(!self.path("out").exists() && !err.contains("panicked"), "{err}");
    }
}

/// Numbers that tell tensors and elements apart.
pub fn numbers(seed: usize, n: usize) -> Vec<f32> {
    (0..n).map(|i| ((seed * 7919 + i * 31) % 100_003) as f32 / 50_000.0 - 1.0).collect()
}

/// One tensor of f32 each.
pub fn saved(list: &[(String, Vec<usize>)]) -> Vec<Saved> {
    let one = |(i, (name, shape)): (usize, &(String, Vec<usize>))| {
        Saved::f32(name, shape, &numbers(i, shape.iter().product()))
    };
    list.iter().enumerate().map(one).collect()
}

/// A small `RiNALMo` under the names of its own code.
pub fn rinalmo() -> Vec<Saved> {
    let mut list = vec![("embedding.weight".to_owned(), vec![22, D])];
    for n in 0..LAYERS {
        let mut add =
            |name: &str, shape: &[usize]| list.push((format!("transformer.blocks.{n}.{name}"), shape.to_vec()));
        add("mh_attn.Wqkv.weight", &[3 * D, D]);
        add("mh_attn.out_proj.weight", &[D, D]);
        for norm in ["attn_layer_norm", "out_layer_norm"] {
            add(&format!("{norm}.weight"), &[D]);
            add(&format!("{norm}.bias"), &[D]);
        }
        for part in ["linear", "linear_gate"] {
            add(&format!("transition.0.{part}.weight"), &[F, D]);
            add(&format!("transition.0.{part}.bias"), &[F]);
        }
        add("transition.0.beta", &[1]);
        add("transition.2.weight", &[D, F]);
        add("transition.2.bias", &[D]);
    }
    for end in ["weight", "bias"] {
        list.push((format!("transformer.final_layer_norm.{end}"), vec![D]));
        list.push((format!("lm_mask_head.linear2.{end}"), vec![22]));
    }
    saved(&list)
}

/// A small ESM-2 under the names of Hugging Face, as new versions write them.
pub fn hugging_face() -> Vec<Saved> {
    let mut list = vec![("esm.embeddings.word_embeddings.weight".to_owned(), vec![33, D])];
    for n in 0..LAYERS {
        let mut add =
            |name: &str, shape: &[usize]| list.push((format!("esm.encoder.layer.{n}.{name}"), shape.to_vec()));
        for (name, out, from) in [
            ("attention.self.query", D, D),
            ("attention.self.key", D, D),
            ("attention.self.value", D, D),
            ("attention.output.dense", D, D),
            ("intermediate.dense", 4 * D, D),
            ("output.dense", D, 4 * D),
        ] {
            add(&format!("{name}.weight"), &[out, from]);
            add(&format!("{name}.bias"), &[out]);
        }
        for norm in ["attention.LayerNorm", "LayerNorm"] {
            add(&format!("{norm}.gamma"), &[D]);
            add(&format!("{norm}.beta"), &[D]);
        }
    }
    list.push(("esm.encoder.layer.*.attention.self.rotary_embeddings.inv_freq".to_owned(), vec![D / 4]));
    list.push(("esm.encoder.emb_layer_norm_after.weight".to_owned(), vec![D]));
    list.push(("esm.encoder.emb_layer_norm_after.bias".to_owned(), vec![D]));
    list.push(("lm_head.bias".to_owned(), vec![33]));
    saved(&list)
}

/// Its configuration.
pub const ESM_CONFIG: &str = r#"{"model_type": "esm", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "vocab_size": 33, "position_embedding_type": "rotary", "token_dropout": true,
    "layer_norm_eps": 1e-5, "mask_token_id": 32, "pad_token_id": 1}"#;

/// The bytes of one tensor.
pub fn named<'a>(tensors: &'a [Saved], name: &str) -> &'a [u8] {
    &tensors.iter().find(|tensor| tensor.name == name).unwrap().bytes
}
