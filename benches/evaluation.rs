//! Baselines at the width of language-model vectors, and a full bootstrap.

use std::sync::Arc;

use biollmnet::data::{Dataset, EncoderIdentity, Entities, MemoryVectors, Pair, Task};
use biollmnet::eval::baselines::{Baseline, IdOnly, Nearest, VectorsOnly};
use biollmnet::eval::bootstrap::{Bootstrap, RESAMPLES, SeedSample};
use biollmnet::metrics::BinarySample;
use criterion::{Criterion, criterion_group, criterion_main};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Entities whose features are correlated, as those of real encoders are.
fn entities(n: usize, dim: usize, rng: &mut impl Rng) -> Entities {
    let factors: Vec<f32> = (0..16 * dim).map(|_| rng.random_range(-1.0..1.0)).collect();
    let values = (0..n).flat_map(|_| {
        let own: Vec<f32> = (0..16).map(|_| rng.random_range(-1.0..1.0)).collect();
        let noise: Vec<f32> = (0..dim).map(|_| rng.random_range(-1.0..1.0)).collect();
        let value = |j: usize| noise[j] + (0..16).map(|k| own[k] * factors[k * dim + j]).sum::<f32>();
        (0..dim).map(value).collect::<Vec<f32>>()
    });
    Entities {
        source: Arc::new(MemoryVectors { dim, values: values.collect() }),
        ids: (0..n).map(|i| i.to_string()).collect(),
        rows: (0..n).collect(),
        group: (0..n as u32).collect(),
        length: vec![100; n],
        digest: vec![String::new(); n],
        encoder: EncoderIdentity { name: "random".into(), digest: String::new(), pooling: "mean".into() },
    }
}

fn dataset(n_pairs: usize, n_rna: usize, n_partner: usize, dim: usize) -> Dataset {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (rna, partner) = (entities(n_rna, dim, &mut rng), entities(n_partner, dim, &mut rng));
    let mut pair = |row0: u32| Pair {
        rna: rng.random_range(0..n_rna as u32),
        partner: rng.random_range(0..n_partner as u32),
        row0,
    };
    let pairs: Vec<Pair> = (0..n_pairs as u32).map(&mut pair).collect();
    let first = |entities: &Entities, entity: u32| {
        let mut vector = vec![0.0; dim];
        entities.copy_vector(entity as usize, &mut vector);
        vector[0]
    };
    let labels =
        pairs.iter().map(|pair| f32::from(u8::from(first(&rna, pair.rna) + first(&partner, pair.partner) > 0.0)));
    Dataset { labels: labels.collect(), rna, partner, pairs, label_names: vec!["label".into()], task: Task::Binary }
}

fn baselines(c: &mut Criterion) {
    let mut group = c.benchmark_group("baselines");
    group.sample_size(10);
    for (name, data) in [
        ("3k pairs, 600 features", dataset(3_000, 300, 1_500, 300)),
        ("10k pairs, 2560 features", dataset(10_000, 1_000, 4_000, 1_280)),
    ] {
        let (test, train): (Vec<u32>, Vec<u32>) = (0..data.len() as u32).partition(|row| row % 5 == 0);
        for baseline in [&VectorsOnly::BOTH as &dyn Baseline, &VectorsOnly::PARTNER, &Nearest, &IdOnly] {
            group.bench_function(format!("{}, {name}", baseline.name()), |b| {
                b.iter(|| baseline.predict((&data, &train), (&data, &test)));
            });
        }
    }
    group.finish();
}

fn bootstrap(c: &mut Criterion) {
    let data = dataset(3_000, 300, 1_500, 4);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let labels: Vec<bool> = data.labels.iter().map(|&label| label == 1.0).collect();
    let logits: Vec<f64> =
        labels.iter().map(|&label| f64::from(u8::from(label)) + rng.random_range(-2.0..1.0)).collect();
    let sample = BinarySample::new(&labels, &logits, 0.0);
    let rows: Vec<u32> = (0..3_000).collect();
    let bootstrap = Bootstrap::new(&data, None, &rows, RESAMPLES, 0);
    let mut group = c.benchmark_group("bootstrap");
    group.sample_size(10);
    group.bench_function("13 metrics, 3k pairs, 1 seed, 2 × 2000 resamples", |b| {
        b.iter(|| bootstrap.replicates(&[SeedSample { sample: &sample, rows: &rows }]));
    });
    group.finish();
}

criterion_group!(benches, baselines, bootstrap);
criterion_main!(benches);
