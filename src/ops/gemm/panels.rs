//! Rows of A as the tiles of both products read them: `LANE_ROWS` at a time, term after term.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

/// Rows of a panel: two vectors of the widest instruction set.
pub(super) const PANEL: usize = 32;

/// `a [m, k]` as `[panels, k, PANEL]`, zeros behind the last row.
pub(super) fn panels(a: &[f32], k: usize) -> Vec<f32> {
    let mut packed = vec![0.0; (a.len() / k).next_multiple_of(PANEL) * k];
    for (rows, panel) in a.chunks(PANEL * k).zip(packed.chunks_exact_mut(PANEL * k)) {
        // Eight terms of every row at a time: the lines that are written stay in the first cache.
        for first in (0..k).step_by(8) {
            for (i, row) in rows.chunks_exact(k).enumerate() {
                for (l, &x) in row[first..].iter().take(8).enumerate() {
                    panel[(first + l) * PANEL + i] = x;
                }
            }
        }
    }
    packed
}
