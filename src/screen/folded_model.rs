//! An ensemble folded for one label: what a device computes of pairs, how far off it can be, and the exact scores.

use half::f16;

use super::candidates::Hit;
use crate::backend::Activation;
use crate::data::{Side, Task};
use crate::error::Result;
use crate::models::fusion::fold::{Bound, Features, Fold, Reach, Size, logistic};
use crate::ops::pair_score::{Link, PairNetwork, PairScore};
use crate::train::{Model, SideScale};

/// An ensemble, folded, on a device.
pub(super) struct FoldedModel<'a, B: PairScore> {
    backend: &'a B,
    model: &'a Model,
    entries: Side,
    folds: Vec<Fold>,
    bounds: Vec<Bound>,
    pub network: PairNetwork,
    pub loaded: B::FoldedNetwork,
    /// Entries are rounded to half precision before they meet the targets.
    pub in_half: bool,
}

/// Folded rows as a device takes them, `[n_members · n_tables · n, row]`, and how large and how far off they are, by member.
pub(super) struct Tables<A> {
    pub rows: Vec<A>,
    pub reach: Vec<Reach>,
}

impl<'a, B: PairScore> FoldedModel<'a, B> {
    /// Folds the members for a library of this side; `in_half` says whether its folded rows are in half precision, else the
    /// device chooses.
    ///
    /// # Errors
    /// What the device reports.
    pub fn new(backend: &'a B, model: &'a Model, label: usize, entries: Side, in_half: Option<bool>) -> Result<Self> {
        let fold = |member: &crate::train::Trained| Fold::new(&member.network, &member.parameters, label, entries);
        let folds: Vec<Fold> = model.members.iter().map(fold).collect::<Result<_>>()?;
        let n = folds.len() as f32;
        let regression = model.config.task == Task::Regression;
        let weight = |scale: f32| if regression { scale / n } else { 1.0 / n };
        let members = folds.iter().zip(&model.members);
        let network = PairNetwork {
            form: folds[0].form(),
            width: folds[0].width(),
            link: if regression || folds.len() == 1 { Link::Identity } else { Link::Logistic },
            members: members.map(|(fold, member)| fold.member(weight(member.label_scale))).collect(),
        };
        network.check()?;
        let in_half = in_half.unwrap_or_else(|| backend.prefers_half(network.form));
        let roundoff = if in_half { backend.roundoff::<f16>() } else { backend.roundoff::<f32>() };
        Ok(Self {
            in_half,
            backend,
            model,
            entries,
            bounds: folds.iter().map(|fold| Bound::new(fold, roundoff)).collect(),
            loaded: backend.load_folded(&network)?,
            folds,
            network,
        })
    }

    /// Vectors `[n, d]` of the entries (`side` 0) or targets (1) folded in f64, by member.
    ///
    /// # Errors
    /// Never, for whole vectors.
    pub fn features(&self, side: usize, vectors: &[f32]) -> Result<Vec<Features>> {
        let of_partner = (self.entries == Side::Partner) == (side == 0);
        let d = self.folds[0].d_in()[side];
        let fold = |(fold, member): (&Fold, &crate::train::Trained)| {
            let scale: &SideScale = if of_partner { &member.scale.partner } else { &member.scale.rna };
            let mut vectors = vectors.to_vec();
            vectors.chunks_exact_mut(d).for_each(|vector| scale.apply(vector));
            fold.features(side, &vectors)
        };
        self.folds.iter().zip(&self.model.members).map(fold).collect()
    }

    /// Folded rows rounded to `A`, padded to the device's width.
    pub fn tables<A: Activation>(&self, n: usize, features: &[Features]) -> Tables<A> {
        let (row, width) = (self.row(), self.network.width);
        let mut rows = vec![A::default(); self.n_tables() * n * row];
        let mut reach = vec![Reach::default(); features.len()];
        let n_tables = self.network.form.n_tables();
        for (table, rows) in rows.chunks_exact_mut((n * row).max(1)).enumerate() {
            let (member, table) = (table / n_tables, table % n_tables);
            let largest: &mut Size = &mut reach[member][table];
            for (i, rounded) in rows.chunks_exact_mut(row).enumerate() {
                let exact = features[member].row(table, i);
                rounded.iter_mut().zip(exact).for_each(|(rounded, x)| *rounded = A::rounded(*x as f32));
                *largest = largest.max(Size::of(exact, A::widened(&rounded[..width]).iter().copied()));
            }
        }
        Tables { rows, reach }
    }

    /// How large row `i` is and how far off in f32, by member.
    pub fn reach(&self, features: &[Features], i: usize) -> Vec<Reach> {
        let of_member = |features: &Features| {
            let mut reach = Reach::default();
            for (table, size) in reach.iter_mut().enumerate().take(self.network.form.n_tables()) {
                let exact = features.row(table, i);
                *size = Size::of(exact, exact.iter().map(|&x| x as f32));
            }
            reach
        };
        features.iter().map(of_member).collect()
    }

    /// Width of a row on the device.
    pub fn row(&self) -> usize {
        self.backend.padded(self.network.width)
    }

    /// Tables of folded rows, of all members.
    pub fn n_tables(&self) -> usize {
        self.network.members.len() * self.network.form.n_tables()
    }

    /// Calls that the device works on side by side.
    pub fn calls_together(&self) -> usize {
        self.backend.calls_together()
    }

    /// Digest of all that folded rows depend on but the vectors.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for (fold, member) in self.folds.iter().zip(&self.model.members) {
            hasher.update(format!("{:?} {:?}", member.network.config, self.entries).as_bytes());
            hasher.update(&fold.digest());
            for scale in [&member.scale.rna, &member.scale.partner] {
                hasher.update(bytemuck::cast_slice(&scale.mean));
                hasher.update(bytemuck::cast_slice(&scale.inverse_sd));
            }
        }
        hasher.finalize().to_string()
    }

    /// Offsets of `n` targets in the rows that a device has, `[n_members, n]`.
    pub fn offsets(&self, rows: &[f32], n: usize) -> Vec<f32> {
        let row = self.row();
        let per_member = self.network.form.n_tables() * n * row;
        let of = |(fold, rows): (&Fold, &[f32])| fold.offsets(&rows[..n * row], row);
        self.folds.iter().zip(rows.chunks_exact(per_member.max(1))).flat_map(of).collect()
    }

    /// How far the device's value of a pair can be from the exact one.
    pub fn slack(&self, entry: &[Reach], target: &[Reach]) -> f64 {
        let (n, logistic) = (self.bounds.len(), self.network.link == Link::Logistic);
        let weights = self.network.members.iter().map(|member| f64::from(member.weight));
        let bounds = self.bounds.iter().zip(entry.iter().zip(target));
        bounds.zip(weights).map(|((bound, (a, b)), weight)| bound.logit(a, b).in_sum(weight, logistic, n)).sum()
    }

    /// The least value that scores as high as `score`, or a little less.
    pub fn floor_of_score(&self, score: f64) -> f64 {
        if self.is_score() {
            return score;
        }
        // A probability is rounded: the logit is that of a number a little below. From 36 on it is 1.
        let p = score * (1.0 - 4.0 * f64::EPSILON);
        match p {
            p if p <= 0.0 => f64::NEG_INFINITY,
            p if p >= 1.0 - 8.0 * f64::EPSILON => 34.0,
            p => {
                let z = p.ln() - (-p).ln_1p();
                z - 1e-12 * (1.0 + z.abs())
            }
        }
    }

    /// Whether the value is the score: not of one network of a classification, whose value is its logit.
    fn is_score(&self) -> bool {
        self.model.config.task == Task::Regression || self.folds.len() > 1
    }

    /// Exact scores of target `target` with some entries, in f64.
    ///
    /// # Errors
    /// Never, for rows that are there.
    pub fn exact(
        &self,
        entries: &[Features],
        chosen: &[usize],
        targets: &[Features],
        target: usize,
    ) -> Result<Vec<Hit>> {
        let found = self.folds.iter().zip(entries.iter().zip(targets));
        let found = found.map(|(fold, (entries, targets))| fold.pairs(entries, chosen, targets, target));
        let found: Vec<_> = found.collect::<Result<_>>()?;
        let n = found.len() as f64;
        let regression = self.model.config.task == Task::Regression;
        let hit = |i: usize| {
            let logits = found
                .iter()
                .zip(&self.model.members)
                .map(|(found, member)| found.logits[i] * if regression { f64::from(member.label_scale) } else { 1.0 });
            let logits: Vec<f64> = logits.collect();
            let logit = logits.iter().sum::<f64>() / n;
            let score_of = |z: f64| if regression { z } else { logistic(z) };
            let score = logits.iter().map(|&z| score_of(z)).sum::<f64>() / n;
            let square = logits.iter().map(|&z| (score_of(z) - score).powi(2)).sum::<f64>();
            let shares = found.iter().map(|found| found.gate_mean.as_ref().map_or(f64::NAN, |means| means[i]));
            Hit {
                score,
                logit,
                spread: if found.len() > 1 { (square / (n - 1.0)).sqrt() } else { f64::NAN },
                gate_mean: shares.sum::<f64>() / n,
                // Minus zero becomes zero: the two are one value.
                value: if self.is_score() { score } else { logit } + 0.0,
                record: 0,
                padding: 0,
            }
        };
        Ok((0..chosen.len()).map(hit).collect())
    }
}
