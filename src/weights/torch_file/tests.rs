//! Files made of bytes.

#[path = "../../../tests/support/checkpoint.rs"]
mod checkpoint;

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::weights::Checkpoint;
use checkpoint::{Saved, archive, pickle, state_dict, torch, torch_legacy};
use zip::CompressionMethod;

fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.pt");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn read(bytes: &[u8], name: &str) -> Result<Tensor> {
    let (_folder, path) = file(bytes);
    Checkpoint::open(&path)?.tensor(name)
}

/// `a` [2, 3], its transpose `t`, and its second column `c` twice, all in one storage; `h` of halves.
fn tensors() -> Vec<Saved> {
    let a = Saved::f32("a", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let t = Saved { name: "t".into(), shape: vec![3, 2], strides: vec![1, 3], ..a.clone() };
    let c = Saved { name: "c".into(), shape: vec![2, 2], strides: vec![0, 3], offset: 1, ..a.clone() };
    vec![a, t, c, Saved::new("h", "Half", &[2], vec![0x00, 0x3e, 0x00, 0xc0])]
}

#[test]
fn tensors_are_the_same_however_they_lie() {
    let mut single = tensors();
    single.retain(|tensor| ["a", "h"].contains(&tensor.name.as_str()));
    for bytes in [torch(&tensors()), torch_legacy(&single)] {
        assert_eq!(read(&bytes, "a").unwrap().to_f32(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(read(&bytes, "h").unwrap().to_f32(), [1.5, -2.0]);
    }
    let bytes = torch(&tensors());
    assert_eq!(read(&bytes, "t").unwrap().to_f32(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(read(&bytes, "c").unwrap().to_f32(), [2.0, 5.0, 2.0, 5.0]);
    assert!(read(&bytes, "x").unwrap_err().to_string().contains("'x' is missing"));
}

#[test]
fn what_lies_in_order_is_not_copied() {
    let (_folder, path) = file(&torch(&tensors()));
    let torch = TorchFile::open(&path).unwrap();
    let pickle = torch.pickle().unwrap();
    let inside = |name: &str| {
        let view = pickle.root().get(name).unwrap().as_tensor().unwrap();
        let tensor = torch.tensor(name, &view).unwrap();
        torch.bytes.as_ptr_range().contains(&tensor.bytes().as_ptr())
    };
    assert_eq!(["a", "h", "t", "c"].map(inside), [true, true, false, false]);
}

#[test]
fn big_endian_numbers_are_turned() {
    let turned = Saved::new("a", "Float", &[1], 1.5f32.to_be_bytes().to_vec());
    let bytes = torch(std::slice::from_ref(&turned));
    let at = bytes.windows(6).position(|part| part == b"little").unwrap();
    let mut bytes = bytes;
    bytes[at..at + 6].copy_from_slice(b"big\0\0\0");
    assert_eq!(read(&bytes, "a").unwrap().to_f32(), [1.5]);
}

#[test]
fn weights_are_found_one_dict_deeper_and_settings_beside_them() {
    let saved = [Saved::f32("w", &[2], &[1.0, 2.0])];
    // {'model': state dict, 'cfg': {'model': Namespace(layers=3, dropout=True, inner={'n': 4})}}
    let mut body = b"}(X\x05\0\0\0model".to_vec();
    body.extend(state_dict(&saved, false));
    body.extend(b"X\x03\0\0\0cfg}(X\x05\0\0\0modelcargparse\nNamespace\n)\x81}(X\x06\0\0\0layersK\x03");
    body.extend(b"X\x07\0\0\0dropout\x88X\x05\0\0\0inner}(X\x01\0\0\0nK\x04uubuu");
    let (_folder, path) = file(&archive(&pickle(&body), &saved, CompressionMethod::Stored));
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["w"]);
    let settings: Vec<_> = checkpoint.settings().iter().map(|(path, n)| (path.as_str(), *n)).collect();
    assert_eq!(settings, [("cfg.model.dropout", 1), ("cfg.model.inner.n", 4), ("cfg.model.layers", 3)]);
}

#[test]
fn a_dict_within_itself_ends() {
    let saved = [Saved::f32("w", &[1], &[1.0])];
    let mut body = b"}q\0(X\x05\0\0\0model".to_vec();
    body.extend(state_dict(&saved, false));
    body.extend(b"X\x03\0\0\0cfgh\0X\x01\0\0\0nK\x01u");
    let (_folder, path) = file(&archive(&pickle(&body), &saved, CompressionMethod::Stored));
    assert!(Checkpoint::open(&path).unwrap().settings().contains_key("cfg.cfg.n"));
}

#[test]
fn damage_is_found_and_named() {
    let good = torch(&tensors());
    let at = good.windows(4).position(|part| part == 3f32.to_le_bytes()).unwrap();
    let mut bad = good.clone();
    bad[at] ^= 1;
    let (_folder, path) = file(&bad);
    let error = Checkpoint::open(&path).unwrap().check_sums().unwrap_err().to_string();
    assert!(error.contains("m.pt") && error.contains("data/a"), "{error}");
    let (_folder, path) = file(&good);
    Checkpoint::open(&path).unwrap().check_sums().unwrap();

    let deflated = archive(&pickle(&state_dict(&tensors(), false)), &tensors(), CompressionMethod::Deflated);
    assert!(read(&deflated, "a").unwrap_err().to_string().contains("compressed"));

    let mut beyond = tensors();
    beyond[0].offset = 1;
    assert!(read(&torch(&beyond), "a").unwrap_err().to_string().contains("'a' reaches beyond"));
    let whole = torch_legacy(&tensors()[..1]);
    for end in 0..whole.len() {
        assert!(read(&whole[..end], "a").is_err(), "cut at {end}");
    }
    let longs = torch(&[Saved::new("n", "Long", &[1], vec![0; 8])]);
    assert!(read(&longs, "n").unwrap_err().to_string().contains("I64"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_flipped_byte_makes_it_panic(at in 0usize..4000, value in any::<u8>(), legacy in any::<bool>()) {
        let mut bytes = if legacy { torch_legacy(&tensors()[..1]) } else { torch(&tensors()) };
        let at = at % bytes.len();
        bytes[at] = value;
        for name in ["a", "t", "c", "h"] {
            let _ = read(&bytes, name);
        }
    }
}
