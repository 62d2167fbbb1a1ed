//! Attention over packed sequences: lengths around every tile, heads of every width, far logits, neighbours of NaN.

use super::Subject;
use super::bench::{Bench, Case, Found, same_bits};
use super::numbers::{Guarded, Numbers, Operand, wide};
use super::reference::{self, Rounding};
use crate::backend::Activation;
use crate::error::Result;
use crate::ops::Backend;
use crate::ops::attention::{Heads, attention};

/// An empty sequence among others.
const LENGTHS: [usize; 18] = [1, 2, 15, 16, 17, 0, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 200, 333];
const SHORT: [usize; 8] = [17, 33, 1, 130, 64, 15, 100, 65];

/// Rows behind the last sequence, which are to be left alone.
const BEHIND: usize = 3;

struct Attention<A> {
    heads: Heads,
    lengths: Vec<usize>,
    qkv: Vec<A>,
    note: &'static str,
}

impl<A: Activation> Attention<A> {
    fn of(n_heads: usize, d_head: usize, lengths: &[usize]) -> Self {
        let n: usize = lengths.iter().sum();
        // Logits are about as large as their inputs: a query is divided by √d_head.
        let (mut numbers, d) = (Numbers::new(n + d_head), n_heads * d_head);
        let spread = 3.0 / (d_head as f32).sqrt();
        let rows = (0..n).flat_map(|_| [numbers.around(d, 0.0, spread), numbers.around(2 * d, 0.0, 1.5)].concat());
        let qkv = rows.map(A::rounded).collect();
        Self { heads: Heads { n_heads, d_head }, lengths: lengths.to_vec(), qkv, note: "" }
    }

    /// Logits grow along the keys to tens: the largest one comes late, and most weights vanish.
    fn growing(mut self) -> Self {
        let (d, share) = (self.d_model(), 4.0 / self.heads.d_head as f32);
        for (i, row) in self.qkv.chunks_exact_mut(3 * d).enumerate() {
            let (queries, rest) = row.split_at_mut(d);
            let shift = |x: &mut A, by: f32| *x = A::rounded(A::widened(std::slice::from_ref(x))[0] / 2.0 + by);
            for (query, key) in queries.iter_mut().zip(&mut rest[..d]) {
                shift(query, share);
                shift(key, (i % 128) as f32 / 16.0);
            }
        }
        self.note = ", growing logits";
        self
    }

    fn d_model(&self) -> usize {
        self.heads.n_heads * self.heads.d_head
    }

    /// The sequences of these lengths in `qkv`.
    fn sequences<B: Backend>(&self, device: &B, lengths: &[usize], qkv: &[A]) -> Result<(Vec<A>, Option<String>)> {
        let d = self.d_model();
        let mut ends = vec![0];
        ends.extend(lengths.iter().scan(0, |end, &length| {
            *end += length as u32;
            Some(*end)
        }));
        let mut sequences = device.no_sequences()?;
        device.admit_sequences::<A>(&mut sequences, &ends, self.heads)?;
        let n: usize = lengths.iter().sum();
        let qkv = [qkv, &vec![A::rounded(f32::NAN); BEHIND * 3 * d]].concat();
        let (qkv, mut out) =
            (Operand::new(device, &qkv, 3 * d)?, Guarded::new(device, &vec![A::rounded(0.75); (n + BEHIND) * d], d)?);
        attention(device, qkv.all(device), &sequences, self.heads, out.all(device))?;
        let (mut out, fault) = out.read(device)?;
        let behind = out.split_off(n * d);
        let touched = behind.iter().any(|&x| x != A::rounded(0.75));
        Ok((out, fault.or_else(|| touched.then(|| "rows behind the last sequence were written".to_owned()))))
    }

    /// Each sequence's rows of a matrix of this width.
    fn rows(&self, width: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
        self.lengths.iter().scan(0, move |first, &length| {
            let start = *first;
            *first += length;
            Some((length, start * width..*first * width))
        })
    }
}

impl<A: Activation> Case<A> for Attention<A> {
    fn op(&self) -> &'static str {
        "attention"
    }
    fn size(&self) -> String {
        let Heads { n_heads, d_head } = self.heads;
        let longest = self.lengths.iter().max().unwrap_or(&0);
        format!("{n_heads} heads of {d_head}, {} sequences to {longest}{}", self.lengths.len(), self.note)
    }
    fn run<B: Subject>(&self, device: &B) -> Result<Found> {
        let (out, fault) = self.sequences(device, &self.lengths, &self.qkv)?;
        Ok(Found { values: A::widened(&out).into_owned(), fault })
    }
    fn exact(&self, rounding: Rounding) -> Vec<f64> {
        reference::attention(rounding, &wide(&self.qkv), &self.lengths, self.heads)
    }
    /// A weight is wrong by what its logit is wrong by, which rounds a few times at 6e-8 of its size: at most that of
    /// query times key.
    fn single_bound(&self, most: f64) -> f64 {
        let (Heads { d_head, .. }, d) = (self.heads, self.d_model());
        let norm = |head: &[A]| wide(head).iter().map(|x| x * x).sum::<f64>().sqrt();
        let longest = |part: usize| {
            let heads = self.qkv.chunks_exact(3 * d).flat_map(|row| row[part * d..(part + 1) * d].chunks_exact(d_head));
            heads.map(norm).fold(0.0, f64::max)
        };
        1.5e-7 * (4.0 + longest(0) * longest(1)) * most
    }
}

pub(super) fn check<B: Subject, A: Activation>(bench: &mut Bench<'_, B>) {
    for (n_heads, d_head, lengths) in [
        (5, 16, &LENGTHS[..16]),
        (3, 24, &LENGTHS[..]),
        (2, 32, &LENGTHS),
        (2, 64, &LENGTHS),
        (1, 128, &LENGTHS),
        (11, 8, &SHORT[..3]),
        (4, 40, &SHORT),
        (1, 80, &SHORT),
        (3, 128, &SHORT[..4]),
        (1, 64, &[1]),
        (20, 24, &[2]),
    ] {
        bench.check(&Attention::<A>::of(n_heads, d_head, lengths));
    }
    for d_head in [16, 64, 128] {
        bench.check(&Attention::<A>::of(1, d_head, &[40, 333, 1]).growing());
    }
    for (n_heads, d_head) in [(3, 24), (2, 64), (1, 128)] {
        let size = |what: &str| format!("{n_heads} heads of {d_head}, {what}");
        let case = Attention::<A>::of(n_heads, d_head, &SHORT);
        bench.holds::<A>("attention", size("sequences alone"), |device| alone(device, &case));
        bench.holds::<A>("attention", size("sequences beside NaN"), |device| beside_nan(device, &case));
    }
}

/// A sequence has the same bits alone and in the batch.
fn alone<B: Subject, A: Activation>(device: &B, case: &Attention<A>) -> Result<Option<String>> {
    let d = case.d_model();
    let (whole, _) = case.sequences(device, &case.lengths, &case.qkv)?;
    for ((length, qkv), (_, rows)) in case.rows(3 * d).zip(case.rows(d)) {
        let (found, fault) = case.sequences(device, &[length], &case.qkv[qkv])?;
        if let Some(fault) = fault.or_else(|| same_bits(&found, &whole[rows], || format!("at length {length}"))) {
            return Ok(Some(fault));
        }
    }
    Ok(None)
}

/// Every second sequence is not a number; nor is any of its results.
fn beside_nan<B: Subject, A: Activation>(device: &B, case: &Attention<A>) -> Result<Option<String>> {
    let d = case.d_model();
    let (clean, _) = case.sequences(device, &case.lengths, &case.qkv)?;
    let mut qkv = case.qkv.clone();
    case.rows(3 * d).skip(1).step_by(2).for_each(|(_, rows)| qkv[rows].fill(A::rounded(f32::NAN)));
    let (found, fault) = case.sequences(device, &case.lengths, &qkv)?;
    let complaint = |(i, (length, rows)): (usize, (usize, std::ops::Range<usize>))| {
        let lost = i % 2 == 1 && A::widened(&found[rows.clone()]).iter().any(|x| !x.is_nan());
        let leaked = i % 2 == 0 && found[rows.clone()] != clean[rows];
        (lost || leaked)
            .then(|| format!("length {length}: {}", if lost { "a NaN is lost" } else { "a NaN came from beside it" }))
    };
    Ok(fault.or_else(|| case.rows(d).enumerate().find_map(complaint)))
}
