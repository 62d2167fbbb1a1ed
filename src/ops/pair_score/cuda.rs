//! Launches `kernels/pair_score.cu`: one of its three kernels, by the form of the network.

use half::f16;

use super::cuda_network::{CudaFolded, PairShape};
use super::{Found, PairForm, PairNetwork, PairOperands, PairScore};
use crate::backend::cuda::{Argument, Grid};
use crate::backend::{Activation, Cuda, Element, Memory};
use crate::error::{Error, Result};

/// A kernel, and its `tile` where it takes one.
struct Choice {
    kernel: String,
    grid: Grid,
    tile: Option<i32>,
}

/// Signed L1: 128 entries by 16 or 128 targets. For each pair the narrow tile reads twice as much
/// of shared memory, and is taken where it holds less than half of the pairs.
fn signed_l1<A: Activation>(shape: &PairShape) -> Choice {
    let (n_entries, n_targets) = (shape.n_entries as usize, shape.n_targets as usize);
    let narrow = 2 * n_targets.next_multiple_of(16) < n_targets.next_multiple_of(128);
    let n = if narrow { 16 } else { 128 };
    let values = if shape.n_members > 1 { 512 * n } else { 0 };
    let blocks = [n_entries.div_ceil(128), n_targets.div_ceil(n)];
    let grid = Grid { blocks, threads: 256, shared: 16_384 + 128 * n + 16 + values };
    Choice { kernel: format!("pair_score_l1_{}_{n}", A::NAME), grid, tile: None }
}

/// Shared memory of the head kernel: the formula at its top.
fn head_bytes<A: Activation>(shape: &PairShape, tile: usize) -> usize {
    let row = |width: usize| (width * size_of::<A>()).next_multiple_of(128) + 16;
    let hidden = |first: usize| {
        let layers = &shape.head()[..shape.head().len() - 1];
        layers.iter().skip(first).step_by(2).map(|layer| layer.d_out as usize).max().unwrap_or(0)
    };
    36_864 + tile * (row(hidden(1).max(shape.width as usize)) + row(hidden(0))) + 4 * tile + 16
}

/// The kernel of two layers on tensor cores, where the network is one for it and the device has room.
fn relu<A: Activation>(cuda: &Cuda, form: PairForm, shape: &PairShape) -> Option<Choice> {
    /// Targets between two reports of a block.
    const CHUNK: usize = 32;
    let [hidden, _] = shape.head() else { return None };
    let (width, outputs) = (hidden.d_in as usize, hidden.d_out as usize);
    if form != PairForm::Relu || A::NAME != f16::NAME || outputs > 128 || !width.is_multiple_of(8) {
        return None;
    }
    let n = if outputs <= 64 { 64 } else { 128 };
    let row = 64 * (width.div_ceil(32) | 1);
    let bytes = |tile: usize| (n + tile) * row + 1024 * (32_768 / (n * tile)) + 128 * tile + 8 * n + 16;
    let tile = [128, 64, 32].into_iter().find(|&tile| bytes(tile) <= cuda.info().shared_bytes)?;
    let (tiles, chunks) = ((shape.n_entries as usize).div_ceil(tile), (shape.n_targets as usize).div_ceil(CHUNK));
    // Each block reads its entries once: few blocks for each tile, but several for each multiprocessor.
    let wanted = (8 * cuda.info().multiprocessors).div_ceil(tiles.max(1));
    let grid = Grid { blocks: [tiles, chunks.min(wanted)], threads: 256, shared: bytes(tile) };
    Some(Choice { kernel: format!("pair_score_relu_f16_{n}"), grid, tile: Some(tile as i32) })
}

fn any_head<A: Activation>(cuda: &Cuda, shape: &PairShape) -> Result<Choice> {
    let (n_entries, n_targets) = (shape.n_entries as usize, shape.n_targets as usize);
    let bytes = |tile| head_bytes::<A>(shape, tile);
    let tile = cuda.tile(n_entries * n_targets, bytes)?;
    let grid = Grid { blocks: [n_entries.div_ceil(tile) * n_targets, 1], threads: 256, shared: bytes(tile) };
    Ok(Choice { kernel: format!("pair_score_head_{}", A::NAME), grid, tile: Some(tile as i32) })
}

impl PairScore for Cuda {
    type FoldedNetwork = CudaFolded;

    fn load_folded(&self, network: &PairNetwork) -> Result<CudaFolded> {
        CudaFolded::new(self, network)
    }

    fn calls_together(&self) -> usize {
        1
    }

    /// Tensor cores take halves; a signed L1 form has no products.
    fn prefers_half(&self, form: PairForm) -> bool {
        form != PairForm::SignedL1
    }

    fn block_bytes(&self) -> usize {
        64 << 20
    }

    /// Half a unit in the last place of `A`.
    fn roundoff<A: Activation>(&self) -> f64 {
        if A::NAME == f16::NAME { 1.0 / 2048.0 } else { 1.0 / 16_777_216.0 }
    }

    fn pair_score_raw<A: Activation>(
        &self,
        network: &CudaFolded,
        operands: &PairOperands<'_, Self, A>,
        [n_entries, n_targets]: [usize; 2],
        found: &mut Found<Self>,
    ) -> Result<()> {
        const PLACE: &str = "pair_score";
        // The count has 32 bits.
        if u32::try_from(n_entries.saturating_mul(n_targets)).is_err() {
            let (expected, pairs) = ("at most 4294967295 pairs in a call".to_owned(), [n_entries, n_targets]);
            return Err(Error::Shape { op: PLACE, expected, found: format!("entries and targets {pairs:?}") });
        }
        self.clear(&mut found.count)?;
        if n_entries * n_targets == 0 {
            return Ok(());
        }
        let shape = network.shape.of_call([n_entries, n_targets]);
        let choice = match network.form {
            PairForm::SignedL1 => signed_l1::<A>(&shape),
            form => relu::<A>(self, form, &shape).map_or_else(|| any_head::<A>(self, &shape), Ok)?,
        };
        let capacity = u32::try_from(found.capacity).unwrap_or(u32::MAX);
        let members = self.view(&network.members, 0..2 * shape.n_members as usize);
        let (count, survivors) =
            (self.view_mut(&mut found.count, 0..1), self.view_mut(&mut found.survivors, 0..3 * found.capacity));
        let (parameters, least) = (network.parameters::<A>(self), &operands.least.view);
        let mut arguments: Vec<&dyn Argument> = vec![&operands.entries.view, &operands.targets.view];
        match &choice.tile {
            None => arguments.extend([&operands.offsets.view as &dyn Argument, least, &members]),
            Some(_) => arguments.extend([least as &dyn Argument, &members, parameters.as_ref()]),
        }
        arguments.extend([&count as &dyn Argument, &survivors, &capacity, &shape]);
        arguments.extend(choice.tile.as_ref().map(|tile| tile as &dyn Argument));
        self.launch(PLACE, &choice.kernel, choice.grid, &arguments)
    }
}
