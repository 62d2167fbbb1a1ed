//! Launches `kernels/attention.cu`, `kernels/attention_wgmma.cu` and `kernels/attention_f32.cu`: a block for each tile of queries and head, or for
//! several heads of a short sequence. The kernel of a sequence is chosen by its own length, so that its bits are the same
//! in any batch.

use super::{Attention, Heads};
use crate::backend::cuda::{CudaBuffer, CudaView, Grid, TensorCores};
use crate::backend::{Activation, Cuda, Element, MatrixMut, Memory};
use crate::error::{Error, Result};

/// Widths of heads that the kernels have instances for; others run in the next wider one.
const WIDTHS: [usize; 4] = [16, 32, 64, 128];
/// Tokens of a sequence whose keys and values lie in shared memory as a whole.
const SHORT: usize = 128;
/// Blocks of a launch are rounded up by empty tiles, so that recorded launches are found again.
const TILES_STEP: usize = 32;

/// Tiles of the sequences of a batch, `[first row, length, first query or head, 0]` each.
pub struct CudaSequences {
    long: Tiles,
    short: Tiles,
}

struct Tiles {
    buffer: CudaBuffer<u32>,
    capacity: usize,
    n: usize,
}

impl Tiles {
    fn none(cuda: &Cuda) -> Result<Self> {
        Ok(Self { buffer: cuda.zeros(0)?, capacity: 0, n: 0 })
    }

    fn admit(&mut self, cuda: &Cuda, mut tiles: Vec<[u32; 4]>) -> Result<()> {
        let n = tiles.len().next_multiple_of(TILES_STEP);
        tiles.resize(n, [0; 4]);
        if n > self.capacity {
            let capacity = n.next_power_of_two();
            self.buffer = cuda.zeros(4 * capacity)?;
            self.capacity = capacity;
        }
        self.n = n;
        cuda.upload(tiles.as_flattened(), cuda.view_mut(&mut self.buffer, 0..4 * self.n))
    }
}

/// Heads that a block of the short kernel takes of a sequence: 8 warps, one for each 16 queries.
fn heads_together(length: usize) -> usize {
    8 / length.div_ceil(16)
}

fn instance(d_head: usize) -> usize {
    WIDTHS.into_iter().find(|&width| width >= d_head).unwrap_or(d_head)
}

/// Bytes of shared memory of a block of `kernels/attention_wgmma.cu`: its `Memory`.
fn warpgroup_shared(d_head: usize) -> usize {
    5 * 128 * 2 * d_head + 9 * 8
}

impl Cuda {
    /// Whether products of warpgroups compute the heads of long sequences.
    fn attends_by_warpgroups<A: Element>(&self, d_head: usize) -> bool {
        A::NAME == "f16" && TensorCores::WGMMA_HEADS.contains(&d_head) && self.info().tensor_cores == TensorCores::Wgmma
    }

    /// Queries of a tile of a long sequence.
    fn tile_queries<A: Element>(&self, d_head: usize) -> usize {
        let wide = A::NAME == "f16" && d_head <= 64 || self.attends_by_warpgroups::<A>(d_head);
        if wide { 128 } else { 64 }
    }

    /// Long sequences of whole boxes: the matrix of `qkv` has as many rows as `out`.
    fn attention_by_warpgroups<A: Activation>(
        &self,
        qkv: CudaView<'_, A>,
        long: &Tiles,
        heads: Heads,
        out: &MatrixMut<'_, Self, A>,
    ) -> Result<()> {
        if long.n == 0 {
            return Ok(());
        }
        let Heads { n_heads, d_head } = heads;
        let qkv = self.tensor_map(qkv, [out.rows, 3 * out.cols], 128)?;
        let tiles = self.view(&long.buffer, 0..4 * long.n);
        let grid = Grid { blocks: [long.n, n_heads], threads: 384, shared: warpgroup_shared(d_head) };
        let kernel = format!("attention_wgmma_d{d_head}");
        self.launch("attention_wgmma", &kernel, grid, &[&qkv, &tiles, &out.view, &(n_heads as i32)])
    }
}

impl Attention for Cuda {
    type Sequences = CudaSequences;

    fn check_heads(&self, heads: Heads) -> Result<()> {
        if heads.d_head.is_multiple_of(8) && (8..=128).contains(&heads.d_head) {
            return Ok(());
        }
        Err(Error::data(
            format!("heads of {} cannot be computed on CUDA", heads.d_head),
            "widths of heads are multiples of 8 up to 128 there; choose --device cpu",
        ))
    }

    fn no_sequences(&self) -> Result<CudaSequences> {
        Ok(CudaSequences { long: Tiles::none(self)?, short: Tiles::none(self)? })
    }

    fn admit_sequences<A: Activation>(
        &self,
        sequences: &mut CudaSequences,
        cu_seqlens: &[u32],
        heads: Heads,
    ) -> Result<()> {
        let (mut long, mut short) = (Vec::new(), Vec::new());
        for ends in cu_seqlens.windows(2) {
            let (first, length) = (ends[0], ends[1] - ends[0]);
            let is_short = A::NAME == "f16" && (1..=SHORT).contains(&(length as usize));
            let (tiles, range, step) = if is_short {
                (&mut short, 0..heads.n_heads, heads_together(length as usize))
            } else {
                (&mut long, 0..length as usize, self.tile_queries::<A>(heads.d_head))
            };
            tiles.extend(range.step_by(step).map(|start| [first, length, start as u32, 0]));
        }
        sequences.long.admit(self, long)?;
        sequences.short.admit(self, short)
    }

    fn launches(CudaSequences { long, short }: &CudaSequences) -> [usize; 4] {
        [long.n, short.n, long.capacity, short.capacity]
    }

    fn attention_raw<A: Activation>(
        &self,
        qkv: CudaView<'_, A>,
        sequences: &CudaSequences,
        heads: Heads,
        out: MatrixMut<'_, Self, A>,
    ) -> Result<()> {
        let Heads { n_heads, d_head } = heads;
        let (width, sizes) = (instance(d_head), [n_heads as i32, d_head as i32]);
        let launch = |file, kernel: &str, tiles: &Tiles, grid| {
            let tiles = self.view(&tiles.buffer, 0..4 * tiles.n);
            self.launch(file, kernel, grid, &[&qkv, &tiles, &out.view, &sizes[0], &sizes[1]])
        };
        let CudaSequences { long, short } = sequences;
        if A::NAME == "f32" {
            let grid = Grid { blocks: [long.n, n_heads], threads: 256, shared: 512 * (d_head + 4) + 8192 };
            return launch("attention_f32", "attention_f32", long, grid);
        }
        if self.attends_by_warpgroups::<A>(d_head) {
            self.attention_by_warpgroups(qkv, long, heads, &out)?;
        } else {
            let grid = Grid { blocks: [long.n, n_heads], threads: 128, shared: 512 * width };
            launch("attention", &format!("attention_f16_d{width}"), long, grid)?;
        }
        let grid = Grid { blocks: [short.n, 1], threads: 256, shared: 768 * width };
        launch("attention", &format!("attention_short_f16_d{width}"), short, grid)
    }
}
