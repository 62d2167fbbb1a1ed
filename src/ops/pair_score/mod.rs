//! Every library entry with every target by their folded operands; only pairs that reach the target's least value are
//! reported, scores are never written.
//!
//! A member's logit z of an entry a and a target b, by the form of the folded network:
//!
//! * signed L1: `z = o + Σ_{k<n⁺} max(a_k, −b_k) − Σ_{k≥n⁺} max(a_k, −b_k)`, o the target's offset
//! * ReLU: `z = head(relu(a + b))`
//! * gate: `a = [p|u]`, `b = [r|v]`, `z = head(r + σ(u + v) ⊙ (p − r))`
//!
//! The value of a pair is `Σ_m w_m·φ(z_m)` over the members, φ the identity or the logistic function.

mod cpu;
mod cuda;
mod cuda_network;
mod network;
#[cfg(test)]
mod tests;

pub use network::{HeadLayer, Link, PairForm, PairMember, PairNetwork};

use crate::backend::{Activation, Matrix, Memory, expect_shape};
use crate::error::Result;

/// A pair that reached its target's least value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Survivor {
    /// Row of the target.
    pub target: u32,
    /// Row of the entry.
    pub entry: u32,
    /// The pair's value.
    pub value: f32,
}

/// Where survivors are written, in any order.
pub struct Found<B: Memory> {
    /// Most survivors that are kept.
    pub capacity: usize,
    /// How many there were, `[1]`: more than the capacity where some were lost.
    pub count: B::Buffer<u32>,
    /// Target, entry and the bits of the value of each, `[capacity, 3]`.
    pub survivors: B::Buffer<u32>,
}

impl<B: Memory> Found<B> {
    /// Room for `capacity` survivors.
    ///
    /// # Errors
    /// When the device has no memory left.
    pub fn new(backend: &B, capacity: usize) -> Result<Self> {
        Ok(Self { capacity, count: backend.zeros(1)?, survivors: backend.zeros(3 * capacity)? })
    }

    /// The survivors of the last call in any order; `None` where there were more than the capacity.
    ///
    /// # Errors
    /// What the device reports.
    pub fn read(&self, backend: &B) -> Result<Option<Vec<Survivor>>> {
        let mut count = [0];
        backend.download(backend.view(&self.count, 0..1), &mut count)?;
        let count = count[0] as usize;
        if count > self.capacity {
            return Ok(None);
        }
        let mut words = vec![0; 3 * count];
        backend.download(backend.view(&self.survivors, 0..3 * count), &mut words)?;
        let survivor = |&[target, entry, bits]: &[u32; 3]| Survivor { target, entry, value: f32::from_bits(bits) };
        Ok(Some(words.as_chunks::<3>().0.iter().map(survivor).collect()))
    }
}

/// The folded operands of [`pair_score`]. Rows are [padded](Memory::padded) to the device's width; what pads a row is 0.
pub struct PairOperands<'a, B: Memory, A: Activation> {
    /// Entries, `[n_members · n_tables · n_entries, row]`: member after member, and in each p before u.
    pub entries: Matrix<'a, B, A>,
    /// Targets, `[n_members · n_tables · n_targets, row]`, likewise.
    pub targets: Matrix<'a, B, f32>,
    /// Offsets o of the signed L1 form, `[n_members, n_targets]`; zeros for the other forms.
    pub offsets: Matrix<'a, B, f32>,
    /// Least value that is reported, `[1, n_targets]`.
    pub least: Matrix<'a, B, f32>,
}

/// The device side of [`pair_score`].
pub trait PairScore: Memory {
    /// A folded network as this device reads it.
    type FoldedNetwork: Send + Sync;

    /// Takes a folded network to the device. Its widths have been checked.
    ///
    /// # Errors
    /// When the device has no memory left or the network is too wide for it.
    fn load_folded(&self, network: &PairNetwork) -> Result<Self::FoldedNetwork>;

    /// Calls that this device works on side by side: one per thread of a CPU, one for a device with a queue.
    fn calls_together(&self) -> usize;

    /// Whether this device computes this form fastest from entries in half precision.
    fn prefers_half(&self, form: PairForm) -> bool;

    /// Bytes of folded entries that are worth a call: a block that stays in a CPU's second-level cache while all targets
    /// pass by, one that keeps a device busy.
    fn block_bytes(&self) -> usize;

    /// Largest relative error by which this device rounds what a head reads, and its weights, where entries lie in `A`.
    /// Sums are in f32.
    fn roundoff<A: Activation>(&self) -> f64;

    /// See [`pair_score`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn pair_score_raw<A: Activation>(
        &self,
        network: &Self::FoldedNetwork,
        operands: &PairOperands<'_, Self, A>,
        n: [usize; 2],
        found: &mut Found<Self>,
    ) -> Result<()>;
}

/// Writes every pair whose value is not below its target's least value to `found`, and how many there were: a value that
/// is no number is reported. `n` = [entries, targets].
///
/// z is within `γ(d + 2)·Σ|w·x|` of the exact sum at every layer, γ of f32, besides [`PairScore::roundoff`]; every σ is
/// within 2⁻²⁰ of the exact one.
///
/// # Errors
/// When the shapes do not fit the network; what the device reports.
pub fn pair_score<B: PairScore, A: Activation>(
    backend: &B,
    network: &PairNetwork,
    loaded: &B::FoldedNetwork,
    operands: &PairOperands<'_, B, A>,
    n: [usize; 2],
    found: &mut Found<B>,
) -> Result<()> {
    const OP: &str = "pair_score";
    let [n_entries, n_targets] = n;
    let (members, tables, row) = (network.members.len(), network.form.n_tables(), backend.padded(network.width));
    expect_shape(OP, "entries", [members * tables * n_entries, row], operands.entries.shape())?;
    expect_shape(OP, "targets", [members * tables * n_targets, row], operands.targets.shape())?;
    expect_shape(OP, "offsets", [members, n_targets], operands.offsets.shape())?;
    expect_shape(OP, "least", [1, n_targets], operands.least.shape())?;
    backend.pair_score_raw(loaded, operands, n, found)
}
