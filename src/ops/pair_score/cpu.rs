//! CPU twin.

use super::{Found, Link, PairForm, PairMember, PairNetwork, PairOperands, PairScore};
use crate::backend::{Activation, Cpu, Real};
use crate::error::Result;

/// The larger one; NaN where either is.
fn larger(a: f32, b: f32) -> f32 {
    if a.is_nan() || a > b { a } else { b }
}

/// The output of a head.
fn head(member: &PairMember, mut x: Vec<f32>) -> f32 {
    for (i, layer) in member.head.iter().enumerate() {
        let hidden = i + 1 < member.head.len();
        let output = |(row, bias): (&[f32], &f32)| {
            let z = row.iter().zip(&x).map(|(w, x)| w * x).sum::<f32>() + bias;
            if hidden { larger(z, 0.0) } else { z }
        };
        x = layer.weight.chunks_exact(layer.d_in).zip(&layer.bias).map(output).collect();
    }
    x[0]
}

/// A member's logit: the tables' rows of an entry and of a target, and the target's offset.
fn logit(form: PairForm, member: &PairMember, [a, b]: [[&[f32]; 2]; 2], offset: f32) -> f32 {
    let pairs = a[0].iter().zip(b[0]);
    match form {
        PairForm::SignedL1 => {
            let sign = |k: usize| if k < member.n_positive { 1.0 } else { -1.0 };
            pairs.enumerate().map(|(k, (&a, &b))| sign(k) * larger(a, -b)).sum::<f32>() + offset
        }
        PairForm::Relu => head(member, pairs.map(|(a, b)| larger(a + b, 0.0)).collect()),
        PairForm::Gate => {
            let gates = a[1].iter().zip(b[1]).map(|(u, v)| (u + v).sigmoid());
            head(member, pairs.zip(gates).map(|((p, r), s)| r + s * (p - r)).collect())
        }
    }
}

impl PairScore for Cpu {
    type FoldedNetwork = PairNetwork;

    fn load_folded(&self, network: &PairNetwork) -> Result<PairNetwork> {
        Ok(network.clone())
    }

    fn calls_together(&self) -> usize {
        self.threads
    }

    fn roundoff<A: Activation>(&self) -> f64 {
        1.0 / 16_777_216.0
    }

    fn pair_score_raw<A: Activation>(
        &self,
        network: &PairNetwork,
        operands: &PairOperands<'_, Self, A>,
        [n_entries, n_targets]: [usize; 2],
        found: &mut Found<Self>,
    ) -> Result<()> {
        let (width, n_tables) = (network.width, network.form.n_tables());
        let entries = A::widened(operands.entries.view);
        let mut count = 0;
        for target in 0..n_targets {
            for entry in 0..n_entries {
                let mut value = 0.0;
                for (m, member) in network.members.iter().enumerate() {
                    let row = |table: usize, n: usize, row: usize| {
                        ((m * n_tables + table.min(n_tables - 1)) * n + row) * width
                    };
                    let a = [0, 1].map(|table| &entries[row(table, n_entries, entry)..][..width]);
                    let b = [0, 1].map(|table| &operands.targets.view[row(table, n_targets, target)..][..width]);
                    let z = logit(network.form, member, [a, b], operands.offsets.view[m * n_targets + target]);
                    value += member.weight * if network.link == Link::Logistic { z.sigmoid() } else { z };
                }
                if value < operands.least.view[target] {
                    continue;
                }
                if count < found.capacity {
                    let words = [target as u32, entry as u32, value.to_bits()];
                    found.survivors[3 * count..][..3].copy_from_slice(&words);
                }
                count += 1;
            }
        }
        found.count[0] = count as u32;
        Ok(())
    }
}
