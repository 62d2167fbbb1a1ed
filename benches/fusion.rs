//! One training step of the fusion network, the matrix products of its layers, and the update of their weights.

use std::hint::black_box;

use biollmnet::backend::{Cpu, Matrix, MatrixMut, Memory, Stack, StackMut};
use biollmnet::data::Task;
use biollmnet::models::fusion::{
    Fusion, FusionConfig, FusionNetwork, Learning, Moments, Parameters, Projection, Step, Workspace,
};
use biollmnet::ops::clock::CLOCK_WORDS;
use biollmnet::ops::gemm::{Product, gemm};
use biollmnet::ops::weight_update::{AdamConfig, AdamStep, LayerGradient, Rule, weight_update};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const BATCH: usize = 32;

/// The paper's network on language-model widths, and the published code's on composition vectors.
fn networks() -> [(&'static str, FusionConfig); 2] {
    let paper = FusionConfig {
        d_partner: 1024,
        d_rna: 1280,
        projection: Projection::OneSided,
        fusion: Fusion::Static,
        head: vec![512, 64],
        n_outputs: 1,
        dropout_projection: 0.1,
        dropout_head: 0.5,
        task: Task::Binary,
    };
    let code =
        FusionConfig { d_partner: 343, d_rna: 256, projection: Projection::Both(512), head: vec![64], ..paper.clone() };
    [("paper 1280→1024", paper), ("code 343, 256→512", code)]
}

fn training_step(c: &mut Criterion) {
    let mut group = c.benchmark_group("training step");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, config) in networks() {
        let backend = Cpu::single();
        let network = FusionNetwork::new(config).expect("the widths fit");
        let mut parameters = Parameters::uploaded(&backend, &network.layout.initial(0)).expect("memory");
        let mut moments = Moments::zeros(&backend, 1, network.layout.len()).expect("memory");
        let mut work = Workspace::<Cpu, f32>::new(&backend, &network.config, 1, BATCH, true).expect("memory");
        work.partner.iter_mut().enumerate().for_each(|(i, x)| *x = (i as f32 * 0.37).sin());
        work.rna.iter_mut().enumerate().for_each(|(i, x)| *x = (i as f32 * 0.73).sin());
        work.labels.iter_mut().enumerate().for_each(|(i, y)| *y = (i % 2) as f32);
        let (mut step, config) = (0, AdamConfig::default());
        group.bench_function(name, |b| {
            b.iter(|| {
                step += 1;
                let words = config.tick(1, step, BATCH as u32, 0).words().to_vec();
                let clock = Matrix::of(&backend, &words, 1, CLOCK_WORDS);
                network.forward(&backend, &parameters, &mut work, BATCH, Some(clock)).expect("forward");
                let now = Step { n: BATCH, clock, dropout: true };
                let mut learning = Learning::Adam(config, &mut moments);
                network.backward(&backend, &mut parameters, &mut work, &now, &mut learning).expect("backward");
                black_box(work.totals[0])
            });
        });
    }
    group.finish();
}

fn products(c: &mut Criterion) {
    let mut group = c.benchmark_group("gemm");
    for (name, product, n, k) in [
        ("forward 32×1024×1280", Product::Nt, 1024, 1280),
        ("forward 32×512×1024", Product::Nt, 512, 1024),
        ("input gradient 32×1024×512", Product::Nn, 1024, 512),
    ] {
        let backend = Cpu::single();
        let (a, b) = (vec![0.5f32; BATCH * k], vec![0.25f32; n * k]);
        let mut out = backend.zeros::<f32>(BATCH * n).expect("memory");
        let [br, bc] = if product == Product::Nt { [n, k] } else { [k, n] };
        group.throughput(Throughput::Elements(2 * (BATCH * n * k) as u64));
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let (a, b) = (Matrix::of(&backend, &a, BATCH, k), Matrix::of(&backend, &b, br, bc));
                let c = MatrixMut::of(&backend, &mut out, BATCH, n);
                gemm(&backend, product, a.into(), b.into(), c.into()).expect("product");
            });
        });
    }
    group.finish();
}

/// Parameters per second; of each 24 bytes are read and written.
fn weight_updates(c: &mut Criterion) {
    let mut group = c.benchmark_group("weight_update");
    for (outputs, inputs) in [(1024, 1280), (512, 1024), (64, 512)] {
        let backend = Cpu::single();
        let n = outputs * (inputs + 1);
        let [x, dy] = [inputs, outputs]
            .map(|width| -> Vec<f32> { (0..BATCH * width).map(|i| (i as f32 * 0.37).sin()).collect() });
        let mut state = [vec![0.1f32; n], vec![0f32; n], vec![0f32; n]];
        let (mut step, config) = (0, AdamConfig::default());
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(format!("{outputs}×{inputs}, batch {BATCH}"), |b| {
            b.iter(|| {
                step += 1;
                let words = config.tick(0, step, BATCH as u32, 0).words().to_vec();
                let stack = |values, cols| Stack::at(&backend, values, 0, BATCH * cols, [1, BATCH, cols]);
                let layer = LayerGradient { x: Some(stack(&x, inputs)), dy: stack(&dy, outputs) };
                let [parameters, first, second] =
                    state.each_mut().map(|values| StackMut::at(&backend, values, 0, n, [1, 1, n]));
                let rule = Rule::Adam(AdamStep { config, parameters, first, second });
                weight_update(&backend, Matrix::of(&backend, &words, 1, CLOCK_WORDS), &layer, rule).expect("update");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, training_step, products, weight_updates);
criterion_main!(benches);
