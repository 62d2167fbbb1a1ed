//! Screens beside brute force: every pair scored by the plain network in f64, filtered, sorted.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use rustc_hash::FxHashSet;

use super::super::*;
use super::with_threads;
use crate::backend::{Cpu, Isa};
use crate::data::{EncoderIdentity, Side, Task};
use crate::embed::Store;
use crate::embed::store::{DigestOf, Dtype, Flags, Layout, NewRecord, StoreOptions, StoreWriter};
use crate::error::Result;
use crate::models::fusion::{Fusion, FusionNetwork, Parameters, Projection, Workspace};
use crate::ops::pair_score::PairScore;
use crate::progress::Silent;
use crate::train::{Model, ModelConfig, Preset, Standardiser, TrainIndex, Trained};

/// Random numbers that are the same everywhere.
pub(super) struct Draw(pub u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n as u64) as usize
    }
    /// One of `levels` numbers in [−1, 1]: few of them make many ties.
    pub fn number(&mut self, levels: usize) -> f32 {
        2.0 * self.below(levels) as f32 / (levels - 1) as f32 - 1.0
    }
}

fn identity(name: &str) -> EncoderIdentity {
    EncoderIdentity { name: name.into(), digest: String::new(), pooling: "mean".into() }
}

/// A store of these vectors; every seventh record has the vector of an earlier one by its sequence.
pub(super) fn store(folder: &Path, name: &str, vectors: &[Vec<f32>]) -> Arc<Store> {
    let options = StoreOptions {
        encoder: identity(name),
        modality: String::new(),
        layout: Layout::Pooled,
        dtype: Dtype::F32,
        dim: vectors[0].len(),
        digest_of: DigestOf::Sequence,
        origin: serde_json::Value::Null,
        force: false,
    };
    let n = vectors.len();
    let mut writer = StoreWriter::create(folder.join(name), options).unwrap();
    for (i, vector) in vectors.iter().enumerate() {
        let of = if i % 7 == 6 { i / 2 } else { i };
        let of = if of % 7 == 6 { of - 1 } else { of };
        // Ids are not in alphabetical order.
        let id = format!("{name}{}", (i * 31 + 7) % n.next_power_of_two());
        let digest = *blake3::hash(format!("{name} {of}").as_bytes()).as_bytes().first_chunk().unwrap();
        let record = NewRecord { id: &id, line: 0, digest, length: 9, unknown: 0, flags: Flags::default() };
        writer.push(&record, vector).unwrap();
    }
    writer.finish().unwrap();
    Arc::new(Store::open(folder.join(name)).unwrap())
}

/// What is screened.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub task: Task,
    pub fusion: Fusion,
    pub projection: Projection,
    pub head: Vec<usize>,
    pub members: usize,
    pub side: Side,
    pub n_targets: usize,
    pub n_entries: usize,
    /// Different numbers in a vector.
    pub levels: usize,
    pub k: usize,
    pub seed: u64,
}

impl Case {
    pub(super) fn model(&self, draw: &mut Draw) -> Model {
        let (d_rna, d_partner) = (5, if self.projection == Projection::None { 5 } else { 7 });
        let mut training = Preset::RnaProtein.config().with_fusion(self.fusion);
        training.network.projection = self.projection;
        training.network.head.clone_from(&self.head);
        let names = if self.task == Task::MultiLabel { 2 } else { 1 };
        let config = ModelConfig {
            training,
            task: self.task,
            label_names: (0..names).map(|i| format!("label{i}")).collect(),
            rna_encoder: identity("r"),
            partner_encoder: identity("p"),
            d_rna,
            d_partner,
            seed: 0,
            n_pairs: 1,
            label_scale: 2.5,
        };
        let network = FusionNetwork::new(config.network()).unwrap();
        let member = |_| Trained {
            network: network.clone(),
            parameters: {
                // Now and then a network that says nearly the same of all.
                let scale = [1.0, 3.0, 20.0, 0.0][draw.below(4)];
                network.layout.initial(draw.below(1 << 20) as u64).iter().map(|x| x * scale).collect()
            },
            scale: Standardiser::default(),
            label_scale: if self.task == Task::Regression { 2.5 } else { 1.0 },
            train_loss: Vec::new(),
            watched_loss: Vec::new(),
            watched: Vec::new(),
            kept_epoch: 1,
        };
        let index = |dim| TrainIndex { dim, units: Vec::new(), digests: Vec::new(), quantile_5: -1.0 };
        Model {
            members: (0..self.members).map(member).collect(),
            calibration: vec![None; names],
            rna_index: index(d_rna),
            partner_index: index(d_partner),
            config,
        }
    }

    /// Widths of the vectors of targets and entries.
    pub(super) fn widths(&self, model: &Model) -> [usize; 2] {
        match self.side {
            Side::Rna => [model.config.d_rna, model.config.d_partner],
            Side::Partner => [model.config.d_partner, model.config.d_rna],
        }
    }

    /// Screens on `backend`, and compares the ids of the hits, their order and their scores with brute force.
    fn check<B: PairScore + Sync>(&self, backend: &B) -> std::result::Result<(), TestCaseError> {
        let draw = &mut Draw(self.seed);
        let model = self.model(draw);
        let folder = tempfile::tempdir().unwrap();
        let [d_targets, d_entries] = self.widths(&model);
        let mut vectors = |n: usize, d: usize| -> Vec<Vec<f32>> {
            (0..n).map(|_| (0..d).map(|_| draw.number(self.levels)).collect()).collect()
        };
        let targets = Library::new(&[store(folder.path(), "t", &vectors(self.n_targets, d_targets))]).unwrap();
        let library = Library::new(&[store(folder.path(), "e", &vectors(self.n_entries, d_entries))]).unwrap();
        let all = brute_force(&model, &targets, &library, self);
        // Between two scores: the plain network rounds otherwise.
        let median = all[0].get(all[0].len() / 2).map(|hit| hit.1 - 1e-9);
        let excluded: FxHashSet<(u32, u32)> = targets
            .records()
            .flat_map(|target| {
                library.records().filter(move |entry| (target + entry) % 5 == 3).map(move |e| (target, e))
            })
            .collect();
        for (min_score, excluded) in [(None, FxHashSet::default()), (median, excluded)] {
            let label = model.config.label_names.len() - 1;
            let screening = Screening {
                model: &model,
                targets: &targets,
                library: &library,
                rows: 0..library.n_rows(),
                targets_side: self.side,
                label,
                top_k: self.k,
                min_score,
                excluded: &excluded,
                folded: None,
            };
            let mut found = Vec::new();
            let take = |target: u32, hits: &[Hit]| {
                found.push((target, hits.to_vec()));
                Ok(())
            };
            screening.run(backend, None, &Silent, take).unwrap();
            prop_assert_eq!(found.len(), targets.len());
            for ((target, hits), all_of_target) in found.iter().zip(&all) {
                let allowed = |(entry, score): &&(u32, f64)| {
                    min_score.is_none_or(|least| *score >= least) && !excluded.contains(&(*target, *entry))
                };
                let wanted: Vec<&(u32, f64)> = all_of_target.iter().filter(allowed).take(self.k).collect();
                let allowed_ids: Vec<u32> = wanted.iter().map(|(entry, _)| *entry).collect();
                prop_assert_eq!(hits.len(), wanted.len());
                for (hit, (entry, score)) in hits.iter().zip(wanted) {
                    // The plain and the folded network round otherwise: scores nearer than that have no order.
                    let near = (hit.score - score).abs() <= 1e-12 * (1.0 + score.abs());
                    prop_assert!(
                        near,
                        "{:?} {} {} {} {}",
                        self,
                        hit.score,
                        score,
                        library.id(hit.record),
                        library.id(*entry)
                    );
                }
                let key = |hit: &Hit| (-hit.value, library.id(hit.record));
                prop_assert!(hits.windows(2).all(|two| key(&two[0]) < key(&two[1])), "{self:?}");
                // Apart from those the entries are the same ones in the same order.
                let apart = |i: usize, all: &[(u32, f64)]| {
                    let far =
                        |j: Option<&(u32, f64)>| j.is_none_or(|j| (j.1 - all[i].1).abs() > 1e-12 * (1.0 + j.1.abs()));
                    far(i.checked_sub(1).and_then(|j| all.get(j))) && far(all.get(i + 1))
                };
                for (i, hit) in hits.iter().enumerate() {
                    let place = all_of_target.iter().position(|(entry, _)| *entry == hit.record);
                    let place = place.unwrap_or(usize::MAX);
                    prop_assert!(place < all_of_target.len());
                    prop_assert!(!apart(place, all_of_target) || allowed_ids[i] == hit.record, "{self:?} at {i}");
                }
            }
        }
        Ok(())
    }
}

/// Every entry of each target with its score by the plain network in f64, best first, ties by id.
fn brute_force(model: &Model, targets: &Library, library: &Library, case: &Case) -> Vec<Vec<(u32, f64)>> {
    let (cpu, entries) = (Cpu::single(), library.records().collect::<Vec<u32>>());
    let (n, label) = (entries.len(), model.config.label_names.len() - 1);
    let wide = |x: Vec<f32>| x.into_iter().map(f64::from).collect::<Vec<f64>>();
    let vectors = wide(library.vectors_of(&entries).unwrap());
    let score_of = |z: f64| if case.task == Task::Regression { z } else { 1.0 / (1.0 + (-z).exp()) };
    let of_target = |target: u32| {
        let vector = wide(targets.vectors_of(&[target]).unwrap());
        let (mut scores, mut values) = (vec![0.0; n], vec![0.0; n]);
        for member in &model.members {
            let config = &member.network.config;
            let mut work = Workspace::<Cpu, f64>::new(&cpu, config, 1, n, false).unwrap();
            let (of_targets, of_entries) = match case.side {
                Side::Rna => (&mut work.rna, &mut work.partner),
                Side::Partner => (&mut work.partner, &mut work.rna),
            };
            of_targets.chunks_exact_mut(vector.len()).for_each(|row| row.copy_from_slice(&vector));
            of_entries.copy_from_slice(&vectors);
            let parameters = Parameters::uploaded(&cpu, &wide(member.parameters.clone())).unwrap();
            member.network.forward(&cpu, &parameters, &mut work, n, None).unwrap();
            let logits = work.logits(&cpu, n, config.n_outputs);
            for ((score, value), z) in scores.iter_mut().zip(&mut values).zip(logits.chunks_exact(config.n_outputs)) {
                let z = z[label] * f64::from(member.label_scale);
                *score += score_of(z) / model.members.len() as f64;
                *value = if model.members.len() == 1 { z } else { *score };
            }
        }
        let mut all: Vec<(u32, f64, f64)> =
            entries.iter().zip(scores.iter().zip(&values)).map(|(&e, (&score, &value))| (e, score, value)).collect();
        all.sort_by(|a, b| b.2.total_cmp(&a.2).then_with(|| library.id(a.0).cmp(library.id(b.0))));
        all.into_iter().map(|(entry, score, _)| (entry, score)).collect()
    };
    targets.records().map(of_target).collect()
}

pub(super) fn any_case() -> impl Strategy<Value = Case> {
    let task = prop_oneof![Just(Task::Binary), Just(Task::Regression), Just(Task::MultiLabel)];
    let fusion = prop_oneof![Just(Fusion::Static), Just(Fusion::Input), Just(Fusion::Concat), Just(Fusion::Average)];
    let projection =
        prop_oneof![Just(Projection::None), Just(Projection::OneSided), (1usize..20).prop_map(Projection::Both)];
    let head = proptest::collection::vec(1usize..20, 0..4);
    let shape = (task, fusion, projection, head, 1usize..4, prop_oneof![Just(Side::Rna), Just(Side::Partner)]);
    let sizes = (1usize..5, 1usize..400, prop_oneof![Just(2usize), Just(3), Just(1 << 20)], 1usize..500, 0u64..1 << 40);
    (shape, sizes).prop_map(|((task, fusion, projection, head, members, side), sizes)| {
        let (n_targets, n_entries, levels, k, seed) = sizes;
        Case { task, fusion, projection, head, members, side, n_targets, n_entries, levels, k, seed }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_screen_is_brute_force_in_f64(case in any_case()) {
        case.check(&Cpu::single())?;
    }
}

pub(super) fn large(fusion: Fusion, head: &[usize], n_entries: usize, levels: usize, k: usize) -> Case {
    Case {
        task: Task::Binary,
        fusion,
        projection: Projection::Both(12),
        head: head.to_vec(),
        members: 1,
        side: Side::Rna,
        n_targets: 2,
        n_entries,
        levels,
        k,
        seed: 11,
    }
}

#[test]
fn large_libraries_too_on_every_instruction_set_and_any_threads() {
    for isa in Isa::available() {
        large(Fusion::Static, &[16], 40_000, 1 << 20, 100).check(&Cpu { threads: 1, isa }).unwrap();
        large(Fusion::Average, &[16, 8], 20_000, 1 << 20, 7).check(&Cpu { threads: 1, isa }).unwrap();
    }
    for threads in [1, 3] {
        with_threads(threads, || {
            large(Fusion::Static, &[16], 300_000, 1 << 20, 50).check(&Cpu::single()).unwrap();
            // Many ties, more than there is room for; and all of them.
            large(Fusion::Static, &[16], 60_000, 2, 10).check(&Cpu::single()).unwrap();
            large(Fusion::Input, &[16], 30_000, 3, 30_000).check(&Cpu::single()).unwrap();
        });
    }
}

/// The library of a case whose vectors hold NaN.
fn screen_of(model: &Model, targets: &Library, library: &Library) -> Result<()> {
    let excluded = FxHashSet::default();
    let screening = Screening {
        model,
        targets,
        library,
        rows: 0..library.n_rows(),
        targets_side: Side::Rna,
        label: 0,
        top_k: 1,
        min_score: None,
        excluded: &excluded,
        folded: None,
    };
    screening.run(&Cpu::single(), None, &Silent, |_, _| Ok(())).map(|_| ())
}

#[test]
fn numbers_that_are_none_are_named() {
    let case = large(Fusion::Static, &[4], 9, 4, 1);
    let mut model = case.model(&mut Draw(3));
    let folder = tempfile::tempdir().unwrap();
    let good = |name: &str, d: usize| {
        let vectors: Vec<Vec<f32>> = (0..9).map(|i| vec![0.1 * i as f32; d]).collect();
        Library::new(&[store(folder.path(), name, &vectors)]).unwrap()
    };
    let (targets, library) = (good("t", 5), good("e", 7));
    screen_of(&model, &targets, &library).unwrap();
    // A network that makes NaN of finite vectors.
    let last = model.members[0].parameters.len() - 1;
    model.members[0].parameters[last] = f32::NAN;
    let error = screen_of(&model, &targets, &library).unwrap_err().to_string();
    assert!(error.contains("is no number") && error.contains("'t"), "{error}");
}
