//! Metrics on a million rows, and one bootstrap resample of presorted rows.

use biollmnet::metrics::{BinarySample, RegressionSample, Sample, binary_metrics, regression_metrics};
use criterion::{Criterion, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ROWS: usize = 1_000_000;

fn metrics(c: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let labels: Vec<bool> = (0..ROWS).map(|_| rng.random_bool(0.3)).collect();
    let logits: Vec<f64> =
        labels.iter().map(|&label| rng.random_range(-2.0..2.0) + f64::from(u8::from(label))).collect();
    let values: Vec<f64> = logits.iter().map(|logit| logit + rng.random_range(-1.0..1.0)).collect();
    let once = vec![1; ROWS];

    let mut group = c.benchmark_group("metrics of 1e6 rows");
    group.sample_size(10);
    group.bench_function("binary, all 13", |b| b.iter(|| binary_metrics(&labels, &logits, 0.0)));
    group.bench_function("regression, all 6", |b| b.iter(|| regression_metrics(&values, &logits)));
    let sample = BinarySample::new(&labels, &logits, 0.0);
    group.bench_function("AUROC, presorted", |b| b.iter(|| sample.ranking().auroc(&once)));
    group.bench_function("AUPRC, presorted", |b| b.iter(|| sample.ranking().average_precision(&once)));
    group.bench_function("binary resample, presorted", |b| b.iter(|| sample.evaluate(&once)));
    let sample = RegressionSample::new(&values, &logits);
    group.bench_function("regression resample, presorted", |b| b.iter(|| sample.evaluate(&once)));
    group.finish();
}

criterion_group!(benches, metrics);
criterion_main!(benches);
