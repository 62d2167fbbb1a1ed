//! Which tiles of outputs the kernels over `kernels/linear_wgmma.cuh` go through. All give the same bits.

use std::sync::OnceLock;

use crate::error::{Error, Result};

const VARIABLE: &str = "BIOLLMNET_LINEAR_TILE";

/// Products of halves that a multiprocessor of compute capability 9.0 makes in a clock; of numbers of eight bits twice as
/// many, in half the bytes.
const PRODUCTS: f64 = 2048.0;
/// Bytes that a multiprocessor takes from the second-level cache in a clock: alone, and with all others at the same time. The
/// second is what the products of a warp drew on an H100, 5.9 TB/s (`docs/PERFORMANCE.md`).
const BYTES: [f64; 2] = [64.0, 26.0];
/// Of a row of x or W, in a step along k: 64 halves.
const STEP: usize = 64;
const STEP_BYTES: usize = 128;

/// A tile of outputs by the suffix of its kernels, and how many blocks below each other share the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tiles {
    pub suffix: &'static str,
    pub rows: usize,
    pub columns: usize,
    pub cluster: usize,
    /// Whether one half of a block finishes a tile while the other multiplies.
    in_turn: bool,
}

const WIDE: Tiles = Tiles { suffix: "256", rows: 128, columns: 256, cluster: 1, in_turn: false };
const SQUARE: Tiles = Tiles { suffix: "128", rows: 128, columns: 128, cluster: 1, in_turn: true };
const SMALL: Tiles = Tiles { suffix: "64", rows: 64, columns: 128, cluster: 1, in_turn: false };
const WIDE_PAIR: Tiles = Tiles { suffix: "256x2", cluster: 2, ..WIDE };
const SQUARE_PAIR: Tiles = Tiles { suffix: "128x2", cluster: 2, ..SQUARE };
/// Of those that cost the same the first is taken.
const ALL: [Tiles; 5] = [SQUARE, SMALL, WIDE, SQUARE_PAIR, WIDE_PAIR];

impl Tiles {
    /// For a product `[m, k]` by `[n, k]` of halves on so many multiprocessors, followed by what `kernel` names: what
    /// `BIOLLMNET_LINEAR_TILE` asks for, where the kernel has such tiles, else what takes the fewest clocks by count.
    ///
    /// # Errors
    /// When there are no tiles of that name.
    pub(super) fn of(multiprocessors: usize, size: [usize; 3], kernel: &str) -> Result<Self> {
        let fitting = |tiles: &Tiles| *tiles != SMALL || !matches!(kernel, "swiglu" | "rope128");
        let cost = |tiles: &Tiles| tiles.clocks(multiprocessors, size, kernel);
        let fewest = || ALL.into_iter().filter(fitting).min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap_or(SQUARE);
        Ok(Self::asked()?.filter(fitting).unwrap_or_else(fewest))
    }

    fn asked() -> Result<Option<Self>> {
        static ASKED: OnceLock<Option<String>> = OnceLock::new();
        let asked = ASKED.get_or_init(|| std::env::var_os(VARIABLE).map(|asked| asked.to_string_lossy().into_owned()));
        let Some(asked) = asked else { return Ok(None) };
        let found = ALL.into_iter().find(|tiles| tiles.suffix == asked);
        found.map(Some).ok_or_else(|| {
            let suffixes = ALL.map(|tiles| tiles.suffix).join(", ");
            Error::usage(format!("{VARIABLE} is '{asked}'"), format!("set it to one of {suffixes}, or leave it unset"))
        })
    }

    /// Those of `[m, n]` outputs, in whole clusters.
    fn count(self, m: usize, n: usize) -> usize {
        m.div_ceil(self.rows).next_multiple_of(self.cluster) * n.div_ceil(self.columns)
    }

    /// Blocks that go through them.
    pub(super) fn blocks(self, m: usize, n: usize, multiprocessors: usize) -> usize {
        self.count(m, n).min((multiprocessors / self.cluster * self.cluster).max(self.cluster))
    }

    /// Clocks of a block: of its products or, if that takes longer, of fetching their operands, and of what follows them.
    fn clocks(self, multiprocessors: usize, [m, n, k]: [usize; 3], kernel: &str) -> f64 {
        let blocks = self.blocks(m, n, multiprocessors);
        let (outputs, busy) = ((self.rows * self.columns) as f64, multiprocessors as f64 / blocks as f64);
        let bytes = ((self.rows + self.columns / self.cluster) * STEP_BYTES) as f64;
        let step = (outputs * STEP as f64 / PRODUCTS).max(bytes / BYTES[0].min(BYTES[1] * busy));
        let rounds = self.count(m, n).div_ceil(blocks) as f64;
        // Clocks for each output, by the instructions of `docs/PERFORMANCE.md`: 9 200 and 2 500 for 128 x 256.
        let finish = outputs * if matches!(kernel, "gelu" | "swiglu") { 0.28 } else { 0.08 };
        let shown = if self.in_turn { 1.0 } else { rounds };
        rounds * k.div_ceil(STEP) as f64 * step + shown * finish
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rows_share_weights_and_few_fill_the_device() {
        let tiles = |m, n, k, kernel| Tiles::of(132, [m, n, k], kernel).unwrap();
        // Whole rounds of tokens of a language model, then one protein, then one token.
        assert_eq!(tiles(16_896, 3840, 1280, "rope64"), WIDE_PAIR);
        assert_eq!(tiles(16_896, 1280, 5120, "add"), WIDE_PAIR);
        assert_eq!(tiles(16_896, 5120, 1280, "gelu"), WIDE_PAIR);
        assert_eq!(tiles(302, 1280, 5120, "add"), SMALL);
        assert_eq!(tiles(302, 5120, 1280, "gelu"), SQUARE);
        assert_eq!(tiles(1, 1280, 1280, "store"), SMALL);
        assert_eq!(tiles(1, 3840, 1280, "rope128"), SQUARE);
    }

    #[test]
    fn a_ragged_last_round_counts() {
        let [five, six] = [5, 6].map(|rounds| WIDE.clocks(132, [rounds * 128 * 132 - 127, 256, 1280], "store"));
        let more = WIDE.clocks(132, [5 * 128 * 132 + 1, 256, 1280], "store");
        assert!(five < six && (six - more).abs() < 1e-9, "{five} {more} {six}");
    }

    #[test]
    fn blocks_come_in_whole_clusters() {
        assert_eq!(WIDE.blocks(300, 1000, 132), 12);
        assert_eq!(WIDE_PAIR.blocks(300, 1000, 132), 16);
        assert_eq!(WIDE_PAIR.blocks(16_896, 5120, 133), 132);
        assert_eq!(WIDE_PAIR.blocks(16_896, 5120, 1), 2);
    }
}
