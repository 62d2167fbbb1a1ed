//! Token embedding: one product, so every bit is known.

use super::Subject;
use super::bench::{Bench, Case, Found};
use super::numbers::{Guarded, Numbers, Operand};
use super::reference::Rounding;
use crate::backend::Activation;
use crate::error::Result;
use crate::ops::embed_tokens::embed_tokens;

const VOCABULARY: usize = 33;

struct EmbedTokens {
    d: usize,
    ids: Vec<u32>,
    scales: Vec<f32>,
    table: Vec<f32>,
}

impl<A: Activation> Case<A> for EmbedTokens {
    fn op(&self) -> &'static str {
        "embed_tokens"
    }
    fn size(&self) -> String {
        format!("tokens {}, d {}", self.ids.len(), self.d)
    }
    fn run<B: Subject>(&self, device: &B) -> Result<Found> {
        let (ids, scales) = (Operand::new(device, &self.ids, 1)?, Operand::new(device, &self.scales, 1)?);
        let table = Operand::new(device, &self.table, self.d)?;
        let mut x = Guarded::<B, A>::unwritten(device, self.ids.len(), self.d)?;
        embed_tokens(device, ids.all(device), scales.all(device), table.all(device), x.all(device))?;
        let (x, fault) = x.read(device)?;
        Ok(Found { values: A::widened(&x).into_owned(), fault })
    }
    fn exact(&self, _rounding: Rounding) -> Vec<f64> {
        let row = |(&id, &scale): (&u32, &f32)| {
            let row = &self.table[id as usize * self.d..(id as usize + 1) * self.d];
            let x: Vec<A> = row.iter().map(|x| A::rounded(scale * x)).collect();
            A::widened(&x).iter().map(|&x| f64::from(x)).collect::<Vec<f64>>()
        };
        self.ids.iter().zip(&self.scales).flat_map(row).collect()
    }
    fn single_bound(&self, _largest: f64) -> f64 {
        0.0
    }
    fn half_bound(&self, _exact: &[f64]) -> f64 {
        0.0
    }
}

pub(super) fn check<B: Subject, A: Activation>(bench: &mut Bench<'_, B>) {
    for (n_tokens, d) in [(1, 8), (7, 24), (8, 320), (9, 1280), (65, 40), (3, 2568)] {
        let mut numbers = Numbers::new(n_tokens);
        let mut ids: Vec<u32> = (0..n_tokens).map(|_| numbers.below(VOCABULARY) as u32).collect();
        // The last row of the table is the last of its memory.
        ids[n_tokens - 1] = VOCABULARY as u32 - 1;
        let (scales, table) = (numbers.around(n_tokens, 0.5, 0.5), numbers.around(VOCABULARY * d, 0.0, 1.0));
        bench.check::<A>(&EmbedTokens { d, ids, scales, table });
    }
}
