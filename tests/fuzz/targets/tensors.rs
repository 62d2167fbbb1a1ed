//! Files of tensors: every tensor that a file names is read.

use std::path::Path;

use biollmnet::weights::pickle::{Pickle, View};
use biollmnet::weights::{Checkpoint, npy};
use zip::CompressionMethod;

use super::{read, scratch};
use crate::checkpoint::{self, Saved};
use crate::target::Target;

pub const SAFETENSORS: Target = Target {
    name: "safetensors",
    read: read_checkpoint,
    seeds: || vec![checkpoint::safetensors(&tensors()), checkpoint::safetensors(&[Saved::f32("none", &[0, 7], &[])])],
    words: &[
        b"\"dtype\"",
        b"\"shape\"",
        b"\"data_offsets\"",
        b"\"F32\"",
        b"\"F16\"",
        b"\"F8_E4M3\"",
        b"\"__metadata__\":{}",
        b"[0,0]",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b"[[[[[[[[",
    ],
    // The length before the header, as far as the header can be told.
    mend: Some(|mut bytes| {
        if let Some(end) = bytes.windows(2).position(|two| two == b"}}") {
            let length = (end + 2).saturating_sub(8) as u64;
            bytes[..8.min(end)].copy_from_slice(&length.to_le_bytes()[..8.min(end)]);
        }
        bytes
    }),
};

pub const TORCH: Target = Target {
    name: "torch",
    read: read_checkpoint,
    seeds: || {
        let packed = |method| checkpoint::archive(&state_dict(false), &tensors(), method);
        vec![packed(CompressionMethod::Stored), packed(CompressionMethod::Deflated), state_dict(false)]
    },
    words: WORDS,
    // A pickle alone becomes the one of a sound archive.
    mend: Some(|bytes| {
        if bytes.starts_with(b"PK") {
            bytes
        } else {
            checkpoint::archive(&bytes, &tensors(), CompressionMethod::Stored)
        }
    }),
};

pub const TORCH_LEGACY: Target = Target {
    name: "torch_legacy",
    read: read_checkpoint,
    seeds: || vec![checkpoint::torch_legacy(&tensors())],
    words: WORDS,
    mend: None,
};

pub const PICKLE: Target = Target {
    name: "pickle",
    read: |bytes| {
        let pickle = Pickle::read(Path::new("x.pkl"), bytes);
        if let Ok(pickle) = &pickle {
            walk(pickle.root(), 4, &mut 10_000);
            assert!(pickle.storages().count() <= bytes.len());
        }
        read(pickle)
    },
    seeds: || vec![state_dict(false), state_dict(true)],
    words: WORDS,
    mend: None,
};

pub const NPY: Target = Target {
    name: "npy",
    read: |bytes| {
        let array = npy::parse(Path::new("x.npy"), bytes);
        if let Ok(npy::Npy::Numbers(array)) = &array
            && let Some((rows, columns)) = array.matrix_shape()
            && rows > 0
            // Rows of nothing may be as many as a number can say.
            && columns > 0
        {
            assert!(rows * columns * array.element.size() <= bytes.len());
            let mut row = vec![0.0; columns];
            (0..rows).for_each(|i| array.copy_row(i, &mut row));
        }
        read(array)
    },
    seeds: || {
        let numbers: Vec<u8> = (0u8..24).flat_map(|n| f32::from(n).to_le_bytes()).collect();
        let letters: Vec<u8> = "ab cd é".chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
        vec![
            npy_of("<f4", false, "(4, 6)", &numbers),
            npy_of(">f2", true, "(4, 12)", &numbers),
            npy_of("<f8", false, "(12,)", &numbers),
            npy_of("<U7", false, "(1,)", &letters),
            npy_of("|b1", false, "(0, 3)", &[]),
        ]
    },
    words: &[
        b"'descr'",
        b"'shape'",
        b"'fortran_order'",
        b"True",
        b"(",
        b")",
        b",",
        b"'<f4'",
        b"'>i8'",
        b"'|O'",
        b"'<U0'",
        b"[('a', '<f4')]",
        b"L",
        b"\x93NUMPY\x02\0",
        b"\x93NUMPY\x03\0",
    ],
    // The length of the header, which ends with a line.
    mend: Some(|mut bytes| {
        if let Some(end) = bytes.iter().position(|&byte| byte == b'\n').filter(|&end| end > 10) {
            bytes[8..10].copy_from_slice(&((end - 9) as u16).to_le_bytes());
        }
        bytes
    }),
};

/// Opcodes and names of pickles.
const WORDS: &[&[u8]] = &[
    b"\x80\x02",
    b"(",
    b"t",
    b"}",
    b"]",
    b"u",
    b"e",
    b"a",
    b"s",
    b"0",
    b"2",
    b"R",
    b"b",
    b"Q",
    b"N",
    b"\x88",
    b"q\0",
    b"h\0",
    b"\x94",
    b"\x8c\x01a",
    b"X\xff\xff\xff\xff",
    b"\x8a\xff",
    b"\x8b\xff\xff\xff\x7f",
    b"J\xff\xff\xff\x7f",
    b"cos\nsystem\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccollections\nOrderedDict\n",
    b"cnumpy.core.multiarray\n_reconstruct\n",
    b"cnumpy\ndtype\n",
    b"\x95\xff\xff\xff\xff\xff\xff\xff\xff",
    b".",
    b"\x93",
    b"\x81",
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
];

fn read_checkpoint(bytes: &[u8]) -> bool {
    let opened = Checkpoint::open(&scratch::file("model", bytes));
    let Ok(opened) = opened else { return read(opened) };
    let summed = read(opened.check_sums());
    let mut whole = true;
    for name in opened.names() {
        let shape = opened.shape(name).unwrap_or_default();
        let tensor = opened.tensor(name);
        if let Ok(tensor) = &tensor {
            assert_eq!(tensor.to_f32().len(), shape.iter().product::<usize>(), "{name}");
        }
        whole &= read(tensor);
    }
    summed && whole
}

/// Looks at everything that a value holds, down to `depth`, at most `left` values: a list may hold itself.
fn walk(view: View<'_>, depth: usize, left: &mut usize) {
    if *left == 0 || depth == 0 {
        return;
    }
    *left -= 1;
    let _ = (view.kind(), view.as_str(), view.as_int(), view.as_bool(), view.as_f32());
    if let Some(array) = view.as_array()
        && let Some((rows, columns)) = array.matrix_shape()
        && rows > 0
    {
        let mut row = vec![0.0; columns];
        (0..rows.min(1000)).for_each(|i| array.copy_row(i, &mut row));
    }
    if let Some(tensor) = view.as_tensor() {
        assert!(tensor.n_elements() <= tensor.storage_len);
        let _ = tensor.is_contiguous();
    }
    view.items().into_iter().flatten().for_each(|item| walk(item, depth - 1, left));
    for (key, value) in view.entries().into_iter().flatten() {
        walk(key, depth - 1, left);
        walk(value, depth - 1, left);
    }
}

fn tensors() -> Vec<Saved> {
    let a = Saved::f32("a", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    vec![a, Saved::f32("b.weight", &[4], &[0.5; 4])]
}

fn state_dict(legacy: bool) -> Vec<u8> {
    checkpoint::pickle(&checkpoint::state_dict(&tensors(), legacy))
}

/// An array as NumPy saves it.
pub fn npy_of(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), data].concat()
}
