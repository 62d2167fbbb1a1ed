//! An ensemble folded for one label: what a device computes of pairs, how far off it can be, and the exact scores.

use half::f16;

use super::candidates::Hit;
use crate::data::{Side, Task};
use crate::error::Result;
use crate::models::fusion::fold::{Bound, Features, Fold, FoldedTables, Reach, SideFolder};
use crate::ops::linear::Linear;
use crate::ops::pair_score::{Link, PairNetwork, PairScore};
use crate::train::{Model, SideScale};

/// An ensemble, folded, on a device.
pub(super) struct FoldedModel<'a, B: PairScore + Linear> {
    backend: &'a B,
    model: &'a Model,
    entries: Side,
    folds: Vec<Fold>,
    bounds: Vec<Bound>,
    folders: [SideFolder<B>; 2],
    pub network: PairNetwork,
    pub loaded: B::FoldedNetwork,
    /// Entries are rounded to half precision before they meet the targets.
    pub in_half: bool,
}

/// Vectors of some entities as each member reads them, and the largest norm among them.
pub(super) struct Standardised {
    vectors: Vec<Vec<f32>>,
    norms: Vec<f64>,
}

fn norm(x: &[f32]) -> f64 {
    x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
}

impl<'a, B: PairScore + Linear> FoldedModel<'a, B> {
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
        /// Half a unit in the last place.
        const HALF: f64 = 1.0 / 2048.0;
        let in_half = in_half.unwrap_or_else(|| backend.prefers_half(network.form));
        let (roundoff, stored) =
            if in_half { (backend.roundoff::<f16>(), HALF) } else { (backend.roundoff::<f32>(), 0.0) };
        Ok(Self {
            in_half,
            backend,
            model,
            entries,
            bounds: folds.iter().map(|fold| Bound::new(fold, roundoff, stored)).collect(),
            folders: [SideFolder::new(backend, &folds, 0)?, SideFolder::new(backend, &folds, 1)?],
            loaded: backend.load_folded(&network)?,
            folds,
            network,
        })
    }

    /// Vectors `[n, d]` of the entries (`side` 0) or targets (1) as the members read them.
    pub fn standardised(&self, side: usize, vectors: &[f32]) -> Standardised {
        let of_partner = (self.entries == Side::Partner) == (side == 0);
        let d = self.folds[0].d_in()[side];
        let apply = |scale: &SideScale| {
            let mut vectors = vectors.to_vec();
            vectors.chunks_exact_mut(d).for_each(|vector| scale.apply(vector));
            vectors
        };
        let scales = self.model.members.iter().map(|m| if of_partner { &m.scale.partner } else { &m.scale.rna });
        let vectors: Vec<Vec<f32>> = scales.map(apply).collect();
        let largest = |x: &Vec<f32>| x.chunks_exact(d).map(norm).fold(0.0, f64::max);
        Standardised { norms: vectors.iter().map(largest).collect(), vectors }
    }

    /// Folded in f32 on the device.
    ///
    /// # Errors
    /// What the device reports.
    pub fn fold(&self, side: usize, n: usize, x: &Standardised) -> Result<FoldedTables<B>> {
        self.folders[side].fold(self.backend, n, &x.vectors)
    }

    /// Folded in f64, one for each member.
    ///
    /// # Errors
    /// Never, for whole vectors.
    pub fn features(&self, side: usize, x: &Standardised) -> Result<Vec<Features>> {
        self.folds.iter().zip(&x.vectors).map(|(fold, x)| fold.features(side, x)).collect()
    }

    /// The same on the host, without padding: `[n_members · n_tables, n, width]`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn folded_rows(&self, side: usize, n: usize, x: &Standardised) -> Result<Vec<f32>> {
        let tables = self.fold(side, n, x)?;
        let mut rows = vec![0.0; self.n_tables() * n * tables.row];
        self.backend.download(self.backend.view(&tables.buffer, 0..rows.len()), &mut rows)?;
        if tables.row > self.network.width {
            rows = rows.chunks_exact(tables.row).flat_map(|row| &row[..self.network.width]).copied().collect();
        }
        Ok(rows)
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

    /// Offsets of targets in the tables that a device has, `[n_members, n]`.
    pub fn offsets(&self, tables: &[f32], n: usize, row: usize) -> Vec<f32> {
        let per_member = self.network.form.n_tables() * n * row;
        let of = |(fold, tables): (&Fold, &[f32])| fold.offsets(&tables[..n * row], row);
        self.folds.iter().zip(tables.chunks_exact(per_member.max(1))).flat_map(of).collect()
    }

    /// What the norms of some vectors let the members make of them.
    pub fn reach(&self, side: usize, norms: &[f64]) -> Vec<Reach> {
        self.bounds.iter().zip(norms).map(|(bound, &norm)| bound.reach(side, norm)).collect()
    }

    /// How far the device's value of a pair can be from the exact one.
    pub fn slack(&self, entry: &[Reach], target: &[Reach]) -> f64 {
        let (n, logistic) = (self.bounds.len(), self.network.link == Link::Logistic);
        let weights = self.network.members.iter().map(|member| f64::from(member.weight));
        let bounds = self.bounds.iter().zip(entry.iter().zip(target));
        bounds.zip(weights).map(|((bound, (a, b)), weight)| bound.logit(a, b).in_sum(weight, logistic, n)).sum()
    }

    /// The least value that scores as high as `score`: what lies below ranks behind.
    pub fn floor_of_score(&self, score: f64) -> f64 {
        if self.ranks_by_value() {
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

    /// The least value that scores as high as `value` does.
    pub fn floor_of_value(&self, value: f64) -> f64 {
        if self.ranks_by_value() { value } else { self.floor_of_score(logistic(value)).min(value) }
    }

    /// Whether the value is the score: not of one network of a classification, whose value is its logit.
    fn ranks_by_value(&self) -> bool {
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
                // Minus zero becomes zero: the two are one score.
                score: score + 0.0,
                logit,
                spread: if found.len() > 1 { (square / (n - 1.0)).sqrt() } else { f64::NAN },
                gate_mean: shares.sum::<f64>() / n,
                value: if self.ranks_by_value() { score } else { logit },
                record: 0,
                padding: 0,
            }
        };
        Ok((0..chosen.len()).map(hit).collect())
    }
}

/// σ(z).
fn logistic(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

impl Standardised {
    /// The largest norm of each member's vectors.
    pub fn norms(&self) -> &[f64] {
        &self.norms
    }
}
