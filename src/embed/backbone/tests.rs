//! The whole way from FASTA to stores over a network that can be computed by hand.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::data::VectorSource;
use crate::embed::Store;
use crate::embed::export::{ExportFormat, export_residues};
use crate::embed::pipeline::{EmbedOptions, Embedded, Filled, LongSequences, embed};
use crate::embed::store::{Dtype, ResidueStore};
use crate::error::Error;
use crate::progress::Silent;

const WIDTH: usize = 3;

/// Of a sequence of ids `t₀ … tₙ₋₁`: state `i` is `[tᵢ, i, Σt / n]`, so that it depends on the letter, on its place, and
/// on the whole sequence. It notes the tokens of each batch, and has memory for so many.
struct Fake {
    results: VecDeque<Vec<Vec<f32>>>,
    batches: Arc<Mutex<Vec<usize>>>,
    room: usize,
}

impl Default for Fake {
    fn default() -> Self {
        Self { results: VecDeque::new(), batches: Arc::default(), room: usize::MAX }
    }
}

impl Fake {
    fn states(batch: &TokenBatch) -> Vec<f32> {
        let of = |rows: Range<usize>| {
            let ids = &batch.ids()[rows];
            let mean = ids.iter().map(|&id| id as f32).sum::<f32>() / ids.len() as f32;
            ids.iter().enumerate().flat_map(move |(i, &id)| [id as f32, i as f32, mean])
        };
        batch.sequences().flat_map(of).collect()
    }
}

impl TokenEncoder for Fake {
    fn d_model(&self) -> usize {
        WIDTH
    }
    fn workspace_bytes(&self, n_tokens: usize) -> u64 {
        1000 * n_tokens as u64
    }
    fn begin(&mut self, batch: &TokenBatch, wanted: &[Wanted]) -> Result<()> {
        if batch.n_tokens() > self.room {
            return Err(Error::DeviceMemory { device: "fake".into(), doing: format!("{} tokens", batch.n_tokens()) });
        }
        self.batches.lock().unwrap().push(batch.n_tokens());
        let states = Self::states(batch);
        let mean = |segment: &Range<usize>, k: usize| {
            segment.clone().map(|row| states[row * WIDTH + k]).sum::<f32>() / segment.len() as f32
        };
        let result = |wanted: &Wanted| match wanted {
            Wanted::Means(segments) => segments.iter().flat_map(|s| (0..WIDTH).map(move |k| mean(s, k))).collect(),
            Wanted::States(rows) => states[rows.start * WIDTH..rows.end * WIDTH].to_vec(),
        };
        self.results.push_back(wanted.iter().map(result).collect());
        Ok(())
    }
    fn end(&mut self) -> Result<Vec<Vec<f32>>> {
        Ok(self.results.pop_front().unwrap())
    }
}

const OPTIONS: EmbedOptions = EmbedOptions::of(Dtype::F32);
const ALL: [Pooling; 4] = [Pooling::Mean, Pooling::Cls, Pooling::MeanWithSpecial, Pooling::PerResidue];

fn roomy(max_tokens: usize) -> BackboneOptions {
    BackboneOptions { max_tokens, max_memory: u64::MAX, window: None }
}

fn card() -> BackboneCard {
    BackboneCard { name: "fake".into(), digest: "w".into(), trained_residues: 1022 }
}

fn backbone(vocabulary: &str, options: BackboneOptions) -> BackboneEncoder<Fake> {
    BackboneEncoder::new(Fake::default(), Vocabulary::by_name(vocabulary).unwrap(), card(), options)
}

fn run(
    folder: &Path,
    fasta: &str,
    mut backbone: BackboneEncoder<Fake>,
    poolings: &[Pooling],
    options: EmbedOptions,
) -> Result<Embedded> {
    let input = folder.join("in.fa");
    fs::write(&input, fasta).unwrap();
    embed(&input, &mut backbone, poolings, options, &folder.join("store"), &Silent)
}

/// The pooled vector of each row.
fn rows(store: &Path) -> Vec<Vec<f32>> {
    let store = Store::open(store).unwrap();
    (0..store.n_rows())
        .map(|row| {
            let mut out = vec![0.0; store.dim()];
            store.copy_row(row, &mut out);
            out
        })
        .collect()
}

fn states(store: &Path) -> Vec<Vec<f32>> {
    let store = ResidueStore::open_residues(store).unwrap();
    (0..store.n_rows())
        .map(|row| {
            let mut out = vec![0.0; store.n_states(row) * WIDTH];
            store.copy_states(row, &mut out);
            out
        })
        .collect()
}

#[test]
fn poolings_by_hand_each_in_its_own_store() {
    let folder = tempfile::tempdir().unwrap();
    // Tokens 0 4 5 15 2 and 0 3 2; J is unknown, `*` is dropped, and the duplicate shares its row.
    let fasta = ">a\nlAK*\n>b\nJ\n>same\nLA K\n>none\n\n";
    let embedded = run(folder.path(), fasta, backbone("esm2", roomy(64)), &ALL, OPTIONS).unwrap();
    assert_eq!((embedded.work.letters, embedded.work.unknown, embedded.work.encoded), (7, 1, 8));
    let store = folder.path().join("store");
    let mean = |sum: u16, n: u16| f32::from(sum) / f32::from(n);
    assert_eq!(rows(&store.join("mean")), [[8.0, 2.0, mean(26, 5)], [3.0, 1.0, mean(5, 3)]]);
    assert_eq!(rows(&store.join("cls")), [[0.0, 0.0, mean(26, 5)], [0.0, 0.0, mean(5, 3)]]);
    assert_eq!(
        rows(&store.join("mean-with-special")),
        [[mean(26, 5), 2.0, mean(26, 5)], [mean(5, 3), 1.0, mean(5, 3)]]
    );
    let by_residue = states(&store.join("per-residue"));
    assert_eq!(by_residue[0], [4.0, 1.0, 5.2, 5.0, 2.0, 5.2, 15.0, 3.0, 5.2]);
    assert_eq!(by_residue[1], [3.0, 1.0, mean(5, 3)]);
    let npy = folder.path().join("states.npy");
    let residues = ResidueStore::open_residues(store.join("per-residue")).unwrap();
    let files = export_residues(&residues, ExportFormat::Npy, &npy, &Silent).unwrap();
    let bytes: Vec<Vec<u8>> = files[..2].iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(bytes[0][10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3), }"));
    assert_eq!(bytes[0][128..], *bytemuck::cast_slice::<f32, u8>(&by_residue.concat()));
    assert!(bytes[1][10..].starts_with(b"{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }"));
    assert_eq!(bytes[1][128..], *bytemuck::cast_slice::<i64, u8>(&[0, 3, 4]));
    assert!(export_residues(&residues, ExportFormat::Csv, &npy, &Silent).unwrap_err().help().contains("npy"));
    for pooling in ALL {
        let detail = Store::describe(&store.join(pooling.name())).unwrap();
        assert_eq!(
            (detail.layout.as_str(), detail.encoder.pooling.as_str()),
            (pooling.layout().name(), pooling.name())
        );
        assert_eq!((detail.records, detail.vectors, detail.refused["no-sequence"]), (4, 2, 1));
    }
    let opened = Store::open(store.join("mean")).unwrap();
    let records: Vec<_> = opened.records().map(|r| (r.row, r.length, r.unknown, r.flags.names())).collect();
    assert_eq!(records[0], (Some(0), 3, 0, "dropped-stop".into()));
    assert_eq!(records[1], (Some(1), 1, 1, String::new()));
    assert_eq!((records[2].0, records[3].0), (Some(0), None));
    // What is there is left; what is not is made.
    fs::remove_dir_all(store.join("cls")).unwrap();
    let again = run(folder.path(), fasta, backbone("esm2", roomy(8)), &ALL, OPTIONS).unwrap();
    let made: Vec<_> = again.stores.iter().map(|store| matches!(store, Filled::Written(_))).collect();
    assert_eq!(made, [false, true, false, false]);
    assert_eq!(rows(&store.join("cls"))[1], [0.0, 0.0, mean(5, 3)]);
}

#[test]
fn several_poolings_do_not_go_into_a_store() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), ">a\nMK\n", backbone("esm2", roomy(64)), &ALL[..1], OPTIONS).unwrap();
    let error = run(folder.path(), ">a\nMK\n", backbone("esm2", roomy(64)), &ALL[..2], OPTIONS).unwrap_err();
    assert!(error.to_string().contains("finished output"), "{error}");
}

#[test]
fn odd_lengths_and_letters() {
    let folder = tempfile::tempdir().unwrap();
    let mut fasta = String::new();
    for (id, sequence) in [
        ("one", "A".to_owned()),
        ("trained", "AC".repeat(511)),
        ("beyond", "AC".repeat(512)),
        ("long", "ACGUN".repeat(1000)),
        ("unknown", "EEEEé".to_owned()),
        ("lower", "acgu".to_owned()),
        ("dna", "ACGT".to_owned()),
        ("gaps", "A-C.G".to_owned()),
        ("zero", String::new()),
    ] {
        writeln!(fasta, ">{id}\n{sequence}").unwrap();
    }
    run(folder.path(), &fasta, backbone("rinalmo", roomy(100)), &ALL[..1], OPTIONS).unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    let found: Vec<_> =
        store.records().map(|r| (r.row, r.length, r.unknown, r.flags.names(), r.status.name())).collect();
    let plain = String::new();
    let beyond = "beyond-training".to_owned();
    let expected = [
        (Some(0), 1, 0, plain.clone(), "ok"),
        (Some(1), 1022, 0, plain.clone(), "ok"),
        (Some(2), 1024, 0, beyond.clone(), "ok"),
        (Some(3), 5000, 0, beyond, "ok"),
        (Some(4), 5, 5, plain.clone(), "ok"),
        (Some(5), 4, 0, plain.clone(), "ok"),
        (Some(5), 4, 0, plain.clone(), "ok"),
        // The published alphabet has the gap and not the dot.
        (Some(6), 5, 1, plain.clone(), "ok"),
        (None, 0, 0, plain, "no-sequence"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_budget_is_kept_and_too_large_is_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let fasta = ">a\nACGU\n>b\nAC\n>c\nACG\n>d\nACGUACGUACGU\n>e\nA\n";
    // Tokens 6, 4, 5, 14, 3.
    let network = Fake::default();
    let batches = Arc::clone(&network.batches);
    let options = BackboneOptions { max_tokens: 10, max_memory: 13_999, window: None };
    let vocabulary = Vocabulary::by_name("rinalmo").unwrap();
    let encoder = BackboneEncoder::new(network, vocabulary, card(), options);
    run(folder.path(), fasta, encoder, &ALL[..1], OPTIONS).unwrap();
    assert_eq!(*batches.lock().unwrap(), [6, 9, 3]);
    let store = Store::open(folder.path().join("store")).unwrap();
    let statuses: Vec<_> = store.records().map(|r| r.status.name()).collect();
    assert_eq!(statuses, ["ok", "ok", "ok", "too-large", "ok"]);
    let rejects = fs::read_to_string(folder.path().join("store/rejects.tsv")).unwrap();
    assert!(rejects.contains("--max-memory"), "{rejects}");
    // A budget that does not fit is made to fit.
    let small = backbone("rinalmo", BackboneOptions { max_tokens: 4096, max_memory: 600_000, window: None });
    assert_eq!(small.options.max_tokens, 512);
}

#[test]
fn a_device_without_memory_gets_half_and_no_row_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    // Tokens 6, 4, 5, 14, 3; c is also the sequence of f.
    let fasta = ">a\nACGU\n>b\nAC\n>c\nACG\n>d\nACGUACGUACGU\n>e\nA\n>f\nACG\n";
    let network = Fake { room: 10, ..Fake::default() };
    let batches = Arc::clone(&network.batches);
    let vocabulary = Vocabulary::by_name("rinalmo").unwrap();
    let encoder = BackboneEncoder::new(network, vocabulary, card(), roomy(100));
    run(folder.path(), fasta, encoder, &ALL[..1], OPTIONS).unwrap();
    // 32 tokens do not fit, nor do the 14 of d alone, nor 6 + 5 + 4 of the budget of 16 that came of it.
    assert_eq!(*batches.lock().unwrap(), [6, 5, 7]);
    let store = Store::open(folder.path().join("store")).unwrap();
    let found: Vec<_> = store.records().map(|r| (r.id, r.status.name(), r.row)).collect();
    let expected = [
        ("a", "ok", Some(0)),
        ("b", "ok", Some(1)),
        ("c", "ok", Some(2)),
        ("d", "too-large", None),
        ("e", "ok", Some(3)),
        ("f", "ok", Some(2)),
    ];
    assert_eq!(found, expected);
    let rejects = fs::read_to_string(folder.path().join("store/rejects.tsv")).unwrap();
    assert!(rejects.contains("12 letters: fake has no memory left: 14 tokens failed"), "{rejects}");
    let roomy_folder = tempfile::tempdir().unwrap();
    run(roomy_folder.path(), fasta, backbone("rinalmo", roomy(100)), &ALL[..1], OPTIONS).unwrap();
    let others = rows(&roomy_folder.path().join("store"));
    assert_eq!(rows(&folder.path().join("store")), [&others[..3], &others[4..]].concat());
}

#[test]
fn a_window_without_memory_refuses_its_sequence_alone() {
    let folder = tempfile::tempdir().unwrap();
    let network = Fake { room: 5, ..Fake::default() };
    let options = BackboneOptions { window: Some(4), ..roomy(64) };
    let encoder = BackboneEncoder::new(network, Vocabulary::by_name("rinalmo").unwrap(), card(), options);
    let averaged = EmbedOptions { max_length: Some(4), long: LongSequences::Window, ..OPTIONS };
    run(folder.path(), ">long\nACGUACGU\n>short\nACG\n", encoder, &ALL[..1], averaged).unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    let found: Vec<_> = store.records().map(|r| r.status.name()).collect();
    assert_eq!(found, ["too-large", "ok"]);
}

#[test]
fn long_ones_are_cut_refused_or_averaged() {
    let fasta = ">short\nACGU\n>long\nACGUA\n";
    let folder = tempfile::tempdir().unwrap();
    let cut = EmbedOptions { max_length: Some(4), long: LongSequences::Truncate, ..OPTIONS };
    run(folder.path(), fasta, backbone("rinalmo", roomy(64)), &ALL[..1], cut).unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    assert_eq!((store.record(1).row, store.record(1).flags.names()), (Some(0), "truncated".into()));

    let folder = tempfile::tempdir().unwrap();
    let averaged = EmbedOptions { max_length: Some(4), long: LongSequences::Window, ..OPTIONS };
    let windowed = |max_tokens| BackboneOptions { window: Some(4), ..roomy(max_tokens) };
    run(folder.path(), fasta, backbone("rinalmo", windowed(64)), &ALL, averaged).unwrap();
    let path = folder.path().join("store");
    let store = Store::open(path.join("mean")).unwrap();
    assert_eq!((store.record(0).flags.names(), store.record(1).flags.names()), (String::new(), "windowed".into()));
    // Windows 0 5 6 7 8 2 and 0 6 7 8 5 2: A C G U, C G U A.
    let mean = 28.0 / 6.0;
    let expected = [[5.0, 1.0], [6.0, 1.5], [7.0, 2.5], [8.0, 3.5], [5.0, 4.0]];
    let found = &states(&path.join("per-residue"))[1];
    for (state, [id, place]) in found.chunks_exact(WIDTH).zip(expected) {
        assert_eq!(state, [id, place, mean]);
    }
    assert_eq!(rows(&path.join("mean"))[1][..2], [31.0 / 5.0, 2.5]);
    assert_eq!(rows(&path.join("cls"))[1], [0.0, 0.0, mean]);
    assert_eq!(rows(&path.join("mean-with-special"))[1][..2], [33.0 / 7.0, 17.5 / 7.0]);
    // A store of windows is another encoder's, and one that was not told the width is refused.
    assert_ne!(
        backbone("rinalmo", windowed(64)).identity(Pooling::Mean),
        backbone("rinalmo", roomy(64)).identity(Pooling::Mean)
    );
    assert!(run(folder.path(), fasta, backbone("rinalmo", roomy(64)), &ALL, averaged).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn same_bits_alone_in_a_crowd_and_with_another_budget(
        sequences in proptest::collection::vec("[ACDEFGHIKLMNPQRSTVWYXJ]{1,60}", 1..40),
        budget in 4usize..400,
        window in 1usize..70,
    ) {
        let mut fasta = String::new();
        for (i, sequence) in sequences.iter().enumerate() {
            writeln!(fasta, ">s{i}\n{sequence}").unwrap();
        }
        let options = EmbedOptions { max_length: Some(window), long: LongSequences::Window, ..OPTIONS };
        let with = |max_tokens| backbone("esm2", BackboneOptions { window: Some(window), ..roomy(max_tokens) });
        let (crowd, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        run(crowd.path(), &fasta, with(100_000), &ALL, options).unwrap();
        run(other.path(), &fasta, with(budget), &ALL, options).unwrap();
        let store = crowd.path().join("store");
        for pooling in ALL {
            let read = |folder: &Path| fs::read(folder.join("store").join(pooling.name()).join("manifest.json")).unwrap();
            prop_assert!(read(crowd.path()) == read(other.path()));
        }
        let alone = tempfile::tempdir().unwrap();
        run(alone.path(), &format!(">x\n{}\n", sequences[0]), with(budget), &ALL, options).unwrap();
        for pooling in &ALL[..3] {
            let one = rows(&alone.path().join("store").join(pooling.name()));
            prop_assert_eq!(&one[0], &rows(&store.join(pooling.name()))[0]);
        }
        prop_assert_eq!(&states(&alone.path().join("store/per-residue"))[0], &states(&store.join("per-residue"))[0]);
    }
}
