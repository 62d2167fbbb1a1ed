//! Checkpoint files made of bytes: PyTorch's two layouts, and safetensors.

#![allow(dead_code)]

use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A tensor of a state dict, whose numbers are a storage of its own or of another.
#[derive(Debug, Clone)]
pub struct Saved {
    pub name: String,
    /// `Float`, `Half`, …
    pub kind: &'static str,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
    pub offset: usize,
    pub storage: String,
    pub bytes: Vec<u8>,
}

impl Saved {
    /// A tensor of f32 that lie in order.
    pub fn f32(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        Self::new(name, "Float", shape, bytes)
    }

    pub fn new(name: &str, kind: &'static str, shape: &[usize], bytes: Vec<u8>) -> Self {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        let shape = shape.to_vec();
        Self { name: name.into(), kind, shape, strides, offset: 0, storage: name.into(), bytes }
    }

    fn storage_len(&self) -> usize {
        let size = match self.kind {
            "Half" => 2,
            "Long" | "Double" => 8,
            _ => 4,
        };
        self.bytes.len() / size
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn integer(out: &mut Vec<u8>, n: usize) {
    out.push(b'J');
    out.extend(i32::try_from(n).unwrap().to_le_bytes());
}

fn integers(out: &mut Vec<u8>, numbers: &[usize]) {
    out.push(b'(');
    for &n in numbers {
        integer(out, n);
    }
    out.push(b't');
}

/// An ordered dict of tensors, without the protocol before it and the end behind it; `legacy` names storages as files
/// before version 1.6 do.
pub fn state_dict(tensors: &[Saved], legacy: bool) -> Vec<u8> {
    let mut out = b"ccollections\nOrderedDict\n)R(".to_vec();
    for tensor in tensors {
        text(&mut out, &tensor.name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(format!("ctorch\n{}Storage\n", tensor.kind).as_bytes());
        text(&mut out, &tensor.storage);
        text(&mut out, "cpu");
        integer(&mut out, tensor.storage_len());
        out.extend(if legacy { &b"NtQ"[..] } else { b"tQ" });
        integer(&mut out, tensor.offset);
        integers(&mut out, &tensor.shape);
        integers(&mut out, &tensor.strides);
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.push(b'u');
    out
}

/// A whole pickle of `body`.
pub fn pickle(body: &[u8]) -> Vec<u8> {
    [b"\x80\x02", body, b"."].concat()
}

/// A zip archive as `torch.save` writes it, around any pickle.
pub fn archive(pickle: &[u8], tensors: &[Saved], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut put = |name: &str, bytes: &[u8], alignment: u16| {
        let options = SimpleFileOptions::default().compression_method(method).with_alignment(alignment);
        zip.start_file(format!("model/{name}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    };
    put("data.pkl", pickle, 1);
    put("byteorder", b"little", 1);
    let mut written: Vec<&str> = Vec::new();
    for tensor in tensors.iter().filter(|tensor| !tensor.bytes.is_empty()) {
        if !written.contains(&tensor.storage.as_str()) {
            put(&format!("data/{}", tensor.storage), &tensor.bytes, 64);
            written.push(&tensor.storage);
        }
    }
    zip.finish().unwrap().into_inner()
}

/// A state dict as `torch.save` writes it.
pub fn torch(tensors: &[Saved]) -> Vec<u8> {
    archive(&pickle(&state_dict(tensors, false)), tensors, CompressionMethod::Stored)
}

/// A state dict as `torch.save` before version 1.6 wrote it.
pub fn torch_legacy(tensors: &[Saved]) -> Vec<u8> {
    let mut out = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
    let mut system = b"}(".to_vec();
    text(&mut system, "little_endian");
    system.extend(b"\x88u");
    out.extend(pickle(&system));
    out.extend(pickle(&state_dict(tensors, true)));
    let mut keys = b"](".to_vec();
    for tensor in tensors {
        text(&mut keys, &tensor.storage);
    }
    keys.push(b'e');
    out.extend(pickle(&keys));
    for tensor in tensors {
        out.extend((tensor.storage_len() as u64).to_le_bytes());
        out.extend(&tensor.bytes);
    }
    out
}

/// Tensors of f32 as a safetensors file.
pub fn safetensors(tensors: &[Saved]) -> Vec<u8> {
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for tensor in tensors {
        let place = [end, end + tensor.bytes.len()];
        let entry = serde_json::json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": place });
        header.insert(tensor.name.clone(), entry);
        end = place[1];
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(&header);
    for tensor in tensors {
        out.extend(&tensor.bytes);
    }
    out
}
