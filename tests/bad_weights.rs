//! Hostile checkpoints: each is refused by file and tensor, before any work.

#[path = "support/checkpoint.rs"]
mod checkpoint;
#[path = "support/small_models.rs"]
mod small_models;
mod support;

use std::fs;

use biollmnet::models::backbone::Backbone;
use checkpoint::{Saved, archive, pickle, safetensors, state_dict, torch};
use small_models::{D, ESM_CONFIG, Place, hugging_face, named, rinalmo};
use zip::CompressionMethod;

#[test]
fn hostile_files_are_refused_by_file_and_tensor() {
    let place = Place::new();
    let good = rinalmo();
    let heads = ["--heads", "2"];
    let change = |name: &str, with: &dyn Fn(&mut Saved)| -> Vec<Saved> {
        let mut tensors = good.clone();
        with(tensors.iter_mut().find(|tensor| tensor.name == name).unwrap());
        tensors
    };
    let whole = torch(&good);
    place.file("cut.pt", &whole[..whole.len() / 2]);
    place.refused("cut.pt", &heads, &["cut.pt"]);

    let mut flipped = whole.clone();
    let at = whole.windows(D * 4).position(|part| part == named(&good, "transformer.final_layer_norm.bias")).unwrap();
    flipped[at + 2] ^= 4;
    place.file("flipped.pt", &flipped);
    place.refused("flipped.pt", &heads, &["flipped.pt", "'transformer.final_layer_norm.bias'"]);

    let query = "transformer.blocks.1.mh_attn.Wqkv.weight";
    let shape = change(query, &|tensor| {
        *tensor = Saved::f32(query, &[3 * D, D + 1], &small_models::numbers(1, 3 * D * (D + 1)));
    });
    place.file("shape.pt", torch(&shape));
    place.refused("shape.pt", &heads, &["shape.pt", "'layers.1.", query, "[8, 8]", "[8, 9]"]);

    let missing: Vec<Saved> = good.iter().filter(|tensor| tensor.name != query).cloned().collect();
    place.file("missing.pt", torch(&missing));
    place.refused("missing.pt", &heads, &["missing.pt", "'layers.1.query.weight' [8, 8] is missing"]);

    for extra in ["transformer.blocks.0.mh_attn.Wqkv.bias", "transformer.blocks.1.adapter.weight"] {
        let more = [good.clone(), vec![Saved::f32(extra, &[1], &[0.0])]].concat();
        place.file("extra.pt", torch(&more));
        place.refused("extra.pt", &heads, &["extra.pt", extra]);
    }

    for bad in [f32::NAN, f32::INFINITY] {
        let tensors = change("transformer.blocks.0.out_layer_norm.bias", &|tensor| {
            tensor.bytes[12..16].copy_from_slice(&bad.to_le_bytes());
        });
        place.file("nan.pt", torch(&tensors));
        place.refused("nan.pt", &heads, &["nan.pt", "'layers.0.ffn_norm.bias'", "NaN", "element 3"]);
    }

    let large = change("transformer.blocks.0.out_layer_norm.bias", &|tensor| {
        tensor.bytes[..4].copy_from_slice(&1e6f32.to_le_bytes());
    });
    place.file("large.pt", torch(&large));
    place.refused("large.pt", &["--heads", "2", "--dtype", "f16"], &["'layers.0.ffn_norm.bias'", "1000000"]);

    let mut foreign = state_dict(&good, false);
    foreign.extend(b"0cos\nsystem\n(X\x0d\0\0\0touch was-herettR");
    place.file("foreign.pt", archive(&pickle(&foreign), &good, CompressionMethod::Stored));
    place.refused("foreign.pt", &heads, &["foreign.pt", "'os.system'"]);
    assert!(!place.path("was-here").exists());

    place.file("bomb.pt", archive(&pickle(&state_dict(&good, false)), &good, CompressionMethod::Deflated));
    place.refused("bomb.pt", &heads, &["bomb.pt", "data.pkl", "compressed"]);

    place.file("empty.pt", b"");
    place.refused("empty.pt", &heads, &["empty.pt"]);
    place.file("text.pt", b"these are no weights at all");
    place.refused("text.pt", &heads, &["text.pt"]);
}

#[test]
fn hostile_folders_are_refused_by_file_and_tensor() {
    let place = Place::new();
    let good = hugging_face();
    let file = safetensors(&good);
    let folder = |config: &str, weights: &[u8]| {
        place.file("m/config.json", config);
        place.file("m/model.safetensors", weights);
    };
    folder(ESM_CONFIG, &file[..file.len() - 1]);
    place.refused("m", &[], &["model.safetensors", "'lm_head.bias'", "cut short"]);

    // Any bit of the header: what is not refused has not changed the weights.
    folder(ESM_CONFIG, &file);
    let digest = Backbone::open(&place.path("m")).unwrap().config.weights_digest;
    let header = u64::from_le_bytes(*file.first_chunk().unwrap()) as usize;
    for at in (0..8 + header).step_by(37) {
        let mut bad = file.clone();
        bad[at] ^= 1 << (at % 8);
        folder(ESM_CONFIG, &bad);
        match Backbone::open(&place.path("m")) {
            Ok(opened) => assert_eq!(opened.config.weights_digest, digest, "byte {at}"),
            Err(error) => assert!(error.to_string().contains("model.safetensors"), "byte {at}: {error}"),
        }
    }
    let renamed = |from: &str, to: &str| {
        let mut tensors = good.clone();
        tensors.iter_mut().find(|tensor| tensor.name == from).unwrap().name = to.to_owned();
        safetensors(&tensors)
    };
    let query = "esm.encoder.layer.1.attention.self.query.weight";
    folder(ESM_CONFIG, &renamed(query, "esm.encoder.layer.1.attention.self.qqery.weight"));
    place.refused("m", &[], &["model.safetensors", "qqery"]);
    folder(ESM_CONFIG, &renamed(query, "esm.encoder.layer.2.attention.self.query.weight"));
    place.refused("m", &[], &["model.safetensors", "'layers.1.query.weight'", "missing"]);

    let mut nan = good.clone();
    nan[3].bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    folder(ESM_CONFIG, &safetensors(&nan));
    let error = Backbone::open(&place.path("m")).unwrap_err().to_string();
    assert!(error.contains("model.safetensors") && error.contains("NaN") && error.contains("'layers.0."), "{error}");

    for (from, to, part) in [
        ("rotary", "absolute", "position_embedding_type"),
        ("\"vocab_size\": 33", "\"vocab_size\": 24", "vocab_size"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 99999999999", "layers"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "layers.1."),
        ("\"num_attention_heads\": 2", "\"num_attention_heads\": 3", "heads"),
        ("\"intermediate_size\": 32", "\"intermediate_size\": 31", "[31, 8]"),
        ("\"esm\"", "\"bert\"", "bert"),
        ("{", "{{", "JSON"),
    ] {
        folder(&ESM_CONFIG.replacen(from, to, 1), &file);
        place.refused("m", &[], &[part]);
    }

    place.file("i/config.json", ESM_CONFIG);
    for (shard, part) in [("../m/model.safetensors", "outside the folder"), ("gone.safetensors", "gone.safetensors")] {
        let index = serde_json::json!({ "weight_map": { "lm_head.bias": shard } }).to_string();
        place.file("i/model.safetensors.index.json", index);
        place.refused("i", &[], &[part]);
    }
    // Blanks before a value are no fault of JSON: these are refused for their length alone.
    place.file("i/model.safetensors.index.json", vec![b' '; (64 << 20) + 1]);
    place.refused("i", &[], &["model.safetensors.index.json", "67108864 bytes"]);
    place.file("i/config.json", vec![b' '; (16 << 20) + 1]);
    place.refused("i", &[], &["config.json", "16777216 bytes"]);

    // A folder of this program, changed after it was written.
    folder(ESM_CONFIG, &file);
    place.import(&place.path("m"), "own", &[]);
    let weights = fs::read(place.path("own/model.safetensors")).unwrap();
    place.file("own/model.safetensors", &weights[..weights.len() - 4]);
    let error = Backbone::open(&place.path("own")).unwrap_err().to_string();
    assert!(error.contains("own/model.safetensors") && error.contains("were written"), "{error}");
}

#[test]
fn a_disk_without_room_is_named_before_the_work() {
    let place = Place::new();
    support::on_small_disk(&place.path("disk"), "64m", || {
        let (code, _, err) = place.run(&["init", "--config", "esm2-8m", "--out", "disk/out"]);
        assert!(
            code == 75
                && err.contains("disk/out")
                && err.contains("the result takes")
                && err.contains("are free there"),
            "{err}"
        );
        assert!(!place.path("disk/out").exists());
    });
}
