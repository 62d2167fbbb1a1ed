//! Trainings on a CUDA device beside those on the CPU: the stand-in driver where there is a C++ compiler.

#[path = "support/standin.rs"]
mod standin;

use std::sync::Arc;

use biollmnet::backend::{Cpu, Cuda};
use biollmnet::data::{Dataset, EncoderIdentity, Entities, MemoryVectors, Pair, Task};
use biollmnet::models::fusion::{Fusion, Projection};
use biollmnet::ops::TrainingBackend;
use biollmnet::ops::weight_update::AdamConfig;
use biollmnet::train::train;
use biollmnet::train::{
    Cohort, Criterion, NetworkConfig, OutputStart, Preset, ResidentData, Run, TrainConfig, Trained, Watch,
};

/// Largest difference of a mean loss of two devices over 100 steps. Both compute in f32 and drop the same elements, but
/// their sums run in other orders, and Adam makes of a gradient of any size a step of about the learning rate, so that
/// roundings of gradients near 0 grow. Measured on the cases below: at most 2.0e-6.
const LOSS_BOUND: f64 = 2e-5;

const WIDTH: usize = 12;

fn entities(n: usize, dim: usize, frequency: f32) -> Entities {
    let values = (0..n * dim).map(|i| ((i + 1) as f32 * frequency).sin()).collect();
    Entities {
        ids: (0..n).map(|i| format!("e{i}")).collect(),
        rows: (0..n).collect(),
        group: (0..n as u32).collect(),
        length: vec![0; n],
        digest: vec![String::new(); n],
        source: Arc::new(MemoryVectors { dim, values }),
        encoder: EncoderIdentity { name: "wave".into(), digest: String::new(), pooling: "mean".into() },
    }
}

/// Every pair of 9 partners and 5 RNAs; what is predicted depends on both.
fn data(task: Task, d_partner: usize, d_rna: usize) -> Dataset {
    let (partner, rna) = (entities(9, d_partner, 0.37), entities(5, d_rna, 0.73));
    let pairs: Vec<Pair> = (0..45).map(|i| Pair { rna: i % 5, partner: i / 5, row0: i }).collect();
    let n_labels = if task == Task::MultiLabel { 3 } else { 1 };
    let label = |i: usize| {
        let value = ((i * 7 + i / 5) as f32 * 0.9).sin();
        match task {
            Task::Regression => 2.0 + value,
            Task::MultiLabel if i.is_multiple_of(11) => f32::NAN,
            Task::Binary | Task::MultiLabel => f32::from(u8::from(value > 0.0)),
        }
    };
    let labels = (0..45 * n_labels).map(label).collect();
    Dataset { rna, partner, pairs, labels, label_names: (0..n_labels).map(|i| format!("y{i}")).collect(), task }
}

fn config(projection: Projection, fusion: Fusion, head: &[usize]) -> TrainConfig {
    let network = NetworkConfig { projection, fusion, head: head.to_vec(), dropout_projection: 0.1, dropout_head: 0.3 };
    // Large enough a rate that a hundred steps learn much.
    let optimiser = AdamConfig { learning_rate: 0.01, ..AdamConfig::default() };
    TrainConfig { network, optimiser, batch: 9, ..Preset::RnaProtein.config() }
}

/// Three runs: of four steps an epoch, of three with a short last one, and one that ends early.
fn trained<B: TrainingBackend>(backend: &B, data: &Dataset, config: &TrainConfig, only: Option<usize>) -> Vec<Trained> {
    let resident = ResidentData::new(backend, data).unwrap();
    let rows: Vec<u32> = (0..45).collect();
    let run = |from: usize, to: usize, epochs: usize| Run {
        rows: &rows[from..to],
        watched: if from == 0 { &rows[to..] } else { &rows[..from] },
        epochs,
        seed: from as u64 + 5,
    };
    let runs = [run(0, 36, 25), run(20, 45, 25), run(9, 45, 4)];
    let runs = only.map_or(&runs[..], |i| &runs[i..=i]);
    let watch = Watch { data: &resident, criterion: Criterion::Loss, smooth: 1, patience: None };
    let cohort = Cohort { data: &resident, config, start: OutputStart::Drawn, watch: Some(watch), runs, notes: None };
    train(backend, &cohort).unwrap()
}

/// The largest difference of a loss.
fn apart(a: &[Trained], b: &[Trained]) -> f64 {
    let curves = |t: &Trained| [t.train_loss.clone(), t.watched_loss.clone()].concat();
    let differences = a.iter().zip(b).flat_map(|(a, b)| {
        let (a, b) = (curves(a), curves(b));
        assert_eq!(a.len(), b.len());
        a.into_iter().zip(b).map(|(a, b)| (a - b).abs()).collect::<Vec<f64>>()
    });
    differences.fold(0.0, |most, d| if d > most || d.is_nan() { d } else { most })
}

fn same_bits(a: &[Trained], b: &[Trained]) -> bool {
    let bits = |t: &Trained| t.parameters.iter().map(|p| p.to_bits()).collect::<Vec<u32>>();
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| bits(a) == bits(b) && a.train_loss == b.train_loss)
}

/// Learns on the device as on the CPU, in any order of copies, warps and streams, and alone as in company.
fn devices_agree(case: &str, data: &Dataset, config: &TrainConfig) -> f64 {
    let standin = standin::load().unwrap();
    let expected = trained(&Cpu::single(), data, config, None);
    let cuda = Cuda::open(0).unwrap();
    let mut first: Option<Vec<Trained>> = None;
    for (late, seed) in [(false, 0), (true, 1)] {
        standin.configure(late, seed, late);
        let found = trained(&cuda, data, config, None);
        if let Some(first) = &first {
            assert!(same_bits(first, &found), "{case}: other bits where copies are late");
        }
        first = Some(found);
    }
    standin.configure(false, 0, false);
    let found = first.unwrap();
    let alone = trained(&cuda, data, config, Some(1));
    assert!(same_bits(&found[1..2], &alone), "{case}: other bits in company");
    let (apart, curve) = (apart(&expected, &found), &expected[0].train_loss);
    println!("{case}: losses differ by {apart:.1e} on the way from {:.3} to {:.3}", curve[0], curve[24]);
    assert!(apart < LOSS_BOUND, "{case}: losses differ by {apart}");
    assert!(curve[24] < 0.9 * curve[0], "{case}: nothing is learnt");
    apart
}

#[test]
fn losses_are_those_of_the_cpu() {
    if standin::load().is_none() {
        return;
    }
    let mut most = 0f64;
    for (projection, d_rna) in [(Projection::None, WIDTH), (Projection::OneSided, 7), (Projection::Both(40), 7)] {
        let data = data(Task::Binary, WIDTH, d_rna);
        for fusion in [Fusion::Static, Fusion::Input, Fusion::Concat, Fusion::Average] {
            let case = format!("{projection:?}, {fusion:?}");
            most = most.max(devices_agree(&case, &data, &config(projection, fusion, &[36])));
        }
    }
    for task in [Task::Regression, Task::MultiLabel] {
        let data = data(task, WIDTH, 7);
        let config = config(Projection::Both(16), Fusion::Static, &[]);
        most = most.max(devices_agree(&format!("{task:?}"), &data, &config));
    }
    println!("losses differ by at most {most:.1e}");
}
