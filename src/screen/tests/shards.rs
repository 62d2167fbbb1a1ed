//! Screens in shards beside the same screen in one process.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rustc_hash::FxHashSet;

use super::super::*;
use super::screening::{Case, Draw, any_case, store};
use crate::backend::Cpu;
use crate::error::Result;
use crate::files::Shard;
use crate::progress::Silent;
use crate::train::Model;

/// A case with its files.
struct Setting {
    model: Model,
    targets: Library,
    library: Library,
    excluded: FxHashSet<(u32, u32)>,
    folder: tempfile::TempDir,
    case: Case,
}

impl Setting {
    fn new(case: Case) -> Self {
        let draw = &mut Draw(case.seed);
        let (model, folder) = (case.model(draw), tempfile::tempdir().unwrap());
        let [d_targets, d_entries] = case.widths(&model);
        let mut library = |name: &str, n: usize, d: usize| {
            let vectors: Vec<Vec<f32>> = (0..n).map(|_| (0..d).map(|_| draw.number(case.levels)).collect()).collect();
            Library::new(&[store(folder.path(), name, &vectors)]).unwrap()
        };
        let (targets, library) = (library("t", case.n_targets, d_targets), library("e", case.n_entries, d_entries));
        let excluded = [(0, 0), (0, 3), (1, 2)].into_iter().collect();
        Self { model, targets, library, excluded, folder, case }
    }

    fn screening(&self, shard: Shard, folded: Option<&'static str>) -> Screening<'_> {
        Screening {
            model: &self.model,
            targets: &self.targets,
            library: &self.library,
            rows: shard.range(self.library.n_rows()),
            targets_side: self.case.side,
            label: 0,
            top_k: self.case.k,
            min_score: None,
            excluded: &self.excluded,
            folded: folded.map(|name| (Path::new(name), crate::embed::store::Dtype::F32)),
        }
    }

    /// The table of one process.
    fn whole(&self, name: &str) -> Vec<u8> {
        let out = self.folder.path().join(name);
        let screening = self.screening(Shard::WHOLE, None);
        let mut table = HitTable::create(&out, &screening).unwrap();
        screening.run(&Cpu::single(), None, &Silent, |target, hits| table.push(target, hits)).unwrap();
        table.finish().unwrap();
        fs::read(out).unwrap()
    }

    fn shard(&self, name: &str, shard: Shard, rejects: (&str, usize)) -> Result<Screened> {
        let out = self.folder.path().join(name);
        screen_shard(&Cpu::single(), &self.screening(shard, None), (&out, shard), rejects, &Silent)
    }

    fn merge(&self, name: &str) -> Result<MergedScreen> {
        merge_shards(&self.folder.path().join(name), &Silent)
    }

    /// Everything in the folder but the stores.
    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| !matches!(name.as_str(), "t" | "e"));
        names.sort();
        names
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn shards_in_any_order_become_the_table_of_one_process(case in any_case(), count in 1usize..9) {
        let setting = Setting::new(case);
        let suffix = ["tsv", "csv", "parquet"][count % 3];
        let name = format!("shards.{suffix}");
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(setting.case.seed));
        for index in order {
            setting.shard(&name, Shard::new(index, count).unwrap(), ("", 0)).unwrap();
        }
        let merged = setting.merge(&name).unwrap();
        prop_assert_eq!((merged.shards, merged.targets), (count, setting.targets.len()));
        let same = fs::read(setting.folder.path().join(&name)).unwrap() == setting.whole(&format!("whole.{suffix}"));
        prop_assert!(same, "{:?} in {count} shards", setting.case);
    }
}

fn setting(seed: u64) -> Setting {
    Setting::new(Case { seed, ..super::screening::large(crate::models::fusion::Fusion::Static, &[4], 60, 1 << 20, 7) })
}

#[test]
fn what_is_done_is_not_done_again() {
    let setting = setting(3);
    let shard = |index: usize| setting.shard("hits.tsv", Shard { index, count: 3 }, ("file\tid\n", 2)).unwrap();
    let place = |index: usize| Shard { index, count: 3 }.place(&setting.folder.path().join("hits.tsv"));
    assert!(matches!(shard(0), Screened::Written { hits: 14, .. }));
    assert_eq!(shard(0), Screened::UpToDate(place(0)));
    let error = setting.merge("hits.tsv").unwrap_err();
    assert!(error.to_string().contains("2 of the 3 shards") && error.to_string().contains("1/3, 2/3"), "{error}");
    shard(1);
    shard(2);
    let merged = setting.merge("hits.tsv").unwrap();
    assert_eq!((merged.hits, merged.rejected), (14, 2));
    let files = ["hits.tsv", "hits.tsv.b3", "hits.tsv.rejects.tsv", "hits.tsv.rejects.tsv.b3", "hits.tsv.shards"];
    assert_eq!(setting.names(), files);
    // A second merge, and a shard that comes late.
    assert_eq!(setting.merge("hits.tsv").unwrap().shards, 0);
    assert_eq!(shard(1), Screened::Merged(setting.folder.path().join("hits.tsv")));
    assert_eq!(setting.names(), files);
    // Another table in its place is not taken for it.
    let bytes = setting.whole("hits.tsv");
    assert!(matches!(shard(1), Screened::Merged(_)), "the same bytes are the same table");
    fs::write(setting.folder.path().join("hits.tsv.b3"), "of another table").unwrap();
    assert!(
        matches!(shard(1), Screened::Written { .. }) && !is_merged(&setting.folder.path().join("hits.tsv")).unwrap()
    );
    shard(0);
    shard(2);
    assert_eq!(setting.merge("hits.tsv").unwrap().shards, 3);
    assert!(fs::read(setting.folder.path().join("hits.tsv")).unwrap() == bytes);
}

#[test]
fn a_merge_that_was_killed_is_ended() {
    let setting = setting(3);
    let out = setting.folder.path().join("hits.tsv");
    let make = || (0..2).for_each(|index| drop(setting.shard("hits.tsv", Shard { index, count: 2 }, ("", 0)).unwrap()));
    make();
    let (shards, kept) = (Shard::folder_of(&out), setting.folder.path().join("kept"));
    fs::rename(&shards, &kept).unwrap();
    make();
    setting.merge("hits.tsv").unwrap();
    let left = || fs::read_dir(&shards).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(left(), ["manifest.json"]);
    // The table and its record are there, and of the shards one is there, the other removed in part.
    for index in 0..2 {
        let name = Shard { index, count: 2 }.name();
        fs::rename(kept.join(&name), shards.join(&name)).unwrap();
    }
    fs::remove_file(shards.join("00000-of-00002/manifest.json")).unwrap();
    assert!(is_merged(&out).unwrap());
    assert_eq!(setting.merge("hits.tsv").unwrap().shards, 0);
    assert_eq!(left(), ["manifest.json"]);
}

#[test]
fn shards_of_another_screen_and_damaged_ones_are_not_joined() {
    let setting = setting(3);
    let out = setting.folder.path().join("hits.tsv");
    let shard = |index: usize| setting.shard("hits.tsv", Shard { index, count: 2 }, ("", 0)).unwrap();
    let other = Shard { index: 1, count: 2 };
    let fewer = Screening { top_k: 3, ..setting.screening(other, None) };
    shard(0);
    screen_shard(&Cpu::single(), &fewer, (&out, other), ("", 0), &Silent).unwrap();
    let error = setting.merge("hits.tsv").unwrap_err();
    assert!(error.to_string().contains("00001-of-00002: is of another model, library or setting"), "{error}");
    // Run again with the flags of the first, it takes the place of the other.
    assert!(matches!(shard(1), Screened::Written { .. }));
    let path = other.place(&out).join("hits.tsv");
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[200] ^= 1;
    fs::write(&path, damaged).unwrap();
    let error = setting.merge("hits.tsv").unwrap_err();
    assert!(error.to_string().contains("hits.tsv") && error.help().contains("verify"), "{error}");
    assert!(!out.exists());
    fs::write(&path, whole).unwrap();
    setting.merge("hits.tsv").unwrap();
    assert!(fs::read(&out).unwrap() == setting.whole("whole.tsv"));
}

#[test]
fn a_folded_library_of_a_shard_has_its_rows_alone() {
    let setting = setting(5);
    let folded: &'static str = setting.folder.path().join("folded").to_string_lossy().into_owned().leak();
    let out = setting.folder.path().join("hits.tsv");
    let kept = || fs::read_dir(folded).map_or(0, Iterator::count);
    for again in [false, true] {
        for index in 0..3 {
            let shard = Shard { index, count: 3 };
            let screening = setting.screening(shard, Some(folded));
            if again {
                fs::remove_dir_all(shard.place(&out)).unwrap();
            }
            screen_shard(&Cpu::single(), &screening, (&out, shard), ("", 0), &Silent).unwrap();
            assert_eq!(kept(), if again { 3 } else { index + 1 });
        }
    }
    setting.merge("hits.tsv").unwrap();
    assert!(fs::read(&out).unwrap() == setting.whole("whole.tsv"));
    // Where the whole is folded, shards take it.
    fs::remove_dir_all(folded).unwrap();
    let whole = setting.screening(Shard::WHOLE, Some(folded));
    whole.run(&Cpu::single(), None, &Silent, |_, _| Ok(())).unwrap();
    let shard = Shard { index: 1, count: 3 };
    fs::remove_dir_all(Shard::folder_of(&out)).unwrap();
    screen_shard(&Cpu::single(), &setting.screening(shard, Some(folded)), (&out, shard), ("", 0), &Silent).unwrap();
    assert_eq!(kept(), 1);
}
