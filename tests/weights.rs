//! `import` and `init` as whole commands: every published layout, and random weights.

#[path = "support/checkpoint.rs"]
mod checkpoint;
#[path = "support/small_models.rs"]
mod small_models;

use std::fs;
use std::path::{Path, PathBuf};

use biollmnet::models::backbone::Backbone;
use biollmnet::models::fusion::Fusion;
use biollmnet::train::Model;
use checkpoint::{Saved, archive, pickle, safetensors, state_dict, torch, torch_legacy};
use small_models::{D, ESM_CONFIG, F, Place, hugging_face, named, rinalmo, saved};
use zip::CompressionMethod;

#[test]
fn rinalmo_in_all_its_layouts_is_one_model() {
    let place = Place::new();
    let tensors = rinalmo();
    let plain = place.import(&place.file("a.pt", torch(&tensors)), "a", &["--heads", "2"]);
    let scope = plain.scope();
    let fused = named(&tensors, "transformer.blocks.1.mh_attn.Wqkv.weight");
    for (i, part) in ["query", "key", "value"].into_iter().enumerate() {
        let block = scope.take(&format!("layers.1.{part}.weight"), &[D, D]).unwrap();
        assert_eq!(block.bytes(), &fused[i * D * D * 4..(i + 1) * D * D * 4], "{part}");
    }
    assert_eq!(
        scope.take("layers.0.beta", &[1]).unwrap().bytes(),
        named(&tensors, "transformer.blocks.0.transition.0.beta")
    );
    assert_eq!(
        scope.take("layers.0.up.weight", &[F, D]).unwrap().bytes(),
        named(&tensors, "transformer.blocks.0.transition.0.linear.weight")
    );

    // Fine-tuned, wrapped, without flash attention, and in the old file format.
    let mut tuned = tensors.clone();
    for tensor in &mut tuned {
        tensor.name = tensor.name.replace("lm_mask_head", "pred_head");
        if !tensor.name.starts_with("pred_head") {
            tensor.name.insert_str(0, "lm.");
        }
    }
    let mut wrapped = b"}(X\x05\0\0\0model".to_vec();
    wrapped.extend(state_dict(&tensors, false));
    wrapped.extend(b"X\x05\0\0\0epochK\x07u");
    let mut split = Vec::new();
    for tensor in &tensors {
        let Some(head) = tensor.name.strip_suffix("Wqkv.weight") else {
            let name = tensor.name.replace("mh_attn.out_proj", "mh_attn.mh_attn.out_proj");
            split.push(Saved { storage: name.clone(), name, ..tensor.clone() });
            continue;
        };
        for (i, part) in ["to_q", "to_k", "to_v"].into_iter().enumerate() {
            let bytes = tensor.bytes[i * D * D * 4..(i + 1) * D * D * 4].to_vec();
            split.push(Saved::new(&format!("{head}mh_attn.{part}.weight"), "Float", &[D, D], bytes));
        }
    }
    for (name, bytes) in [
        ("tuned", torch(&tuned)),
        ("wrapped", archive(&pickle(&wrapped), &tensors, CompressionMethod::Stored)),
        ("split", torch(&split)),
        ("legacy", torch_legacy(&tensors)),
    ] {
        let other = place.import(&place.file(&format!("{name}.pt"), bytes), name, &["--heads", "2"]);
        assert_eq!(other.config.weights_digest, plain.config.weights_digest, "{name}");
    }
}

#[test]
fn hugging_face_folders_whole_or_in_shards_in_place_or_imported() {
    let place = Place::new();
    let tensors = hugging_face();
    place.file("whole/config.json", ESM_CONFIG);
    place.file("whole/vocab.txt", "<cls>\n");
    place.file("whole/model.safetensors", safetensors(&tensors));
    place.file("shards/config.json", ESM_CONFIG);
    let (left, right) = tensors.split_at(11);
    place.file("shards/model-1.safetensors", safetensors(left));
    place.file("shards/model-2.safetensors", safetensors(right));
    let places = |part: &[Saved], file: &str| -> Vec<(String, serde_json::Value)> {
        part.iter().map(|tensor| (tensor.name.clone(), file.into())).collect()
    };
    let map: serde_json::Map<_, _> =
        places(left, "model-1.safetensors").into_iter().chain(places(right, "model-2.safetensors")).collect();
    place.file("shards/model.safetensors.index.json", serde_json::json!({ "weight_map": map }).to_string());

    let imported = place.import(&place.path("whole"), "out", &[]);
    let single = place.import(&place.path("whole/model.safetensors"), "single", &[]);
    assert_eq!(imported.tokenizer.vocab, Some(place.path("out/vocab.txt")));
    for folder in ["whole", "shards"] {
        let opened = Backbone::open(&place.path(folder)).unwrap();
        assert_eq!(opened.config.weights_digest, imported.config.weights_digest);
        assert_eq!(opened.config.network, imported.config.network);
    }
    assert_eq!(single.config.weights_digest, imported.config.weights_digest);
    let norm = imported.scope().take("layers.1.ffn_norm.bias", &[D]).unwrap();
    assert_eq!(norm.bytes(), named(&tensors, "esm.encoder.layer.1.LayerNorm.beta"));
    assert!(imported.scope().take("inv_freq", &[D / 4]).is_ok());

    // Half precision but for the frequencies, and back: what is left of the numbers.
    let half = place.import(&place.path("whole"), "half", &["--dtype", "f16"]);
    assert_ne!(half.config.weights_digest, imported.config.weights_digest);
    assert_eq!(half.scope().take("inv_freq", &[D / 4]).unwrap().bytes().len(), D);
    assert_eq!(half.scope().take("layers.0.query.weight", &[D, D]).unwrap().bytes().len(), D * D * 2);
    let again = place.import(&place.path("half"), "again", &["--dtype", "f32"]);
    let (a, b) = (imported.scope(), again.scope());
    let shape = [4 * D, D];
    let pairs = [a, b].map(|scope| scope.take("layers.0.up.weight", &shape).unwrap().to_f32());
    assert!(pairs[0].iter().zip(&pairs[1]).all(|(x, y)| (x - y).abs() < 1e-3));
}

#[test]
fn heads_and_kinds_are_asked_for_and_compared() {
    let place = Place::new();
    place.file("a.pt", torch(&rinalmo()));
    let (code, _, err) = place.run(&["import", "a.pt", "--out", "out"]);
    assert!(code == 2 && err.contains("a.pt") && err.contains("--heads"), "{err}");
    let (code, _, err) = place.run(&["import", "a.pt", "--out", "out", "--heads", "2", "--kind", "esm2"]);
    assert!(code == 2 && err.contains("rinalmo") && err.contains("--kind"), "{err}");
    let (code, _, err) = place.run(&["import", "a.pt", "--out", "out", "--heads", "2", "--task", "binary"]);
    assert!(code == 2 && err.contains("--task"), "{err}");
    place.refused("a.pt", &["--heads", "3"], &["a.pt", "3 heads"]);
    let (code, out, err) = place.run(&["import", "a.pt", "--out", "out", "--heads", "2", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(
        code == 0 && found["left_out"][0]["what"] == "lm_mask_head" && found["left_out"][0]["tensors"] == 2,
        "{err}"
    );
    let (code, _, err) = place.run(&["import", "a.pt", "--out", "out", "--heads", "2"]);
    assert!(code == 2 && err.contains("--force"), "{err}");
}

#[test]
fn random_weights_depend_on_the_seed_alone() {
    let place = Place::new();
    let made = |out: &str, flags: &[&str]| {
        let (code, _, err) = place.run(&[&["init", "--config", "esm2-8m", "--out", out], flags].concat());
        assert_eq!(code, 0, "{err}");
        assert_eq!(place.run(&["verify", out]).0, 0);
        Backbone::open(&place.path(out)).unwrap()
    };
    let (a, b, c) = (made("a", &[]), made("b", &["--threads", "2"]), made("c", &["--seed", "1"]));
    assert_eq!(a.config.weights_digest, b.config.weights_digest);
    assert_ne!(a.config.weights_digest, c.config.weights_digest);
    assert_eq!((a.config.name.as_str(), a.config.network.n_layers()), ("esm2-8m", 6));
    let weight = a.scope().take("layers.5.key.weight", &[320, 320]).unwrap().to_f32();
    let other = a.scope().take("layers.4.key.weight", &[320, 320]).unwrap().to_f32();
    assert_ne!(weight, other);
    let sd = (weight.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / weight.len() as f64).sqrt();
    assert!((sd * 320f64.sqrt() - 1.0).abs() < 0.01, "{sd}");
    let (code, _, err) = place.run(&["init", "--config", "esm3", "--out", "x"]);
    assert!(code == 2 && err.contains("rinalmo-giga"), "{err}");
    let (code, _, err) = place.run(&["init", "--config", "mole-bert", "--out", "mb", "--dtype", "f32"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(Backbone::open(&place.path("mb")).unwrap().config.network.d_model(), 300);
}

/// The published fusion networks, small: names of the partner's path, gate, widths of the head.
#[test]
fn every_published_fusion_network_becomes_a_model() {
    let place = Place::new();
    let linear = |name: &str, out: usize, from: usize| {
        vec![(format!("{name}.weight"), vec![out, from]), (format!("{name}.bias"), vec![out])]
    };
    for (name, partner, rna, h, gate, head) in [
        ("protein", "protein_path.0", "rna_path.0", 6, Fusion::Static, vec![("classifier.0", 4), ("classifier.3", 1)]),
        (
            "rna",
            "mirna_path.0",
            "rna_path.0",
            6,
            Fusion::Static,
            vec![("classifier.0", 4), ("classifier.3", 3), ("classifier.6", 1)],
        ),
        ("first", "protein_path.0", "rna_path.0", 256, Fusion::Input, vec![("classifier.0", 4), ("classifier.3", 1)]),
        (
            "second",
            "protein_path.0",
            "rna_path.0",
            256,
            Fusion::Static,
            vec![("classifier.0", 4), ("classifier.3", 3), ("classifier.6", 1)],
        ),
        (
            "baseline",
            "protein_fc",
            "rna_fc",
            6,
            Fusion::Concat,
            vec![("combined_fc1", 5), ("combined_fc2", 4), ("combined_fc3", 1)],
        ),
    ] {
        let mut list = [linear(partner, h, 10), linear(rna, h, 9)].concat();
        match gate {
            Fusion::Input => list.extend(linear("fusion.gate.0", h, 2 * h)),
            Fusion::Static => list.push(("fusion.gate".to_owned(), vec![h])),
            _ => {}
        }
        let mut from = if gate == Fusion::Concat { 2 * h } else { h };
        for &(layer, out) in &head {
            list.extend(linear(layer, out, from));
            from = out;
        }
        let tensors = saved(&list);
        let path = place.file(&format!("{name}.pth"), torch(&tensors));
        let (code, _, err) = place.run(&["import", path.to_str().unwrap(), "--out", name]);
        assert_eq!(code, 0, "{name}: {err}");
        assert_eq!(place.run(&["verify", name]).0, 0);
        let model = Model::load(&place.path(name)).unwrap();
        let network = model.config.network();
        assert_eq!(
            (network.fusion, network.d_partner, network.d_rna, network.head.len()),
            (gate, 10, 9, head.len() - 1)
        );
        assert_eq!(network.task == biollmnet::data::Task::Regression, h == 256);
        let member = &model.members[0];
        let of = |name: &str| -> Vec<u8> {
            let tensor = member.network.layout.tensors().find(|tensor| tensor.name == name).unwrap();
            bytemuck::cast_slice(&member.parameters[tensor.range()]).to_vec()
        };
        assert_eq!(of("projection.partner.weight"), named(&tensors, &format!("{partner}.weight")));
        assert_eq!(of("head.1.weight"), named(&tensors, &format!("{}.weight", head[1].0)));
        match gate {
            Fusion::Input => assert_eq!(of("gate.input.weight"), named(&tensors, "fusion.gate.0.weight")),
            Fusion::Static => assert_eq!(of("gate.static"), named(&tensors, "fusion.gate")),
            _ => {}
        }
    }
    let short = saved(&[linear("protein_path.0", 6, 10), vec![("fusion.gate".to_owned(), vec![6])]].concat());
    place.file("short.pth", torch(&short));
    place.refused("short.pth", &[], &["short.pth", "'projection.rna.weight' is missing"]);
}

fn golden(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    if folder.is_dir() {
        return Some(folder.join(name));
    }
    eprintln!("skipped: ../shared is absent");
    None
}

#[test]
fn every_golden_checkpoint_imports_with_its_numbers() {
    let place = Place::new();
    for (i, (name, flags)) in [
        ("esm2_hf_tiny", &[][..]),
        ("rinalmo_mm_tiny", &[]),
        ("rinalmo_mm_from_official_tiny", &[]),
        ("esm2_t2_hd64_fair_fp16.pt", &[]),
        ("rinalmo_tiny_official.pt", &["--heads", "4"]),
        ("rinalmo_small_embed_official.pt", &["--heads", "4"]),
        ("molebert_tiny.pth", &[]),
        ("molebert_tiny_vqencoder.pth", &[]),
    ]
    .into_iter()
    .enumerate()
    {
        let Some(source) = golden(name) else { return };
        let imported = place.import(&source, &format!("m{i}"), flags);
        if source.is_dir() {
            let opened = Backbone::open(&source).unwrap();
            assert_eq!(opened.config.weights_digest, imported.config.weights_digest, "{name}");
            let file = fs::read(source.join("model.safetensors")).unwrap();
            let raw = safetensors::SafeTensors::deserialize(&file).unwrap();
            let (prefix, norm) = if name.starts_with("esm2") { ("esm", "LayerNorm") } else { ("model", "layer_norm") };
            for (canonical, theirs) in [
                ("embed_tokens.weight".to_owned(), format!("{prefix}.embeddings.word_embeddings.weight")),
                ("layers.1.ffn_norm.weight".to_owned(), format!("{prefix}.encoder.layer.1.{norm}.weight")),
                ("layers.2.attention_norm.bias".to_owned(), format!("{prefix}.encoder.layer.2.attention.{norm}.bias")),
                ("layers.1.down.weight".to_owned(), format!("{prefix}.encoder.layer.1.output.dense.weight")),
            ] {
                let raw = raw.tensor(&theirs).unwrap();
                let tensor = imported.scope().take(&canonical, raw.shape()).unwrap();
                assert_eq!(tensor.bytes(), raw.data(), "{name} {canonical}");
            }
        }
    }
    // Their converter made one of the other: every tensor of the blocks must be the same.
    let open = |i: usize| Backbone::open(&place.path(&format!("m{i}"))).unwrap();
    let (theirs, official) = (open(2), open(4));
    let mut compared = 0;
    for name in official.scope().names().filter(|name| *name != "embed_tokens.weight") {
        let shape = official.scope().shape(name).unwrap();
        let [a, b] = [&theirs, &official].map(|backbone| backbone.scope().take(name, &shape).unwrap());
        assert_eq!(a.bytes(), b.bytes(), "{name}");
        compared += 1;
    }
    assert_eq!(compared, 47);
    let fair = open(3);
    assert_eq!(fair.config.network.sequence().unwrap().encoder.n_heads, 4);
    assert_eq!(fair.scope().take("inv_freq", &[32]).unwrap().bytes().len(), 64, "stored in half precision, and kept");
    let (Some(encoder), Some(codebook)) =
        (golden("molebert_tiny_vqencoder.pth"), golden("molebert_tiny_vqquantizer.pth"))
    else {
        return;
    };
    let both = place.import(&encoder, "both", &["--codebook", codebook.to_str().unwrap()]);
    assert_eq!(both.scope().take("codebook.weight", &[512, 64]).unwrap().to_f32().len(), 512 * 64);
    for file in [&encoder, &codebook] {
        fs::create_dir_all(place.path("tokenizer")).unwrap();
        fs::copy(file, place.path("tokenizer").join(file.file_name().unwrap())).unwrap();
    }
    let folder = place.import(&place.path("tokenizer"), "folder", &[]);
    assert_eq!(folder.config.weights_digest, both.config.weights_digest);
}
