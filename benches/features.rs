//! Reading of FASTA and the encoders without weights, in bytes of input per second on one core.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Cursor;

use biollmnet::features::{Kmer, SequenceEncoder, Triad};
use biollmnet::files::input::Input;
use biollmnet::seq::fasta::Reader;
use biollmnet::seq::{Alphabet, SequenceRecord, digest};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

/// `n` sequences of `length` letters, in lines of `width`.
fn fasta(letters: &[u8], n: usize, length: usize, width: usize) -> Vec<u8> {
    let mut text = String::new();
    let mut state = 1u64;
    for i in 0..n {
        let _ = write!(text, ">record{i} some words of description");
        for position in 0..length {
            if position % width == 0 {
                text.push('\n');
            }
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push(char::from(letters[(state >> 33) as usize % letters.len()]));
        }
        text.push('\n');
    }
    text.into_bytes()
}

fn records(text: Vec<u8>, alphabet: Alphabet) -> impl Iterator<Item = SequenceRecord> {
    let input = Input::from_reader("bench", Cursor::new(text)).expect("an input");
    Reader::new(input, alphabet).expect("a FASTA text").map(|record| record.expect("a record"))
}

fn benches(criterion: &mut Criterion) {
    let amino_acids: &[u8] = b"ACDEFGHIKLMNPQRSTVWY";
    let cases = [
        ("rna-3000-one-line", Alphabet::Rna, fasta(b"ACGU", 3_000, 3_000, usize::MAX)),
        ("rna-3000-wrapped", Alphabet::Rna, fasta(b"acgu", 3_000, 3_000, 60)),
        ("rna-22", Alphabet::Rna, fasta(b"ACGU", 100_000, 22, 60)),
        ("protein-300-wrapped", Alphabet::Protein, fasta(amino_acids, 30_000, 300, 60)),
    ];
    let mut group = criterion.benchmark_group("fasta");
    group.sample_size(20);
    for (name, alphabet, text) in &cases {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("read/{name}"), |bench| {
            let read = |text| records(text, *alphabet).map(|record| record.sequence.len()).sum::<usize>();
            bench.iter_batched(|| text.clone(), read, BatchSize::LargeInput);
        });
        group.bench_function(format!("read+encode+digest/{name}"), |bench| {
            let encoder: &dyn SequenceEncoder = if *alphabet == Alphabet::Rna { &Kmer } else { &Triad };
            let mut out = vec![0.0; encoder.dim()];
            bench.iter_batched(
                || text.clone(),
                |text| {
                    for record in records(text, *alphabet) {
                        encoder.encode(&record.sequence, &mut out);
                        black_box((digest(&record.sequence), &out));
                    }
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("encode");
    group.sample_size(20);
    let encoders: [(&str, &dyn SequenceEncoder, &[u8]); 4] = [
        ("kmer", &Kmer, b"ACGT"),
        ("kmer-one-letter", &Kmer, b"A"),
        ("triad", &Triad, amino_acids),
        ("triad-one-letter", &Triad, b"C"),
    ];
    for (name, encoder, letters) in encoders {
        let sequence = records(fasta(letters, 1, 1 << 20, 60), encoder.alphabet()).next().expect("a record").sequence;
        let mut out = vec![0.0; encoder.dim()];
        group.throughput(Throughput::Bytes(sequence.len() as u64));
        group.bench_function(name, |bench| bench.iter(|| encoder.encode(black_box(&sequence), black_box(&mut out))));
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
