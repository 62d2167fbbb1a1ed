// What the parts of a linear layer on compute capability 9.0 share (linear_wgmma.cuh): tiles of outputs, the shared memory of
// a block, a layer, the sums of a warpgroup.
#pragma once
#include "linear.cuh"
#include "hopper.cuh"

constexpr int GROUP = 128;             // threads of a warpgroup
constexpr int STEP_BYTES = 128;        // of a row, in a stage
constexpr int RING_BYTES = 192 << 10;
constexpr int CHUNK = 64 * 128;        // bytes of 64 rows of 64 outputs

// How the two warpgroups share the outputs of a block, and how many blocks share W.
struct Tile_256 {
  static constexpr int ROWS = 128, COLUMNS = 256;              // of a tile
  static constexpr int SHARE_ROWS = 64, SHARE_COLUMNS = 256;   // of a warpgroup
  static constexpr bool IN_TURN = false;
  static constexpr int CLUSTER = 1;
};
struct Tile_128 {
  static constexpr int ROWS = 128, COLUMNS = 128, SHARE_ROWS = 128, SHARE_COLUMNS = 128;
  static constexpr bool IN_TURN = true;
  static constexpr int CLUSTER = 1;
};
struct Tile_64 {
  static constexpr int ROWS = 64, COLUMNS = 128, SHARE_ROWS = 64, SHARE_COLUMNS = 64;
  static constexpr bool IN_TURN = false;
  static constexpr int CLUSTER = 1;
};
struct Tile_256x2 : Tile_256 {
  static constexpr int CLUSTER = 2;
};
struct Tile_128x2 : Tile_128 {
  static constexpr int CLUSTER = 2;
};
template <class Tile, class N> struct Plan : Tile {
  using Number = N;
  static constexpr int STEP = STEP_BYTES / N::SIZE;  // numbers of k in a stage
};
template <class P> constexpr int X_BYTES = P::ROWS * STEP_BYTES;
template <class P> constexpr int STAGE_BYTES = (P::ROWS + P::COLUMNS) * STEP_BYTES;
template <class P> constexpr int STAGES = RING_BYTES / STAGE_BYTES<P>;

struct Memory {
  unsigned char ring[RING_BYTES];
  unsigned char chunks[2][2][CHUNK];  // of each warpgroup that multiplies
  u64 full[8], empty[8];              // of the stages
};

struct Layer {
  const TensorMap *x, *weight, *y_map;
  const float* bias;
  void* y;  // what `add` adds to, halves; where bytes are written to
  int m, n, k;
  float beta;
  const u32* positions;
  const float *cosines, *sines;
  float q_scale;
  const float *row_scales, *column_scales;  // of x and of W, where their numbers have scales
};

// The number of a block in its cluster.
template <class P> RT_DEV int rank() {
  if constexpr (P::CLUSTER == 1) return 0;
  return rt_cluster_rank();
}

// The tiles of a matrix, and the steps along k of each. Blocks of a cluster go through tiles of the same columns, whether
// their own rows are there or not.
template <class P> struct Tiles {
  int rows, columns, steps;  // rows of clusters
  RT_DEV_MEMBER Tiles(const Layer& layer)
      : rows((layer.m + P::CLUSTER * P::ROWS - 1) / (P::CLUSTER * P::ROWS)),
        columns((layer.n + P::COLUMNS - 1) / P::COLUMNS),
        steps((layer.k + P::STEP - 1) / P::STEP) {}
  RT_DEV_MEMBER int count() const { return rows * columns; }
  RT_DEV_MEMBER int first() const { return blockIdx.x / P::CLUSTER; }
  RT_DEV_MEMBER int stride() const { return gridDim.x / P::CLUSTER; }
  RT_DEV_MEMBER TilePlace place(int tile) const {
    const TilePlace of_cluster = tile_place(tile, rows, columns);
    return {of_cluster.row * P::CLUSTER + rank<P>(), of_cluster.column};
  }
};

// The sums of a warpgroup: blocks of 64 rows.
template <class P> constexpr int BLOCKS = P::SHARE_ROWS / 64;
template <class P> struct Sums {
  float of[BLOCKS<P>][P::SHARE_COLUMNS / 2];
};

template <class P> RT_DEV void hold(Sums<P>& sums) {
#pragma unroll
  for (int block = 0; block < BLOCKS<P>; block++) rt_hold(sums.of[block]);
}
