//! One training step of the fusion network, and the matrix products that it consists of.

use std::hint::black_box;

use biollmnet::backend::{Cpu, Matrix, MatrixMut, Memory};
use biollmnet::data::Task;
use biollmnet::models::fusion::{Fusion, FusionConfig, FusionNetwork, Mode, Projection, Workspace};
use biollmnet::ops::adam::{AdamConfig, Moments, adam};
use biollmnet::ops::gemm::{Product, gemm};
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
        let mut parameters = network.layout.initial(0);
        let mut gradient = vec![0f32; parameters.len()];
        let mut moments = Moments::zeros(&backend, parameters.len()).expect("memory");
        let mut work = Workspace::<Cpu, f32>::new(&backend, &network.config, BATCH, true).expect("memory");
        work.partner.iter_mut().enumerate().for_each(|(i, x)| *x = (i as f32 * 0.37).sin());
        work.rna.iter_mut().enumerate().for_each(|(i, x)| *x = (i as f32 * 0.73).sin());
        work.labels.iter_mut().enumerate().for_each(|(i, y)| *y = (i % 2) as f32);
        let mut step = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                step += 1;
                let mode = Mode::Training { seed: 1, step };
                network.forward(&backend, &parameters, &mut work, BATCH, mode).expect("forward");
                let loss =
                    network.backward(&backend, &parameters, &mut work, BATCH, true, &mut gradient).expect("backward");
                let config = AdamConfig::default();
                adam(&backend, &config, step, &mut parameters, &mut moments, &gradient).expect("step");
                black_box(loss)
            });
        });
    }
    group.finish();
}

fn products(c: &mut Criterion) {
    let mut group = c.benchmark_group("gemm");
    for (name, product, m, n, k) in [
        ("forward 32×1024×1280", Product::Nt, BATCH, 1024, 1280),
        ("input gradient 32×1024×512", Product::Nn, BATCH, 1024, 512),
        ("weight gradient 1024×1280×32", Product::Tn, 1024, 1280, BATCH),
    ] {
        let backend = Cpu::single();
        let (a, b) = (vec![0.5f32; m * k], vec![0.25f32; n * k]);
        let mut out = backend.zeros::<f32>(m * n).expect("memory");
        let [ar, ac] = if product == Product::Tn { [k, m] } else { [m, k] };
        let [br, bc] = if product == Product::Nt { [n, k] } else { [k, n] };
        group.throughput(Throughput::Elements(2 * (m * n * k) as u64));
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let (a, b) = (Matrix::of(&backend, &a, ar, ac), Matrix::of(&backend, &b, br, bc));
                gemm(&backend, product, a, b, false, MatrixMut::of(&backend, &mut out, m, n)).expect("product");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, training_step, products);
criterion_main!(benches);
