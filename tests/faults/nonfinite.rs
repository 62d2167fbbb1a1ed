//! Row 8: NaN and infinities, in each tensor of the weights and in what is computed.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use biollmnet::embed::store::Store;
use biollmnet::files::Manifest;
use biollmnet::files::digest::digest_file;
use biollmnet::models::backbone::Backbone;
use biollmnet::train::Model;
use safetensors::SafeTensors;

use crate::checkpoint::{Saved, safetensors};
use crate::row::Row;
use crate::small_models::{ESM_CONFIG, hugging_face};
use crate::workshop::workshop;

const FAULT: &str = "NaN or Inf in each tensor, or in activations";

#[test]
fn what_is_not_finite_is_refused() {
    matrix_row(Row::fast(8, FAULT));
}

#[test]
#[ignore = "a row of the whole matrix"]
fn what_is_not_finite_is_refused_in_full() {
    matrix_row(Row::full(8, FAULT));
}

fn matrix_row(mut row: Row) {
    let root = tempfile::tempdir().unwrap();
    backbone(&mut row, root.path());
    fusion(&mut row, root.path());
    activations(&mut row, root.path());
    row.end();
}

fn write_backbone(folder: &Path, tensors: &[Saved]) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("config.json"), ESM_CONFIG).unwrap();
    fs::write(folder.join("model.safetensors"), safetensors(tensors)).unwrap();
}

/// Every tensor that the network needs is refused by name.
fn backbone(row: &mut Row, root: &Path) {
    let good = hugging_face();
    for (i, tensor) in good.iter().enumerate().filter(|(_, tensor)| !tensor.name.starts_with("lm_head")) {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut tensors = good.clone();
            let last = tensors[i].bytes.len() - 4;
            tensors[i].bytes[last..].copy_from_slice(&bad.to_le_bytes());
            let folder = root.join("backbone");
            write_backbone(&folder, &tensors);
            row.trial(
                || format!("{bad} in {}", tensor.name),
                || {
                    let error = Backbone::open(&folder).err().context("it is opened")?.to_string();
                    ensure!(
                        error.contains("model.safetensors") && error.contains("NaN") && error.contains('\''),
                        "{error}"
                    );
                    Ok(())
                },
            );
        }
    }
}

/// Every tensor of a member of a fusion model, with a manifest that agrees.
fn fusion(row: &mut Row, root: &Path) {
    let bench = workshop();
    let folder = root.join("model");
    let manifest = Manifest::read(&bench.path("model")).unwrap();
    for file in &manifest.files {
        let to = folder.join(&file.path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(bench.path("model").join(&file.path), to).unwrap();
    }
    let member = folder.join("member-0.safetensors");
    let good = fs::read(&member).unwrap();
    let names: Vec<String> = SafeTensors::deserialize(&good).unwrap().names().into_iter().map(str::to_owned).collect();
    for name in names {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut bytes = good.clone();
            let data = SafeTensors::deserialize(&good).unwrap().tensor(&name).unwrap().data().to_vec();
            let at = good.len() - (good.as_ptr_range().end as usize - start_of(&good, &name));
            assert_eq!(good[at..at + data.len()], data);
            bytes[at..at + 4].copy_from_slice(&bad.to_le_bytes());
            fs::write(&member, bytes).unwrap();
            let mut files = manifest.files.clone();
            let entry = files.iter_mut().find(|file| file.path == "member-0.safetensors").unwrap();
            entry.blake3 = digest_file(&member).unwrap().1;
            Manifest::new(&manifest.kind, files, manifest.detail.clone()).write(&folder).unwrap();
            row.trial(
                || format!("{bad} in {name}"),
                || {
                    let error = Model::load(&folder).err().context("it is loaded")?.to_string();
                    ensure!(error.contains(&name) && error.contains("NaN"), "{error}");
                    Ok(())
                },
            );
        }
    }
}

/// Address of the numbers of a tensor.
fn start_of(file: &[u8], name: &str) -> usize {
    SafeTensors::deserialize(file).unwrap().tensor(name).unwrap().data().as_ptr() as usize
}

/// Weights that are finite, and states that are not: the rows say so, and the others have their vectors.
fn activations(row: &mut Row, root: &Path) {
    let bench = workshop();
    bench.file("letters.fa", ">plain\nACDEFG\n>w\nACWDE\n>plain2\nGGGGG\n>ww\nWWWW\n");
    let folder = root.join("huge");
    let mut tensors = hugging_face();
    // The row of tryptophan, the 22nd token of ESM: its square is no f32 any more.
    let width = tensors[0].shape[1] * 4;
    for number in tensors[0].bytes[22 * width..23 * width].chunks_exact_mut(4) {
        number.copy_from_slice(&3e38f32.to_le_bytes());
    }
    write_backbone(&folder, &tensors);
    for precision in ["f32", "f16"] {
        row.trial(
            || format!("states beyond f32, --precision {precision}"),
            || {
                let (encoder, out) = (folder.to_str().unwrap(), format!("huge-{precision}"));
                let line = ["embed", "letters.fa", "--encoder", encoder, "--precision", precision, "--out", &out];
                let ran = bench.run(&line);
                ensure!(matches!(ran.code, Some(1)), "it ends with {:?}: {}", ran.code, ran.err);
                let store = Store::open(bench.path(&out))?;
                let found: Vec<_> =
                    store.records().map(|record| (record.id.to_owned(), record.status.name())).collect();
                let expected = [("plain", "ok"), ("w", "nonfinite"), ("plain2", "ok"), ("ww", "nonfinite")];
                ensure!(found.iter().map(|(id, status)| (id.as_str(), *status)).eq(expected), "{found:?}");
                Ok(())
            },
        );
    }
}
