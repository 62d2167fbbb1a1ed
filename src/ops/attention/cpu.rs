//! CPU twin: one task per sequence and head; keys and values are packed once, a few queries pass at a time.

use std::cell::RefCell;

use rayon::prelude::*;

use super::tile::{OneHead, Packed};
use super::{Attention, Heads};
use crate::backend::{Activation, Cpu, MatrixMut};
use crate::error::Result;

thread_local! {
    /// Work space of this thread, as large as its longest sequence so far needs.
    static PACKED: RefCell<Packed> = RefCell::default();
}

impl Attention for Cpu {
    type Sequences = Vec<u32>;

    fn no_sequences(&self) -> Result<Vec<u32>> {
        Ok(Vec::new())
    }
    fn admit_sequences<A: Activation>(
        &self,
        sequences: &mut Vec<u32>,
        cu_seqlens: &[u32],
        _heads: Heads,
    ) -> Result<()> {
        cu_seqlens.clone_into(sequences);
        Ok(())
    }
    fn launches(_sequences: &Vec<u32>) -> [usize; 4] {
        [0; 4]
    }

    fn attention_raw<A: Activation>(
        &self,
        qkv: &[A],
        sequences: &Vec<u32>,
        heads: Heads,
        out: MatrixMut<'_, Self, A>,
    ) -> Result<()> {
        let d_model = out.cols;
        A::in_f32(out.view, |out| self.attention_f32(&A::widened(qkv), sequences, heads.n_heads, d_model, out));
        Ok(())
    }
}

impl Cpu {
    fn attention_f32(self, qkv: &[f32], cu_seqlens: &[u32], n_heads: usize, d_model: usize, out: &mut [f32]) {
        let isa = self.isa;
        let head = |first: usize, head: usize, mut rows: Vec<&mut [f32]>| {
            PACKED.with_borrow_mut(|packed| {
                let qkv = &qkv[first * 3 * d_model..(first + rows.len()) * 3 * d_model];
                isa.dispatch(OneHead { qkv, d_model, n_heads, index: head, packed, out: &mut rows });
            });
        };
        // Each task writes the columns of one head in the rows of one sequence: the output is cut that way first.
        let mut tasks: Vec<(usize, usize, Vec<&mut [f32]>)> = Vec::new();
        let mut rest = out;
        for span in cu_seqlens.windows(2) {
            let (first, length) = (span[0] as usize, (span[1] - span[0]) as usize);
            let (sequence, after) = rest.split_at_mut(length * d_model);
            rest = after;
            let mut heads: Vec<Vec<&mut [f32]>> = (0..n_heads).map(|_| Vec::with_capacity(length)).collect();
            for row in sequence.chunks_exact_mut(d_model) {
                for (rows, part) in heads.iter_mut().zip(row.chunks_exact_mut(d_model / n_heads)) {
                    rows.push(part);
                }
            }
            tasks.extend(heads.into_iter().enumerate().map(|(h, rows)| (first, h, rows)));
        }
        if self.threads > 1 {
            tasks.into_par_iter().for_each(|(first, h, rows)| head(first, h, rows));
        } else {
            for (first, h, rows) in tasks {
                head(first, h, rows);
            }
        }
    }
}
