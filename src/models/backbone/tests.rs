//! The goldens of another folder, where it is there.

use std::path::{Path, PathBuf};

use super::*;

fn golden(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    if folder.is_dir() {
        return Some(folder.join(name));
    }
    eprintln!("skipped: ../shared is absent");
    None
}

#[test]
fn foreign_folders_open_in_place() {
    for (name, modality, layers, d, heads, d_ff) in [
        ("esm2_hf_tiny", "protein", 3, 64, 4, 256),
        ("rinalmo_mm_tiny", "rna", 3, 64, 4, 170),
        ("rinalmo_mm_from_official_tiny", "rna", 3, 128, 4, 341),
    ] {
        let Some(path) = golden(name) else { return };
        let backbone = Backbone::open(&path).unwrap();
        let encoder = &backbone.config.network.sequence().unwrap().encoder;
        let sizes = (encoder.n_layers, encoder.d_model, encoder.n_heads, encoder.d_ff);
        assert_eq!((backbone.config.network.modality(), sizes), (modality, (layers, d, heads, d_ff)));
        assert!(backbone.tokenizer.vocab.is_some() && backbone.tokenizer.json.is_none());
        let scope = backbone.scope().within("layers.1");
        assert_eq!(scope.take("query.weight", &[d, d]).unwrap().shape(), [d, d]);
        assert!(scope.take_optional("query.bias", &[d]).unwrap().is_some() == (modality == "protein"));
        assert!(!scope.unused().contains(&"layers.1.query.weight".to_owned()));
        assert!(scope.unused().contains(&"layers.1.key.weight".to_owned()));
    }
}
