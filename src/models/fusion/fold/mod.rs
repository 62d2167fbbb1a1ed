//! A trained network folded for screening: all that depends on one entity alone is computed once per entity.
//!
//! With `x = σ(g) ⊙ p + (1 − σ(g)) ⊙ r` the first layer of the head separates, `W₁x + b₁ = A + B`:
//! `A = W₁·diag(σ(g))·p` of the partner, `B = W₁·diag(1 − σ(g))·r + b₁` of the RNA; the average is σ = ½, a concatenation
//! has columns of W₁ for each. What is left of a pair:
//!
//! * no hidden layer: `z = A + B`, written as `relu(A + B) − relu(−A − B)`
//! * one hidden layer: `z = c + Σ w_k·relu(A_k + B_k) = c + Σ s_k·relu(|w_k|A_k + |w_k|B_k)`, a signed L1 form
//! * more: the rest of the head on `relu(A + B)`
//! * an input-dependent gate: its logits separate, `G[p|r] + c = U + V`; the mixture and the head are left.

mod bound;
mod dense;
mod exact;
#[cfg(test)]
mod tests;

pub use bound::{Bound, LogitBound, Reach, Size};
pub use exact::{Features, PairLogits};

use self::dense::Dense;
use super::FusionNetwork;
use super::config::Fusion;
use crate::data::Side;
use crate::error::{Error, Result};
use crate::ops::pair_score::{PairForm, PairMember};

/// What a table of a side holds of its entity.
#[derive(Debug, Clone)]
enum Table {
    /// The operand as it enters the gate.
    Operand,
    /// A linear layer of it.
    Linear(Dense),
}

/// How entities of one side are folded.
#[derive(Debug, Clone)]
struct SideFold {
    d_in: usize,
    /// Linear → ReLU, where the side is projected.
    projection: Option<Dense>,
    /// The tables of the form.
    tables: Vec<Table>,
}

/// The mean share of the partner in a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Share {
    /// A concatenation has none.
    None,
    /// The same for all pairs.
    Constant(f64),
    /// The pair's own; it is that of the target where the flag is set.
    OfPair { of_target: bool },
}

/// One label of a trained network, folded, in f64.
#[derive(Debug, Clone)]
pub struct Fold {
    form: PairForm,
    width: usize,
    /// Entries, targets.
    sides: [SideFold; 2],
    /// Signed L1: the sum's constant, and how many elements come first that are added.
    constant: f64,
    n_positive: usize,
    /// What is left of the head.
    head: Vec<Dense>,
    share: Share,
}

/// σ(x).
pub(crate) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Fold {
    /// Folds output `label` of a network; `entries` is the side that the library is of.
    ///
    /// # Errors
    /// [`Error::Shape`] when the parameters are not those of the network or the label is not there.
    pub fn new(network: &FusionNetwork, parameters: &[f32], label: usize, entries: Side) -> Result<Self> {
        let FusionNetwork { config, layout } = network;
        if parameters.len() != layout.len() || label >= config.n_outputs {
            let expected = format!("{} parameters and a label below {}", layout.len(), config.n_outputs);
            return Err(Error::Shape { op: "fold", expected, found: format!("{}, label {label}", parameters.len()) });
        }
        let dense = |linear: &_| Dense::of(linear, parameters);
        let mut head: Vec<Dense> = layout.head.iter().map(dense).collect();
        if let Some(last) = head.last_mut() {
            *last = last.outputs([(label, 1.0)]);
        }
        let (p_width, r_width) = (config.partner_width(), config.rna_width());
        let mut folded = if let Some(gate) = &layout.input_gate {
            by_input_gate(&dense(gate), p_width, entries, head)
        } else {
            let share: Vec<f64> = match &layout.static_gate {
                Some(gate) => parameters[gate.range()].iter().map(|&g| logistic(f64::from(g))).collect(),
                None => vec![0.5; p_width],
            };
            let rest: Vec<f64> = share.iter().map(|s| 1.0 - s).collect();
            let first = head.remove(0);
            if config.fusion == Fusion::Concat {
                let parts = [first.inputs(0, &vec![1.0; p_width]), first.inputs(p_width, &vec![1.0; r_width])];
                by_first_layer(parts, Share::None, head)
            } else {
                let mean = Share::Constant(share.iter().sum::<f64>() / p_width as f64);
                by_first_layer([first.inputs(0, &share), first.inputs(0, &rest)], mean, head)
            }
        };
        let sides = [(config.d_partner, &layout.partner), (config.d_rna, &layout.rna)];
        let [partner, rna] = std::array::from_fn(|side| SideFold {
            d_in: sides[side].0,
            projection: sides[side].1.as_ref().map(dense),
            tables: std::mem::take(&mut folded.tables[side]),
        });
        Ok(Self {
            form: folded.form,
            width: folded.width,
            sides: if entries == Side::Partner { [partner, rna] } else { [rna, partner] },
            constant: folded.constant,
            n_positive: folded.n_positive,
            head: folded.head,
            share: folded.share,
        })
    }

    /// How operands meet.
    #[must_use]
    pub fn form(&self) -> PairForm {
        self.form
    }
    /// Width of a row of each table.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }
    /// Width of the vectors of the entries and of the targets.
    #[must_use]
    pub fn d_in(&self) -> [usize; 2] {
        [self.sides[0].d_in, self.sides[1].d_in]
    }
    /// Digest of the layers that fold entries.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        let tables = self.sides[0].tables.iter().filter_map(|table| match table {
            Table::Operand => None,
            Table::Linear(dense) => Some(dense),
        });
        for dense in self.sides[0].projection.iter().chain(tables) {
            hasher.update(bytemuck::cast_slice(&dense.weight));
            hasher.update(bytemuck::cast_slice(&dense.bias));
        }
        *hasher.finalize().as_bytes()
    }
    /// What a device computes of each pair, in f32, with this weight of the member.
    #[must_use]
    pub fn member(&self, weight: f32) -> PairMember {
        PairMember { weight, n_positive: self.n_positive, head: self.head.iter().map(Dense::rounded).collect() }
    }
}

/// Partner and RNA tables, and what is left of the pair.
struct Parts {
    form: PairForm,
    width: usize,
    tables: [Vec<Table>; 2],
    constant: f64,
    n_positive: usize,
    head: Vec<Dense>,
    share: Share,
}

/// The parts of the first layer that read the partner and the RNA; the rest of the head.
fn by_first_layer([partner, rna]: [Dense; 2], share: Share, mut head: Vec<Dense>) -> Parts {
    let (form, chosen, n_positive, constant): (_, Vec<(usize, f64)>, _, _) = match head.len() {
        0 => (PairForm::SignedL1, vec![(0, 1.0), (0, -1.0)], 1, 0.0),
        1 => {
            let last = head.remove(0);
            let signed = |positive: bool| {
                let weights = last.weight.iter().copied().enumerate();
                weights.filter(move |(_, w)| (*w >= 0.0) == positive).map(|(k, w)| (k, w.abs()))
            };
            let n_positive = signed(true).count();
            (PairForm::SignedL1, signed(true).chain(signed(false)).collect(), n_positive, last.bias[0])
        }
        _ => (PairForm::Relu, (0..partner.d_out).map(|k| (k, 1.0)).collect(), 0, 0.0),
    };
    // The bias belongs to the sum: it goes with the RNA.
    let tables = [partner.without_bias(), rna].map(|side| vec![Table::Linear(side.outputs(chosen.iter().copied()))]);
    Parts { form, width: chosen.len(), tables, constant, n_positive, head, share }
}

/// `x = a₀ + σ(a₁ + b₁) ⊙ …` is written with the entry first: `x = b₀ + σ(a₁ + b₁) ⊙ (a₀ − b₀)`. Where entries are the
/// RNAs, whose share is `1 − σ(g) = σ(−g)`, the gate's logits change their sign.
fn by_input_gate(gate: &Dense, width: usize, entries: Side, head: Vec<Dense>) -> Parts {
    let sign = if entries == Side::Partner { 1.0 } else { -1.0 };
    let gate = gate.outputs((0..width).map(|k| (k, sign)));
    let ones = vec![1.0; width];
    let of = |layer: Dense| vec![Table::Operand, Table::Linear(layer)];
    let tables = [of(gate.inputs(0, &ones).without_bias()), of(gate.inputs(width, &ones))];
    let share = Share::OfPair { of_target: entries == Side::Rna };
    Parts { form: PairForm::Gate, width, tables, constant: 0.0, n_positive: 0, head, share }
}
