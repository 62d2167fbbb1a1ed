use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::data::{EncoderIdentity, Entities, MemoryVectors, Pair};

/// Entities of which two neighbours share a sequence.
fn entities(prefix: &str, n: u32) -> Entities {
    Entities {
        ids: (0..n).map(|i| format!("{prefix}{i}")).collect(),
        rows: (0..n as usize).collect(),
        group: (0..n).map(|i| i / 2).collect(),
        length: vec![10; n as usize],
        digest: (0..n).map(|i| format!("{prefix}-sequence{}", i / 2)).collect(),
        source: Arc::new(MemoryVectors { dim: 1, values: vec![0.0; n as usize] }),
        encoder: EncoderIdentity { name: "none".into(), digest: String::new(), pooling: "mean".into() },
    }
}

/// Pairs of RNA, partner and label; rows 0, 2, 4, … of a file.
fn dataset(n_rna: u32, n_partner: u32, rows: &[(u32, u32, f32)], task: Task) -> Dataset {
    Dataset {
        rna: entities("r", n_rna),
        partner: entities("p", n_partner),
        pairs: rows
            .iter()
            .enumerate()
            .map(|(i, &(rna, partner, _))| Pair { rna, partner, row0: 2 * i as u32 })
            .collect(),
        labels: rows.iter().map(|row| row.2).collect(),
        label_names: vec!["label".into()],
        task,
    }
}

fn grid(n: u32) -> Dataset {
    let rows: Vec<_> =
        (0..n).flat_map(|r| (0..n).map(move |p| (r, p, f32::from(u8::from((r + p) % 3 == 0))))).collect();
    dataset(n, n, &rows, Task::Binary)
}

fn options(split: SplitKind, folds: usize) -> FoldOptions {
    FoldOptions { seeds: vec![0, 7], folds, split, inner: 0.1 }
}

fn groups(data: &Dataset, side: Side, rows: &[u32]) -> std::collections::BTreeSet<u32> {
    rows.iter().map(|&row| data.entities(side).group[data.pairs[row as usize].entity(side)]).collect()
}

proptest! {
    #[test]
    fn every_split_keeps_its_promise(
        rows in prop::collection::vec((0u32..16, 0u32..16, any::<bool>()), 60..200), folds in 2usize..5, seed in any::<u64>(),
        kind in prop::sample::select(vec![SplitKind::Random, SplitKind::Rna, SplitKind::Partner, SplitKind::Both]),
    ) {
        let rows: Vec<_> = rows.into_iter().map(|(r, p, l)| (r, p, f32::from(u8::from(l)))).collect();
        let data = dataset(16, 16, &rows, Task::Binary);
        let options = FoldOptions { seeds: vec![seed], folds, split: kind, inner: 0.1 };
        // A small both-disjoint split may have an empty part, which is an error, not a plan.
        let Ok(plan) = Plan::cross_validation(&data, &options, None) else {
            prop_assert_eq!(kind, SplitKind::Both);
            return Ok(());
        };
        let mut tested = vec![0; data.len()];
        let mut used = 0;
        for split in &plan.trainings {
            let mut all = [split.train.as_slice(), &split.inner, &split.test].concat();
            used += all.len();
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(all.len(), split.train.len() + split.inner.len() + split.test.len());
            prop_assert!(!split.inner.is_empty() && split.inner.len() < split.train.len());
            for &row in &split.test {
                tested[row as usize] += 1;
            }
            let outer = split.outer();
            for (side, disjoint) in [
                (Side::Rna, matches!(kind, SplitKind::Rna | SplitKind::Both)),
                (Side::Partner, matches!(kind, SplitKind::Partner | SplitKind::Both)),
            ] {
                if disjoint {
                    prop_assert!(groups(&data, side, &outer).is_disjoint(&groups(&data, side, &split.test)));
                }
            }
        }
        if kind == SplitKind::Both {
            prop_assert!(tested.iter().all(|&n| n <= 1));
        } else {
            prop_assert!(tested.iter().all(|&n| n == 1));
        }
        prop_assert_eq!(plan.dropped, folds * data.len() - used);
        prop_assert_eq!(&plan, &Plan::cross_validation(&data, &options, None).unwrap());
    }

    #[test]
    fn random_folds_are_even_in_size_and_class(n in 20usize..120, folds in 2usize..6, seed in any::<u64>()) {
        let rows: Vec<_> = (0..n as u32).map(|i| (i % 5, i % 7, f32::from(u8::from(i % 4 == 0)))).collect();
        let data = dataset(5, 7, &rows, Task::Binary);
        let options = FoldOptions { seeds: vec![seed], folds, split: SplitKind::Random, inner: 0.1 };
        let plan = Plan::cross_validation(&data, &options, None).unwrap();
        let even = |counts: Vec<usize>| counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1;
        prop_assert!(even(plan.trainings.iter().map(|s| s.test.len()).collect()));
        let positive = |rows: &[u32]| rows.iter().filter(|&&row| data.label(row as usize) == 1.0).count();
        prop_assert!(even(plan.trainings.iter().map(|s| positive(&s.test)).collect()));
    }
}

#[test]
fn seeds_differ_and_inner_rows_are_stratified() {
    let data = grid(20);
    let plan = Plan::cross_validation(&data, &options(SplitKind::Random, 5), None).unwrap();
    assert_eq!(plan.trainings.len(), 10);
    assert_ne!(plan.trainings[0].test, plan.trainings[5].test);
    for split in &plan.trainings {
        let share = |rows: &[u32]| rows.iter().map(|&r| data.label(r as usize)).sum::<f32>() / rows.len() as f32;
        assert_eq!(split.inner.len(), 32);
        assert!((share(&split.inner) - share(&split.train)).abs() < 0.03);
    }
}

#[test]
fn cold_folds_are_balanced() {
    let plan = Plan::cross_validation(&grid(20), &options(SplitKind::Rna, 5), None).unwrap();
    assert!(plan.trainings.iter().all(|split| split.test.len() == 80));
    assert_eq!(plan.dropped, 0);
    let both = Plan::cross_validation(&grid(20), &options(SplitKind::Both, 5), None).unwrap();
    assert!(both.trainings.iter().all(|split| split.test.len() == 16 && split.outer().len() == 256));
    assert_eq!(both.dropped, 5 * (400 - 272));
}

#[test]
fn impossible_requests_are_refused() {
    let data = grid(4);
    let refused = |kind, folds| Plan::cross_validation(&data, &options(kind, folds), None).unwrap_err().to_string();
    assert_eq!(refused(SplitKind::Random, 1), "--folds 1 leaves nothing to train on");
    assert_eq!(refused(SplitKind::Random, 17), "17 folds are more than the 16 pairs");
    assert_eq!(refused(SplitKind::Rna, 3), "3 folds are more than the 2 RNA groups");
    assert_eq!(refused(SplitKind::Partner, 3), "3 folds are more than the 2 partner groups");
    let share = FoldOptions { inner: 1.0, ..options(SplitKind::Random, 2) };
    assert!(Plan::cross_validation(&data, &share, None).is_err());
    let rows: Vec<_> = (0..10).map(|i| (i, i, 1.0)).collect();
    let positive = dataset(10, 10, &rows, Task::Binary);
    let error = Plan::cross_validation(&positive, &options(SplitKind::Random, 2), None).unwrap_err();
    assert_eq!(error.to_string(), "every training pair of fold 0 (seed 0) has the label 1");
    let values = dataset(10, 10, &rows, Task::Regression);
    assert!(Plan::cross_validation(&values, &options(SplitKind::Random, 2), None).is_ok());
}

#[test]
fn a_one_class_test_part_is_a_warning() {
    // RNAs 0 and 1 share a sequence and are always positive.
    let rows: Vec<_> = (0..4).flat_map(|r| (0..6).map(move |p| (r, p, f32::from(u8::from(r < 2 || p < 3))))).collect();
    let data = dataset(4, 6, &rows, Task::Binary);
    let error = Plan::cross_validation(&data, &options(SplitKind::Rna, 2), None).unwrap_err();
    assert!(error.to_string().contains("has the label 1"), "{error}");
    let mut rows = rows;
    rows.extend((4..8).flat_map(|r| (0..6).map(move |p| (r, p, f32::from(u8::from(p < 3))))));
    let data = dataset(8, 6, &rows, Task::Binary);
    let plan = Plan::cross_validation(&data, &options(SplitKind::Rna, 4), None).unwrap();
    assert_eq!(plan.warnings.len(), 2, "{:?}", plan.warnings);
}

#[test]
fn hold_out_tests_one_entity() {
    let data = grid(6);
    let plan = Plan::hold_out(&data, Side::Rna, "r3", &options(SplitKind::Random, 5)).unwrap();
    assert_eq!(plan.trainings.len(), 2);
    assert_eq!(plan.trainings[0].test, (18..24).collect::<Vec<_>>());
    assert_eq!(plan.trainings[0].outer().len(), 30);
    assert_eq!(plan.warnings, ["6 training pairs have an RNA of the same sequence as 'r3'"]);
    assert!(Plan::hold_out(&data, Side::Partner, "r3", &options(SplitKind::Random, 5)).is_err());
}

#[test]
fn train_test_uses_both_sets_whole() {
    let (source, target) = (grid(6), grid(4));
    let plan = Plan::train_test(&source, &target, &options(SplitKind::Random, 5)).unwrap();
    assert_eq!((plan.trainings[0].outer().len(), plan.trainings[0].test.len()), (36, 16));
    assert!(!plan.trainings[0].inner.is_empty());
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn six() -> Dataset {
    let rows: Vec<_> = (0..6).map(|i| (i, i, f32::from(u8::from(i % 2 == 0)))).collect();
    dataset(6, 6, &rows, Task::Binary)
}

const HEADER: &str = "row0\trna_id\tpartner_id\tlabel\ts0_fold\ts0_val_in\ts0_coldrna\ts0_coldprot\n";

#[test]
fn a_folds_file_is_obeyed() {
    let mut text = HEADER.to_owned();
    // Row 4 of the data (row0 8) is left out; row0 99 names no pair.
    for (row, fold, inner) in [(0, 0, "1"), (1, 0, "-"), (2, 1, "0,2"), (3, 1, "-"), (5, 2, "-"), (99, 0, "-")] {
        let (row0, id) = if row == 99 { (99, 0) } else { (2 * row, row) };
        writeln!(text, "{row0}\tr{id}\tp{id}\t1.0\t{fold}\t{inner}\t{fold}\t{fold}").unwrap();
    }
    let file = file(&text);
    let options = FoldOptions { seeds: vec![0], ..FoldOptions::default() };
    let data = Dataset { task: Task::Regression, ..six() };
    let plan = read_folds(file.path(), &data, &options).unwrap();
    let parts: Vec<_> =
        plan.trainings.iter().map(|s| (s.train.as_slice(), s.inner.as_slice(), s.test.as_slice())).collect();
    assert_eq!(parts[0], (&[3, 5][..], &[2][..], &[0, 1][..]));
    assert_eq!(parts[1], (&[1, 5][..], &[0][..], &[2, 3][..]));
    assert_eq!(parts[2].2, &[5]);
    assert_eq!(plan.dropped, 0);
    assert!(plan.warnings[0].starts_with("1 pairs are in no fold"), "{:?}", plan.warnings);
    assert!(plan.warnings[1].starts_with("1 rows of"), "{:?}", plan.warnings);
}

#[test]
fn a_wrong_folds_file_names_the_row() {
    let options = FoldOptions { seeds: vec![0], ..FoldOptions::default() };
    let error = |text: &str, options: &FoldOptions| {
        let file = file(&format!("{HEADER}{text}"));
        read_folds(file.path(), &six(), options).unwrap_err().to_string()
    };
    let swapped = error("0\tr0\tp0\t1\t0\t-\t0\t0\n2\tr1\tp2\t1\t1\t-\t1\t1\n", &options);
    assert!(swapped.contains(":3: ") && swapped.contains("row0 2 is 'r1' and 'p2' here"), "{swapped}");
    assert!(error("0\tr0\tp0\t1\t0\t-\t0\t0\n0\tr0\tp0\t1\t1\t-\t1\t1\n", &options).contains("occurs twice"));
    assert!(error("x\tr0\tp0\t1\t0\t-\t0\t0\n", &options).contains("row0 'x' is not a number"));
    assert!(error("0\tr0\tp0\t1\tzero\t-\t0\t0\n", &options).contains("s0_fold 'zero' is not a fold number"));
    assert!(error("0\tr0\tp0\n", &options).contains("3 fields"));
    assert!(error("", &options).contains("no row names a pair"));
    let other = FoldOptions { seeds: vec![9], ..FoldOptions::default() };
    assert!(error("0\tr0\tp0\t1\t0\t-\t0\t0\n", &other).contains("no column 's9_fold'"));
}

#[test]
fn clusters_join_sequences() {
    let data = grid(8);
    // Sequences of r0/r1 and r2/r3 become one cluster; the header names no id.
    let clusters = file("representative\tmember\nx\tr0\nx\tr3\ny\tr4\n");
    let clusters = read_clusters(clusters.path(), &data).unwrap();
    assert_eq!(clusters.rna, [0, 0, 0, 0, 1, 1, 2, 2]);
    assert_eq!(clusters.partner, data.partner.group);
    assert_eq!(clusters.unnamed, 13);
    let plan = Plan::cross_validation(&data, &options(SplitKind::Rna, 3), Some(&clusters)).unwrap();
    let mut sizes: Vec<usize> = plan.trainings[..3].iter().map(|s| s.test.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [16, 16, 32]);
    assert!(read_clusters(file("a\tb\n").path(), &data).is_err());
    assert!(read_clusters(file("r0\n").path(), &data).unwrap_err().to_string().contains(":1: fewer than two"));
    let endless = format!("x\tr0\ny\t{}", "r".repeat(crate::files::input::MAX_LINE));
    let error = read_clusters(file(&endless).path(), &data).unwrap_err().to_string();
    assert!(error.contains(":2: the line is longer than 1048576 bytes"), "{error}");
}
