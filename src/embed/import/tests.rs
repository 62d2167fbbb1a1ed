//! Every kind of source, as made by `tests/fixtures/make_fixtures.py`.

use std::fs;

use super::*;
use crate::data::VectorSource;
use crate::embed::export::{ExportFormat, export};
use crate::embed::store::{DigestOf, Status, Store};
use crate::progress::Silent;

const VECTORS: [[f32; 4]; 3] = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [-1.0, -2.0, -3.0, -0.5]];
const IDS: [&str; 3] = ["id-1", "id-2", "id-3"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn options() -> ImportOptions {
    ImportOptions {
        ids: None,
        encoder_name: "esm2".into(),
        modality: String::new(),
        dtype: Dtype::F32,
        pooling: None,
        force: false,
    }
}

fn run(source: &Path, options: &ImportOptions) -> Result<(tempfile::TempDir, Store)> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("store");
    let done = import(source, options, &out);
    assert_eq!(out.exists(), done.is_ok(), "nothing is left of a failed import");
    done?;
    let store = Store::open(&out)?;
    Ok((folder, store))
}

fn message(source: &Path, options: &ImportOptions) -> String {
    let error = run(source, options).unwrap_err();
    format!("{error}; {}", error.help())
}

fn assert_holds(store: &Store, expected: &[[f32; 4]; 3]) {
    for (record, (id, vector)) in store.records().zip(IDS.iter().zip(expected)) {
        let mut found = [0.0; 4];
        store.copy_row(record.row.unwrap(), &mut found);
        assert_eq!((record.id, &found), (*id, vector));
    }
    assert_eq!(store.n_records(), 3);
}

#[test]
fn every_kind_of_source_gives_the_same_vectors() {
    let with_ids = ImportOptions { ids: Some(fixture("ids.txt")), ..options() };
    for name in ["c_f16.npy", "c_f32.npy", "fortran_f64.npy", "big_endian.npy", "stored.npz"] {
        assert_holds(&run(&fixture(name), &with_ids).unwrap().1, &VECTORS);
    }
    let pickles = ["dict_2.pkl", "dict_3.pkl", "dict_4.pkl", "dict_5.pkl", "lists.pkl", "scalars.pkl", "one_row.pkl"];
    let others = ["stored.npz", "deflated.npz", "dict.pt", "strided_f16.pt", "list_snappy.parquet", "columns.parquet"];
    for name in pickles.into_iter().chain(others).chain(["extract"]) {
        let (_folder, store) = run(&fixture(name), &options()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_holds(&store, &VECTORS);
        let pooling = if name == "extract" { "mean" } else { "imported" };
        assert_eq!((store.encoder().name.as_str(), store.encoder().pooling.as_str()), ("esm2", pooling));
        assert_eq!(store.detail().digest_of, DigestOf::Vector);
    }
}

#[test]
fn several_rows_are_pooled_as_asked_and_refused_otherwise() {
    let pooled = |pooling| ImportOptions { pooling: Some(pooling), ..options() };
    let help = message(&fixture("rows.pkl"), &options());
    assert!(help.contains("'id-1' has 2 rows") && help.contains("--pooling"), "{help}");
    assert_holds(&run(&fixture("rows.pkl"), &pooled(RowPooling::Mean)).unwrap().1, &VECTORS);
    let first = VECTORS.map(|vector| vector.map(|x| x - 1.0));
    assert_holds(&run(&fixture("rows.pkl"), &pooled(RowPooling::Cls)).unwrap().1, &first);
    let bos = VECTORS.map(|vector| vector.map(|x| x + 1.0));
    let (_folder, store) = run(&fixture("extract"), &pooled(RowPooling::Cls)).unwrap();
    assert_holds(&store, &bos);
    assert_eq!(store.encoder().pooling, "cls");
}

#[test]
fn tables_of_text_with_and_without_header_and_gzip() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    let rows = |delimiter: &str| -> String {
        let line = |(id, v): (&&str, &[f32; 4])| {
            let cells: Vec<_> = v.iter().map(f32::to_string).collect();
            format!("{id}{delimiter}{}\n", cells.join(delimiter))
        };
        IDS.iter().zip(&VECTORS).map(line).collect()
    };
    for text in [rows(","), rows("\t"), format!("id,a,b,c,d\n{}", rows(",")), rows(", ").replace('\n', "\r\n")] {
        fs::write(&path, text).unwrap();
        assert_holds(&run(&path, &options()).unwrap().1, &VECTORS);
    }
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, rows("\t").as_bytes()).unwrap();
    fs::write(&path, gz.finish().unwrap()).unwrap();
    assert_holds(&run(&path, &options()).unwrap().1, &VECTORS);
}

#[test]
fn what_cannot_be_a_vector_is_refused_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    fs::write(&path, "a,1,2\nb,NaN,2\nc,,3\nd,inf,0\na,1,2\na,1,3\ne,1,2\n").unwrap();
    let (_folder, store) = run(&path, &options()).unwrap();
    let found: Vec<_> = store.records().map(|record| record.status).collect();
    let nan = Status::Nonfinite;
    assert_eq!(found, [Status::Ok, nan, nan, nan, Status::DuplicateId, Status::ConflictingId, Status::Ok]);
    assert_eq!(store.n_rows(), 1, "equal vectors share a row");
    for (text, expected) in [
        ("a,1,2\nb,1\n", "'b' has 1 numbers"),
        ("a,1,2\nb,1,x\n", ":2: record 'b': column 3"),
        ("a,1,2\nb\n", ":2: record 'b'"),
        ("a,b\n", "no vector"),
        ("", "empty"),
        ("just words\r\n", "no number"),
        ("\0\0\0\0", "neither text"),
    ] {
        fs::write(&path, text).unwrap();
        let found = message(&path, &options());
        assert!(found.contains(expected), "{text:?}: {found}");
    }
    fs::write(&path, b"\x89HDF\r\n\x1a\n").unwrap();
    assert!(message(&path, &options()).contains("h5py"));
}

#[test]
fn lines_and_ids_beyond_their_limits_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let long = "x".repeat(crate::seq::MAX_ID);
    fs::write(&path, format!("{long}x,1,2\n{long},3,4\nb,5,6\n")).unwrap();
    let (_folder, store) = run(&path, &options()).unwrap();
    let found: Vec<_> = store.records().map(|record| (record.status, record.id.len())).collect();
    assert_eq!(found, [(Status::LongId, long.len()), (Status::Ok, long.len()), (Status::Ok, 1)]);
    // A line without an end is not held.
    fs::write(&path, format!("a,1,2\nb,{}\n", "1".repeat(crate::files::input::MAX_LINE))).unwrap();
    let found = message(&path, &options());
    assert!(found.contains(":2: the line is longer than 1048576 bytes"), "{found}");
}

#[test]
fn an_archive_that_expands_beyond_measure_is_refused() {
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.npz");
    let zeros = vec![0; 1 << 20];
    let pack = |mib: usize| {
        let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        archive.start_file("vectors.npy", SimpleFileOptions::default()).unwrap();
        (0..mib).for_each(|_| archive.write_all(&zeros).unwrap());
        archive.finish().unwrap();
        message(&path, &ImportOptions { ids: Some(fixture("ids.txt")), ..options() })
    };
    let found = pack(96);
    assert!(found.contains("expand to 100663296 (limit 256-fold)") && found.contains("numpy.savez"), "{found}");
    // Less than 64 MiB are taken whatever the ratio, and read: zeros are no array.
    assert!(pack(32).contains("not a whole .npy"));
}

#[test]
fn ids_and_vectors_must_fit() {
    let folder = tempfile::tempdir().unwrap();
    let ids = folder.path().join("ids");
    let with = |text: &str| {
        fs::write(&ids, text).unwrap();
        ImportOptions { ids: Some(ids.clone()), ..options() }
    };
    let npy = fixture("c_f32.npy");
    assert!(message(&npy, &with("a\nb\n")).contains("3 vectors, but 2 ids"));
    assert!(message(&npy, &with("a\n\nb\n")).contains(":2:"));
    assert!(message(&npy, &options()).contains("--ids"));
    assert!(message(&fixture("dict_4.pkl"), &with("a\n")).contains("--ids"));
    assert!(message(&folder.path().join("absent"), &options()).contains("absent"));
    assert!(message(folder.path(), &options()).contains("no .pt"));
}

#[test]
fn a_pickle_that_asks_for_code_is_refused_by_name() {
    for (name, global) in [
        ("evil_reduce.pkl", "posix.system"),
        ("evil_stack_global.pkl", "builtins.eval"),
        ("evil_inst.pkl", "os.system"),
    ] {
        let found = message(&fixture(name), &options());
        assert!(found.contains(global) && found.contains("nothing was executed"), "{found}");
    }
}

#[test]
fn cut_and_changed_files_are_errors_or_harmless_but_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    let out = folder.path().join("store");
    for name in ["dict_5.pkl", "dict.pt", "deflated.npz", "fortran_f64.npy", "list_snappy.parquet"] {
        let good = fs::read(fixture(name)).unwrap();
        let options =
            ImportOptions { ids: name.ends_with("npy").then(|| fixture("ids.txt")), force: true, ..options() };
        for at in (0..good.len()).step_by(1 + good.len() / 50) {
            fs::write(&path, &good[..at]).unwrap();
            assert!(import(&path, &options, &out).is_err(), "{name} cut at {at}");
            let mut changed = good.clone();
            changed[at] ^= 0x41;
            fs::write(&path, &changed).unwrap();
            let _ = import(&path, &options, &out);
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    /// From a table to a store, to each exported file, to a store again: the same ids and vectors.
    #[test]
    fn vectors_come_back_from_every_export(
        records in proptest::collection::btree_map("[a-zA-Z0-9,\"|:é./-]{1,10}", proptest::array::uniform3(-1e30f32..1e30), 1..8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source.csv");
        let mut writer = csv::Writer::from_path(&source).unwrap();
        writer.write_record(["id", "x", "y", "z"]).unwrap();
        for (id, vector) in &records {
            writer.write_record([id.clone(), vector[0].to_string(), vector[1].to_string(), vector[2].to_string()]).unwrap();
        }
        writer.flush().unwrap();
        let held = |store: &Store| -> Vec<(String, [f32; 3])> {
            let vector = |row| {
                let mut vector = [0.0; 3];
                store.copy_row(row, &mut vector);
                vector
            };
            store.records().map(|record| (record.id.to_owned(), vector(record.row.unwrap()))).collect()
        };
        let (_first, store) = run(&source, &options()).unwrap();
        assert_eq!(held(&store), records.into_iter().collect::<Vec<_>>());
        for format in [ExportFormat::Parquet, ExportFormat::Csv] {
            let out = folder.path().join("exported");
            export(&store, format, &out, &Silent).unwrap();
            assert_eq!(held(&run(&out, &options()).unwrap().1), held(&store), "{format:?}");
        }
    }
}
