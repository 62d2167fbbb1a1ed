//! Shards of a store, merged, are the store that one process makes.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::embed::export::{ExportFormat, export, export_residues};
use crate::embed::pipeline::{CHECKPOINT, EmbedOptions, Embedded, embed};
use crate::embed::store::{Flags, ResidueStore, Status};
use crate::embed::{Measure, Pooling, Prepared, ReadAhead, RecordEncoder, RecordKind, Refusal, Vectors};
use crate::progress::Silent;
use crate::seq::Alphabet;

const DIM: usize = 3;
const BOTH: [Pooling; 2] = [Pooling::Mean, Pooling::PerResidue];

/// Positions of letters; refuses sequences of more than 12 letters, and makes NaN of those that begin with two Ns.
#[derive(Default)]
struct Toy {
    encoded: usize,
    /// Ends with this error when so many calls are behind.
    fails: Option<(usize, fn() -> Error)>,
    calls: usize,
}

impl RecordEncoder for Toy {
    type Item<'a> = &'a [u8];

    fn kind(&self) -> RecordKind {
        RecordKind::Sequences(Alphabet::Rna)
    }
    fn poolings(&self) -> &[Pooling] {
        &BOTH
    }
    fn identity(&self, pooling: Pooling) -> EncoderIdentity {
        EncoderIdentity { name: "toy".into(), digest: "w".into(), pooling: pooling.name().into() }
    }
    fn dim(&self, _pooling: Pooling) -> usize {
        DIM
    }
    fn read_ahead(&self, _poolings: &[Pooling]) -> ReadAhead {
        ReadAhead { records: 3, letters: 40 }
    }
    fn measure(&self) -> Measure {
        Measure::Tokens
    }
    fn prepare<'a>(&self, letters: &'a [u8], _poolings: &[Pooling]) -> Result<Prepared<&'a [u8]>, Refusal> {
        if letters.len() > 12 {
            return Err(Refusal { status: Status::TooLarge, reason: format!("{} letters", letters.len()) });
        }
        Ok(Prepared { item: letters, flags: Flags::default() })
    }
    fn rows(&self, item: &&[u8], pooling: Pooling) -> usize {
        if pooling == Pooling::Mean { 1 } else { item.len() }
    }
    fn encode(
        &mut self,
        items: &[&[u8]],
        _poolings: &[Pooling],
        vectors: &mut [Vectors],
        _progress: &dyn Progress,
    ) -> Result<Vec<(usize, Refusal)>> {
        self.calls += 1;
        if let Some((calls, error)) = self.fails
            && self.calls > calls
        {
            return Err(error());
        }
        self.encoded += items.len();
        for vectors in vectors {
            for (item, numbers) in items.iter().zip(vectors.iter_mut()) {
                let bad = if item.starts_with(b"NN") { f32::NAN } else { 0.0 };
                for (k, (&letter, number)) in item.iter().cycle().zip(numbers).enumerate() {
                    *number = f32::from(letter) * (k + 1) as f32 + item.len() as f32 + bad;
                }
            }
        }
        Ok(Vec::new())
    }
}

/// A folder with an input of `n` records in which ids and sequences repeat, and some cannot be encoded.
struct Bench {
    folder: tempfile::TempDir,
    checkpoint: Duration,
}

impl Bench {
    fn new(n: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut text = String::new();
        for i in 0..n {
            let id = if i % 5 == 0 { i / 3 } else { i };
            let sequence = match i % 11 {
                3 => "NNACG".to_owned(),
                5 => String::new(),
                7 => "ACGU".repeat(4),
                _ => ["A", "CG", "GUA", "U"][i % 4].repeat(1 + i * i % 3) + ["", "C", "GG"][i % 7 % 3],
            };
            writeln!(text, ">r{id}\n{sequence}").unwrap();
        }
        fs::write(folder.path().join("in.fa"), text).unwrap();
        Self { folder, checkpoint: CHECKPOINT }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn embed(&self, toy: &mut Toy, poolings: &[Pooling], shard: Shard, out: &str) -> Result<Embedded> {
        let options = EmbedOptions { shard, checkpoint: self.checkpoint, ..EmbedOptions::of(Dtype::F32) };
        embed(&self.path("in.fa"), toy, poolings, options, &self.path(out), &Silent)
    }

    fn shards(&self, poolings: &[Pooling], order: &[usize], out: &str) {
        for &index in order {
            let shard = Shard { index, count: order.len() };
            self.embed(&mut Toy::default(), poolings, shard, out).unwrap();
        }
    }

    /// What a store is to a reader: vectors, table of records, totals, and the refusals but for their lines: a shard does
    /// not know those of ids that another shard has.
    fn content(&self, store: &Path) -> (Vec<Vec<u8>>, Vec<String>, (usize, usize)) {
        let to = self.path("exported.npy");
        let (files, totals) = if store.ends_with("per-residue") {
            let store = ResidueStore::open_residues(store).unwrap();
            (export_residues(&store, ExportFormat::Npy, &to, &Silent).unwrap(), (store.n_rows(), store.n_records()))
        } else {
            let store = Store::open(store).unwrap();
            let totals = (store.detail().vectors, store.n_records());
            (export(&store, ExportFormat::Npy, &to, &Silent).unwrap(), totals)
        };
        let bytes = files.iter().map(|file| fs::read(file).unwrap()).collect();
        let rejects = fs::read_to_string(store.join("rejects.tsv")).unwrap_or_default();
        let refusals = rejects.lines().map(|line| line.split_once('\t').unwrap().1.to_owned());
        (bytes, refusals.collect(), totals)
    }
}

fn written(filled: Result<Filled>) -> StoreSummary {
    match filled.unwrap() {
        Filled::Written(summary) => summary,
        Filled::UpToDate(detail) => panic!("up to date: {detail:?}"),
    }
}

#[test]
fn merged_shards_are_the_store_of_one_process() {
    let bench = Bench::new(90);
    bench.embed(&mut Toy::default(), &BOTH, Shard::WHOLE, "whole").unwrap();
    for (i, order) in [&[0, 1][..], &[2, 0, 1], &[4, 1, 3, 0, 6, 2, 5], &[1, 0]].into_iter().enumerate() {
        let out = format!("out{i}");
        bench.shards(&BOTH, order, &out);
        for name in ["mean", "per-residue"] {
            let (whole, store) = (bench.path("whole").join(name), bench.path(&out).join(name));
            let summary = written(merge_shards(&store, &Silent));
            assert!(bench.content(&store) == bench.content(&whole), "{order:?} {name}");
            assert_eq!(summary.refused, Store::describe(&whole).unwrap().refused);
            assert!(!Shard::folder_of(&store).exists());
            assert!(crate::files::verify::verify(&store, &Silent).unwrap().faults.is_empty());
            assert!(matches!(merge_shards(&store, &Silent).unwrap(), Filled::UpToDate(_)));
        }
    }
}

#[test]
fn there_may_be_more_shards_than_records() {
    let bench = Bench::new(4);
    bench.embed(&mut Toy::default(), &BOTH[..1], Shard::WHOLE, "whole").unwrap();
    bench.shards(&BOTH[..1], &[8, 0, 1, 2, 3, 4, 5, 6, 7], "out");
    written(merge_shards(&bench.path("out"), &Silent));
    assert!(bench.content(&bench.path("out")) == bench.content(&bench.path("whole")));
}

#[test]
fn a_sequence_of_several_shards_has_the_vector_of_the_first_and_a_taken_id_none() {
    let bench = Bench::new(0);
    fs::write(bench.path("in.fa"), ">a\nACG\n>b\nGGG\n>c\nACG\n>a\nUUU\n>d\nUUU\n>e\nGGG\n").unwrap();
    bench.embed(&mut Toy::default(), &BOTH[..1], Shard::WHOLE, "whole").unwrap();
    bench.shards(&BOTH[..1], &[0, 1, 2], "out");
    written(merge_shards(&bench.path("out"), &Silent));
    let store = Store::open(bench.path("out")).unwrap();
    let records: Vec<_> = store.records().map(|record| (record.row, record.status.name())).collect();
    let expected =
        [(Some(0), "ok"), (Some(1), "ok"), (Some(0), "ok"), (None, "conflicting-id"), (Some(2), "ok"), (Some(1), "ok")];
    assert_eq!(records, expected);
    // Two sequences were encoded in each shard, three of them are different.
    assert_eq!(store.detail().parts.iter().map(|part| part.rows).sum::<usize>(), 6);
    assert!(bench.content(&bench.path("out")) == bench.content(&bench.path("whole")));
}

#[test]
fn a_shard_that_was_stopped_goes_on_and_nothing_is_encoded_twice() {
    let bench = Bench { checkpoint: Duration::ZERO, ..Bench::new(40) };
    bench.embed(&mut Toy::default(), &BOTH, Shard::WHOLE, "whole").unwrap();
    let shard = Shard { index: 0, count: 2 };
    bench.shards(&BOTH, &[0, 1], "undisturbed");
    let undisturbed = fs::read_dir(bench.path("undisturbed")).unwrap().count();
    let mut all = Toy::default();
    bench.embed(&mut all, &BOTH, shard, "count").unwrap();
    for error in [|| Error::Interrupted, || Error::data("the encoder broke", "mend it")] {
        let mut encoded = 0;
        for calls in [0, 1, 3, usize::MAX] {
            let mut toy = Toy { fails: Some((calls, error)), ..Toy::default() };
            let outcome = bench.embed(&mut toy, &BOTH, shard, "out");
            assert_eq!(outcome.is_ok(), calls == usize::MAX);
            encoded += toy.encoded;
        }
        assert_eq!(encoded, all.encoded);
        let place = |out: &str| shard.place(&bench.path(out).join("mean"));
        assert!(!place("out").join(".partial").exists());
        bench.embed(&mut Toy::default(), &BOTH, Shard { index: 1, count: 2 }, "out").unwrap();
        for name in ["mean", "per-residue"] {
            written(merge_shards(&bench.path("out").join(name), &Silent));
            let store = bench.path("out").join(name);
            assert!(bench.content(&store) == bench.content(&bench.path("whole").join(name)), "{name}");
        }
        assert_eq!(fs::read_dir(bench.path("out")).unwrap().count(), undisturbed);
        fs::remove_dir_all(bench.path("out")).unwrap();
    }
}

#[test]
fn a_finished_shard_is_left_alone_also_when_it_is_merged() {
    let bench = Bench::new(30);
    let again = |index: usize| {
        let mut toy = Toy { fails: Some((0, || Error::Interrupted)), ..Toy::default() };
        let outcome = bench.embed(&mut toy, &BOTH[..1], Shard { index, count: 2 }, "out").unwrap();
        assert!(matches!(outcome.stores[..], [Filled::UpToDate(_)]));
    };
    bench.shards(&BOTH[..1], &[0, 1], "out");
    again(0);
    written(merge_shards(&bench.path("out"), &Silent));
    again(1);
    assert!(!Shard::folder_of(&bench.path("out")).exists());
}

#[test]
fn a_merge_that_was_killed_before_it_could_tidy_up_is_ended() {
    let bench = Bench::new(30);
    bench.shards(&BOTH[..1], &[0, 1, 2], "out");
    bench.shards(&BOTH[..1], &[0, 1, 2], "copy");
    let (out, copy) = (bench.path("out"), bench.path("copy"));
    written(merge_shards(&out, &Silent));
    fs::rename(Shard::folder_of(&copy), Shard::folder_of(&out)).unwrap();
    fs::remove_dir_all(Shard { index: 1, count: 3 }.place(&out)).unwrap();
    assert!(matches!(merge_shards(&out, &Silent).unwrap(), Filled::UpToDate(_)));
    assert!(!Shard::folder_of(&out).exists());
}

#[test]
fn gaps_damage_and_strangers_are_refused() {
    let bench = Bench::new(60);
    let (out, whole) = (bench.path("out"), Shard { index: 1, count: 3 });
    bench.shards(&BOTH[..1], &[0, 1, 2], "out");
    let place = whole.place(&out);
    let refused = |part: &str| {
        let error = merge_shards(&out, &Silent).unwrap_err();
        assert!(error.to_string().contains(part) && !error.help().is_empty(), "{error}");
        assert!(!out.exists() && place.parent().unwrap().exists());
    };
    for name in ["vec/part-00000.safetensors", "ids/part-00000.parquet", "rejects.tsv"] {
        let good = fs::read(place.join(name)).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        fs::write(place.join(name), bad).unwrap();
        refused("have changed");
        fs::write(place.join(name), good).unwrap();
    }
    fs::rename(&place, bench.path("away")).unwrap();
    refused("1 of the 3 shards");
    // The same shard of another input, and of another setting.
    fs::copy(bench.path("in.fa"), bench.path("kept.fa")).unwrap();
    fs::write(bench.path("in.fa"), ">x\nACGU\n>y\nAC\n>z\nGG\n").unwrap();
    bench.embed(&mut Toy::default(), &BOTH[..1], whole, "out").unwrap();
    refused("another input");
    fs::remove_dir_all(&place).unwrap();
    fs::rename(bench.path("kept.fa"), bench.path("in.fa")).unwrap();
    let options = EmbedOptions { shard: whole, max_length: Some(5), ..EmbedOptions::of(Dtype::F32) };
    embed(&bench.path("in.fa"), &mut Toy::default(), &BOTH[..1], options, &out, &Silent).unwrap();
    refused("another input, encoder or setting");
    fs::remove_dir_all(&place).unwrap();
    fs::rename(bench.path("away"), &place).unwrap();
    written(merge_shards(&out, &Silent));
    // Shards of something else do not touch a finished store.
    fs::write(bench.path("in.fa"), ">x\nACGU\n").unwrap();
    let options = EmbedOptions { shard: Shard { index: 0, count: 1 }, ..EmbedOptions::of(Dtype::F32) };
    assert!(embed(&bench.path("in.fa"), &mut Toy::default(), &BOTH[..1], options, &out, &Silent).is_err());
    bench.shards(&BOTH[..1], &[0, 1], "out");
    let error = merge_shards(&out, &Silent).unwrap_err();
    assert!(error.to_string().contains("finished store"), "{error}");
}
