//! Trainings on the CPU: in company as alone, on any number of threads, and beside the same steps in f64.

use std::sync::Arc;

use biollmnet::backend::{Cpu, Matrix};
use biollmnet::data::{Dataset, EncoderIdentity, Entities, MemoryVectors, Pair, Task};
use biollmnet::models::fusion::{Fusion, FusionNetwork, Learning, Moments, Parameters, Projection, Step, Workspace};
use biollmnet::ops::clock::CLOCK_WORDS;
use biollmnet::train::{
    Cohort, Criterion, NetworkConfig, OutputStart, Preset, ResidentData, Run, TrainConfig, Trained, Watch, train,
};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

const N: u32 = 60;

fn entities(n: usize, dim: usize, frequency: f32) -> Entities {
    let values = (0..n * dim).map(|i| ((i + 1) as f32 * frequency).sin()).collect();
    Entities {
        ids: (0..n).map(|i| i.to_string()).collect(),
        rows: (0..n).collect(),
        group: (0..n as u32).collect(),
        length: vec![0; n],
        digest: vec![String::new(); n],
        source: Arc::new(MemoryVectors { dim, values }),
        encoder: EncoderIdentity { name: "wave".into(), digest: String::new(), pooling: "mean".into() },
    }
}

/// Every pair of 12 partners of width 20 and 5 RNAs.
fn data(task: Task, d_rna: usize) -> Dataset {
    let pairs: Vec<Pair> = (0..N).map(|i| Pair { rna: i % 5, partner: i / 5, row0: i }).collect();
    let value = |i: u32| ((i * 7 + i / 5) as f32 * 0.9).sin();
    let label = |i| if task == Task::Regression { 2.0 + value(i) } else { f32::from(u8::from(value(i) > 0.0)) };
    Dataset {
        rna: entities(5, d_rna, 0.73),
        partner: entities(12, 20, 0.37),
        labels: (0..N).map(label).collect(),
        pairs,
        label_names: vec!["y".into()],
        task,
    }
}

fn config(projection: Projection, fusion: Fusion) -> TrainConfig {
    let network = NetworkConfig { projection, fusion, head: vec![36], dropout_projection: 0.1, dropout_head: 0.3 };
    TrainConfig { network, batch: 9, ..Preset::RnaProtein.config() }
}

/// Every projection with every fusion.
fn configs() -> impl Iterator<Item = (TrainConfig, Dataset)> {
    let fusions = [Fusion::Static, Fusion::Input, Fusion::Concat, Fusion::Average];
    let projections = [(Projection::None, 20), (Projection::OneSided, 7), (Projection::Both(40), 7)];
    projections.into_iter().flat_map(move |(projection, d_rna)| {
        fusions.map(|fusion| (config(projection, fusion), data(Task::Binary, d_rna)))
    })
}

/// A run with watched pairs, one whose last batch is short, one that ends early, and one smaller than a batch.
fn trained(
    backend: Cpu,
    data: &Dataset,
    config: &TrainConfig,
    patience: Option<usize>,
    only: Option<usize>,
) -> Vec<Trained> {
    let resident = ResidentData::new(&backend, data).unwrap();
    let rows: Vec<u32> = (0..N).collect();
    let run = |from: usize, to: usize, watched: &'static [u32], epochs| Run {
        rows: &rows[from..to],
        watched,
        epochs,
        seed: from as u64 + 5,
    };
    let runs =
        [run(0, 36, &[50, 51, 52, 57, 59], 12), run(20, 60, &[3, 4, 5], 12), run(9, 45, &[], 4), run(3, 7, &[], 9)];
    let runs = only.map_or(&runs[..], |i| &runs[i..=i]);
    let watch = Watch { data: &resident, criterion: Criterion::Loss, smooth: 1, patience };
    let cohort =
        Cohort { data: &resident, config, start: OutputStart::MeanLabel, watch: Some(watch), runs, notes: None };
    train(&backend, &cohort).unwrap()
}

/// All that a training leaves behind.
fn trace(trained: &Trained) -> (Vec<u32>, [Vec<f64>; 3], usize) {
    let bits = trained.parameters.iter().map(|p| p.to_bits()).collect();
    let curves = [&trained.train_loss, &trained.watched_loss, &trained.watched].map(Clone::clone);
    (bits, curves, trained.kept_epoch)
}

#[test]
fn runs_learn_in_company_what_they_learn_alone() {
    let regression = (config(Projection::Both(16), Fusion::Static), data(Task::Regression, 7));
    for (config, data) in configs().chain([regression]) {
        for patience in [None, Some(2)] {
            let together = trained(Cpu::single(), &data, &config, patience, None);
            let threaded = trained(Cpu::with_threads(2), &data, &config, patience, None);
            assert_eq!(together.iter().map(|t| t.train_loss.len()).collect::<Vec<_>>()[2..], [4, 9]);
            for (i, run) in together.iter().enumerate() {
                let alone = trained(Cpu::single(), &data, &config, patience, Some(i));
                assert_eq!(trace(run), trace(&alone[0]), "run {i} of {}", run.network.config.summary());
                assert_eq!(trace(run), trace(&threaded[i]), "threads, run {i}");
            }
        }
    }
}

/// Mean losses of epochs in f64, written out step by step.
fn in_f64(data: &Dataset, config: &TrainConfig, seed: u64, epochs: u64) -> Vec<f64> {
    let backend = Cpu::single();
    let network = FusionNetwork::new(config.fusion_config(data)).unwrap();
    let start: Vec<f64> = network.layout.initial(seed).into_iter().map(f64::from).collect();
    let mut parameters = Parameters::uploaded(&backend, &start).unwrap();
    let mut moments = Moments::zeros(&backend, 1, start.len()).unwrap();
    let mut work = Workspace::<Cpu, f64>::new(&backend, &network.config, 1, config.batch, true).unwrap();
    let (mut losses, mut step) = (Vec::new(), 0);
    for epoch in 1..=epochs {
        let mut order: Vec<u32> = (0..N).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed ^ (epoch << 32)));
        work.totals.fill(0.0);
        for rows in order.chunks(config.batch) {
            step += 1;
            let vectors = |entities: &Entities, entity: u32| {
                let mut vector = vec![0.0; entities.dim()];
                entities.copy_vector(entity as usize, &mut vector);
                vector.into_iter().map(f64::from)
            };
            for (i, &row) in rows.iter().enumerate() {
                let pair = data.pairs[row as usize];
                let put = |to: &mut [f64], from: &mut dyn Iterator<Item = f64>, width: usize| {
                    to[i * width..][..width].iter_mut().zip(from).for_each(|(to, x)| *to = x);
                };
                put(&mut work.partner, &mut vectors(&data.partner, pair.partner), data.partner.dim());
                put(&mut work.rna, &mut vectors(&data.rna, pair.rna), data.rna.dim());
                work.labels[i] = f64::from(data.label(row as usize));
            }
            let words = config.optimiser.tick(seed, step, rows.len() as u32, 0).words().to_vec();
            let clock = Matrix::of(&backend, &words, 1, CLOCK_WORDS);
            network.forward(&backend, &parameters, &mut work, rows.len(), Some(clock)).unwrap();
            let mut learning = Learning::Adam(config.optimiser, &mut moments);
            let step = Step { n: rows.len(), clock, dropout: true };
            network.backward(&backend, &mut parameters, &mut work, &step, &mut learning).unwrap();
        }
        losses.push(work.totals[0] / work.totals[1]);
    }
    losses
}

#[test]
fn losses_follow_those_in_double_precision() {
    let rows: Vec<u32> = (0..N).collect();
    let mut most = 0f64;
    for (config, data) in configs() {
        let config = TrainConfig { standardise: false, ..config };
        let backend = Cpu::single();
        let resident = ResidentData::new(&backend, &data).unwrap();
        let runs = [Run { rows: &rows, watched: &[], epochs: 15, seed: 7 }];
        let cohort = Cohort {
            data: &resident,
            config: &config,
            start: OutputStart::Drawn,
            watch: None,
            runs: &runs,
            notes: None,
        };
        let found = train(&backend, &cohort).unwrap().remove(0).train_loss;
        let expected = in_f64(&data, &config, 7, 15);
        for (found, expected) in found.iter().zip(&expected) {
            most = most.max((found - expected).abs());
        }
        assert!(found[14] < 0.9 * found[0], "nothing is learnt");
    }
    // 105 steps, whose roundings grow as the parameters drift apart: measured 1.2e-7. A gradient that is all rounding would
    // show more, since Adam makes of it a step of the learning rate.
    assert!(most < 1e-5, "{most:e}");
}
