//! Vectors made elsewhere: every kind of source that becomes a store.

use std::io::{Cursor, Write as _};

use biollmnet::embed::import::{ImportOptions, RowPooling, import};
use biollmnet::embed::store::{Dtype, Store};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::tensors::npy_of;
use super::{read, scratch};
use crate::checkpoint::{self, Saved};
use crate::target::Target;

pub const VECTORS: Target = Target {
    name: "vectors",
    read: |bytes| {
        let options = ImportOptions {
            ids: None,
            encoder_name: "x".into(),
            modality: "rna".into(),
            dtype: Dtype::F32,
            pooling: Some(RowPooling::Mean),
            force: true,
        };
        let out = scratch::path("imported");
        let imported = import(&scratch::file("source", bytes), &options, &out);
        if imported.is_ok() {
            Store::open(&out).expect("an imported store opens").check_finite().expect("and is finite");
        }
        read(imported)
    },
    seeds: || {
        let numbers: Vec<u8> = (0u8..6).flat_map(|n| f32::from(n).to_le_bytes()).collect();
        let ids: Vec<u8> = "abc".chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
        let arrays =
            [("ids.npy", npy_of("<U1", false, "(3,)", &ids)), ("v.npy", npy_of("<f4", false, "(3, 2)", &numbers))];
        let saved = [Saved::f32("a", &[2], &[1.0, 2.0]), Saved::f32("b", &[2], &[3.0, 4.0])];
        vec![
            npz(&arrays),
            npy_of("<f4", false, "(3, 2)", &numbers),
            checkpoint::torch(&saved),
            b"id\tx\ty\na\t1\t2\nb\t3\t4\n".to_vec(),
            b"id,x,y\na,1,2\nb,3,-4e-3\n".to_vec(),
            parquet_file(),
        ]
    },
    words: &[
        b"\t",
        b",",
        b"\n",
        b"nan",
        b"1e39",
        b"\"",
        b"id",
        b"PAR1",
        b"PK\x03\x04",
        b"PK\x01\x02",
        b"PK\x05\x06",
        b"ids.npy",
        b"(3, 2)",
        b"'<f4'",
        b"\x15",
        b"\x19\x1c",
        b"\x80\x02",
    ],
    // The array in a sound archive, whose checksum fits.
    mend: Some(|bytes| {
        if bytes.starts_with(b"\x93NUMPY") {
            let ids: Vec<u8> = "abc".chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
            npz(&[("ids.npy", npy_of("<U1", false, "(3,)", &ids)), ("v.npy", bytes)])
        } else {
            bytes
        }
    }),
};

fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Three records: `id`, and two columns of numbers.
fn parquet_file() -> Vec<u8> {
    use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
    use parquet::file::writer::SerializedFileWriter;

    let schema = parquet::schema::parser::parse_message_type(
        "message vectors { required binary id (UTF8); required float x; required float y; }",
    );
    let mut file = SerializedFileWriter::new(Vec::new(), schema.unwrap().into(), std::sync::Arc::default()).unwrap();
    let mut group = file.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&["a", "b", "c"].map(ByteArray::from), None, None).unwrap();
    column.close().unwrap();
    while let Some(mut column) = group.next_column().unwrap() {
        column.typed::<FloatType>().write_batch(&[1.0, 2.5, -3.0], None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    file.into_inner().unwrap()
}
