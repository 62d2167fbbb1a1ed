use super::*;
use crate::data::VectorSource;
use crate::embed::store::{Flags, Status};
use crate::embed::{Store, WeightFree};
use crate::features::{Kmer, SequenceEncoder};
use crate::progress::Silent;
use crate::seq::RecordFault;
use std::fs;

fn options() -> EmbedOptions {
    EmbedOptions::of(Dtype::F32)
}

fn embed_kmer(input: &Path, options: EmbedOptions, out: &Path) -> Result<Embedded> {
    embed(input, &mut WeightFree::new(Box::new(Kmer)), &[Pooling::Mean], options, out, &Silent)
}

fn written(outcome: Result<Embedded>) -> (StoreSummary, Work) {
    let embedded = outcome.unwrap();
    let [Filled::Written(summary)] = &embedded.stores[..] else { panic!("{:?}", embedded.stores) };
    (summary.clone(), embedded.work)
}

fn is_up_to_date(outcome: Result<Embedded>) -> bool {
    matches!(outcome.unwrap().stores[..], [Filled::UpToDate(_)])
}

fn run(fasta: &str, options: EmbedOptions) -> (tempfile::TempDir, Result<Embedded>) {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.fa");
    fs::write(&input, fasta).unwrap();
    let outcome = embed_kmer(&input, options, &folder.path().join("store"));
    (folder, outcome)
}

fn statuses(folder: &Path) -> Vec<(String, Status)> {
    let store = Store::open(folder.join("store")).unwrap();
    store.records().map(|r| (r.id.to_owned(), r.status)).collect()
}

#[test]
fn every_record_has_a_row_in_input_order_and_the_encoders_vector() {
    // The conflicting record comes first with a sequence that the next one needs.
    let fasta = ">a\nACGU\n>a\nGGGGA\n>b\nggg ga\n>c\n>d\nACGT\n";
    let (folder, outcome) = run(fasta, options());
    let (summary, work) = written(outcome);
    assert_eq!((summary.records, summary.vectors, work.letters, work.unknown), (5, 2, 18, 0));
    assert_eq!(work.encoded, 2);
    let store = Store::open(folder.path().join("store")).unwrap();
    let statuses: Vec<_> = store.records().map(|r| r.status.name()).collect();
    assert_eq!(statuses, ["ok", "conflicting-id", "ok", "no-sequence", "ok"]);
    let rows: Vec<_> = store.records().map(|r| r.row).collect();
    assert_eq!(rows, [Some(0), None, Some(1), None, Some(0)]);
    let (mut found, mut expected) = ([0.0; 256], [0.0; 256]);
    store.copy_row(1, &mut found);
    Kmer.encode(b"GGGGA", &mut expected);
    assert_eq!(found, expected);
}

#[test]
fn limits_refuse_or_cut_and_say_so() {
    let fasta = ">short\nACGU\n>long\nACGUA\n>odd\nAC?U\n";
    let limited = EmbedOptions { max_length: Some(4), unknown: UnknownLetters::Refuse, ..options() };
    let (folder, outcome) = run(fasta, limited);
    outcome.unwrap();
    let found = statuses(folder.path());
    assert_eq!(found[1], ("long".into(), Status::TooLong));
    assert_eq!(found[2], ("odd".into(), Status::UnknownLetters));
    let cut = EmbedOptions { max_length: Some(4), long: LongSequences::Truncate, ..options() };
    let (folder, outcome) = run(fasta, cut);
    assert_eq!(written(outcome).1.unknown, 1);
    let store = Store::open(folder.path().join("store")).unwrap();
    let (short, long, odd) = (store.record(0), store.record(1), store.record(2));
    assert_eq!((long.row, long.length), (short.row, 5));
    assert!(long.flags.contains(Flags::TRUNCATED) && short.flags == Flags::default());
    assert_eq!((odd.unknown, odd.status), (1, Status::Ok));
}

#[test]
fn chunks_and_threads_do_not_change_the_bytes() {
    use std::fmt::Write;
    let mut fasta = String::new();
    for i in 0..5000u32 {
        let sequence: String =
            (0..20).map(|k| ['A', 'C', 'G', 'U'][(i % 3000 * 7 + k * k * (i % 11)) as usize % 4]).collect();
        writeln!(fasta, ">r{}\n{sequence}", i % 4900).unwrap();
    }
    let manifests: Vec<_> = [1, 3]
        .into_iter()
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (folder, outcome) = pool.install(|| run(&fasta, options()));
            outcome.unwrap();
            fs::read(folder.path().join("store/manifest.json")).unwrap()
        })
        .collect();
    assert_eq!(manifests[0], manifests[1]);
}

#[test]
fn a_finished_store_is_taken_as_it_is_unless_something_differs() {
    let (folder, outcome) = run(">a\nACGU\n", options());
    written(outcome);
    let (input, out) = (folder.path().join("in.fa"), folder.path().join("store"));
    let again = |options| embed_kmer(&input, options, &out);
    assert!(is_up_to_date(again(options())));
    assert!(again(EmbedOptions { resume: false, ..options() }).is_err());
    assert!(again(EmbedOptions { dtype: Dtype::F16, ..options() }).is_err());
    assert!(again(EmbedOptions { max_length: Some(9), ..options() }).is_err());
    written(again(EmbedOptions { force: true, ..options() }));
    fs::write(&input, ">a\nACGA\n").unwrap();
    assert!(again(options()).is_err());
}

#[test]
fn a_store_whose_commit_was_killed_is_ended_not_made_again() {
    let (folder, outcome) = run(">a\nACGU\n", options());
    outcome.unwrap();
    let (input, out) = (folder.path().join("in.fa"), folder.path().join("store"));
    fs::create_dir(out.join(".partial")).unwrap();
    for name in ["ids", "manifest.json"] {
        fs::rename(out.join(name), out.join(".partial").join(name)).unwrap();
    }
    assert!(is_up_to_date(embed_kmer(&input, options(), &out)));
    assert!(!out.join(".partial").exists());
}

#[test]
fn what_the_encoder_has_not_is_refused() {
    let window = EmbedOptions { max_length: Some(4), long: LongSequences::Window, ..options() };
    let error = run(">a\nACGU\n", window).1.unwrap_err();
    assert!(error.to_string().contains("windows") && error.exit_code() == 2, "{error}");
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.fa");
    let mut kmer = WeightFree::new(Box::new(Kmer));
    let outcome = embed(&input, &mut kmer, &[Pooling::Cls], options(), &folder.path().join("s"), &Silent);
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("'cls'") && error.help().contains("mean"), "{error}");
}

#[test]
fn every_fault_of_a_record_is_a_status() {
    use RecordFault::{BadId, LongId, NoId, NoSequence, RunTogether, TooLong};
    for fault in [BadId, LongId, NoId, NoSequence, RunTogether, TooLong] {
        assert!(Status::from_name(fault.name()).is_some(), "{fault}");
    }
}
