//! The folded network beside the plain one in f64, every variant.

use proptest::prelude::*;

use super::super::{FusionConfig, FusionNetwork, Parameters, Projection, Workspace};
use super::*;
use crate::backend::Cpu;
use crate::data::Task;

/// The plain forward pass in f64: logits `[n, n_outputs]` of pair i of `a [n, d_a]` and `b [n, d_b]`, and the mean share.
fn plain(network: &FusionNetwork, parameters: &[f32], a: &[f32], b: &[f32]) -> (Vec<f64>, Option<Vec<f64>>) {
    let (cpu, config) = (Cpu::single(), &network.config);
    let n = a.len() / config.d_partner;
    let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    let mut work = Workspace::<Cpu, f64>::new(&cpu, config, 1, n, false).unwrap();
    work.partner.copy_from_slice(&wide(a));
    work.rna.copy_from_slice(&wide(b));
    let uploaded = Parameters::uploaded(&cpu, &wide(parameters)).unwrap();
    network.forward(&cpu, &uploaded, &mut work, n, None).unwrap();
    let logits = work.logits(&cpu, n, config.n_outputs).to_vec();
    let mut single = Workspace::<Cpu, f32>::new(&cpu, config, 1, n, false).unwrap();
    single.partner.copy_from_slice(a);
    single.rna.copy_from_slice(b);
    let uploaded = Parameters::uploaded(&cpu, parameters).unwrap();
    network.forward(&cpu, &uploaded, &mut single, n, None).unwrap();
    (logits, network.gate_share(&cpu, &uploaded, &single, n).unwrap().map(|share| share.mean))
}

fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / f32::from(1_u16 << 12)) / 2048.0 - 1.0
    };
    (0..n).map(next).collect()
}

fn any_config() -> impl Strategy<Value = FusionConfig> {
    let projection =
        prop_oneof![Just(Projection::None), Just(Projection::OneSided), (1usize..40).prop_map(Projection::Both)];
    let fusion = prop_oneof![Just(Fusion::Static), Just(Fusion::Input), Just(Fusion::Concat), Just(Fusion::Average)];
    let head = proptest::collection::vec(1usize..20, 0..4);
    (projection, fusion, head, 1usize..30, 1usize..30, 1usize..3).prop_map(
        |(projection, fusion, head, d_partner, d_rna, n_outputs)| FusionConfig {
            d_partner,
            d_rna: if projection == Projection::None && fusion != Fusion::Concat { d_partner } else { d_rna },
            projection,
            fusion,
            head,
            n_outputs,
            dropout_projection: 0.1,
            dropout_head: 0.5,
            task: Task::MultiLabel,
        },
    )
}

proptest! {
    #[test]
    fn a_folded_network_is_the_plain_one(config in any_config(), seed in 0u64..1000, of_partner in any::<bool>()) {
        let network = FusionNetwork::new(config).unwrap();
        let config = &network.config;
        let parameters = network.layout.initial(seed);
        let n = 5;
        let (a, b) = (numbers(n * config.d_partner, seed), numbers(n * config.d_rna, seed + 1));
        let (logits, means) = plain(&network, &parameters, &a, &b);
        let entries = if of_partner { Side::Partner } else { Side::Rna };
        let vectors = if of_partner { [&a, &b] } else { [&b, &a] };
        for label in 0..config.n_outputs {
            let fold = Fold::new(&network, &parameters, label, entries).unwrap();
            prop_assert_eq!(fold.d_in(), vectors.map(|v| v.len() / n));
            let [entries, targets] = [0, 1].map(|side| fold.features(side, vectors[side]).unwrap());
            for i in 0..n {
                let found = fold.pairs(&entries, &[i], &targets, i).unwrap();
                let wanted = logits[i * config.n_outputs + label];
                // A few hundred roundings in f64 of numbers around 1.
                prop_assert!((found.logits[0] - wanted).abs() < 1e-12 * (1.0 + wanted.abs()), "{found:?} {wanted}");
                // The plain share is of logits in f32.
                let close = |(found, wanted): (f64, f64)| (found - wanted).abs() < 1e-5;
                prop_assert!(found.gate_mean.map(|m| m[0]).zip(means.as_ref().map(|m| m[i])).is_none_or(close));
                prop_assert_eq!(means.is_some(), config.fusion != Fusion::Concat);
            }
        }
    }
}

fn config(fusion: Fusion, head: &[usize]) -> FusionConfig {
    FusionConfig {
        d_partner: 33,
        d_rna: 20,
        projection: Projection::Both(40),
        fusion,
        head: head.to_vec(),
        n_outputs: 1,
        dropout_projection: 0.1,
        dropout_head: 0.5,
        task: Task::Binary,
    }
}

#[test]
fn a_pair_has_the_same_bits_in_any_list() {
    for (fusion, head) in [(Fusion::Static, &[64][..]), (Fusion::Input, &[70, 9]), (Fusion::Average, &[50, 30, 7])] {
        let network = FusionNetwork::new(config(fusion, head)).unwrap();
        let parameters = network.layout.initial(3);
        let fold = Fold::new(&network, &parameters, 0, Side::Partner).unwrap();
        let (x, targets) = (numbers(33 * 57, 1), fold.features(1, &numbers(20 * 3, 2)).unwrap());
        let all = fold.features(0, &x).unwrap();
        let together = fold.pairs(&all, &(0..57).collect::<Vec<_>>(), &targets, 1).unwrap();
        for i in 0..57 {
            let alone = fold.features(0, &x[33 * i..33 * (i + 1)]).unwrap();
            assert_eq!(fold.pairs(&alone, &[0], &targets, 1).unwrap().logits[0], together.logits[i]);
        }
    }
}

#[test]
fn a_head_that_cannot_tell_gives_equal_scores() {
    // Every hidden unit is shut: the logit is the last bias, to the bit, for every pair.
    let network = FusionNetwork::new(config(Fusion::Static, &[8])).unwrap();
    let mut parameters = network.layout.initial(1);
    let first = network.layout.tensors().find(|tensor| tensor.name == "head.0.bias").unwrap();
    parameters[first.range()].fill(-1e3);
    let fold = Fold::new(&network, &parameters, 0, Side::Rna).unwrap();
    let (entries, targets) =
        (fold.features(0, &numbers(20 * 9, 1)).unwrap(), fold.features(1, &numbers(33, 2)).unwrap());
    let found = fold.pairs(&entries, &(0..9).collect::<Vec<_>>(), &targets, 0).unwrap().logits;
    assert!(found.iter().all(|&z| z == f64::from(*parameters.last().unwrap())), "{found:?}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let network = FusionNetwork::new(config(Fusion::Static, &[8])).unwrap();
    let parameters = network.layout.initial(1);
    assert!(Fold::new(&network, &parameters[1..], 0, Side::Rna).is_err());
    assert!(Fold::new(&network, &parameters, 1, Side::Rna).unwrap_err().to_string().contains("label"));
    let fold = Fold::new(&network, &parameters, 0, Side::Rna).unwrap();
    assert!(fold.features(0, &[0.0; 21]).is_err());
}
