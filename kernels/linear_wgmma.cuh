// Linear layers on compute capability 9.0, of numbers of any type that its tensor cores take: z = x W^T + b, x [m, k],
// W [n, k], with what follows the product fused into it, as in linear.cu.
//
//   store     y = z
//   gelu      y = z Phi(z)
//   add       y = y + z
//   swiglu    y = a sigmoid(beta a) g, y [m, n / 2], where columns 2j and 2j + 1 of z are a_j and g_j
//   rope64    n = 3 d_model, columns q | k | v of heads of 64: q scaled, then q and k rotated by positions
//   rope128   the same of heads of 128
//
// n is a multiple of 8 (of 16 for swiglu, of 3 heads for rope), a row of x and W whole pieces of 16 bytes, m any number.
// `bias` may be null. A block has 384 threads and goes through tiles of outputs, every gridDim.x-th: one warpgroup asks for
// boxes of the operands, 128 bytes along k at a time, the two others multiply. The suffix tells their tiles:
//
//   suffix   tile of outputs   the two warpgroups
//   256      128 x 256         have half of the rows each
//   128      128 x 128         have tiles in turn: one multiplies while the other finishes its tile
//   64       64 x 128          have half of the columns each; store, gelu, add, rope64 only
//   256x2    as 256, in two blocks of a cluster, one below the other: each asks for half of W's boxes, for both
//   128x2    as 128, in the same way
//
// The maps of x and W have boxes of 128 bytes along k, swizzled over them, with as many rows as a tile has rows and (a block
// of a cluster asks for) columns; that of y has boxes of 64 by 64 halves. gridDim.x is a multiple of the cluster. Dynamic shared memory: the bytes of Memory below.
//
// An output is one sum over k in ascending order, 32 bytes of it at a time, whatever tile and batch.
//
// What a type of numbers `N` has beside: N::SIZE, its bytes; N::WRITES_BYTES<E>, whether outputs are put into bytes too; the
// registers of a thread that fetches and of one that multiplies, together those of 384 threads of 168; multiply(N, ..), the
// product of 32 bytes along k; row_scales(N, ..) and z_of(N, ..), from a sum to z; and put_bytes and write_bytes where it
// writes bytes.
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

// ---- The warpgroup that asks for operands ----

template <class P> RT_DEV void fetch_stage(const Layer& layer, Memory* memory, int position, TilePlace tile, int step) {
  constexpr int N = STAGES<P>;
  const int stage = position % N;
  unsigned char* to = memory->ring + stage * STAGE_BYTES<P>;
#ifdef PLANT_SHORT_RING
  if (position % 2 == 0)
#endif
  rt_mbarrier_wait(&memory->empty[stage], position / N % 2 ^ 1);
#ifdef PLANT_NO_EXPECT
  rt_mbarrier_expect(&memory->full[stage], X_BYTES<P>);
#else
  rt_mbarrier_expect(&memory->full[stage], STAGE_BYTES<P>);
#endif
  rt_bulk_load(to, layer.x, &memory->full[stage], step * P::STEP, tile.row * P::ROWS);
  if constexpr (P::CLUSTER == 1) {
    rt_bulk_load(to + X_BYTES<P>, layer.weight, &memory->full[stage], step * P::STEP, tile.column * P::COLUMNS);
  } else {
    constexpr int SHARE = P::COLUMNS / P::CLUSTER;
    const int first = rank<P>() * SHARE;
    rt_bulk_load_multicast(to + X_BYTES<P> + first * STEP_BYTES, layer.weight, &memory->full[stage], step * P::STEP,
                           tile.column * P::COLUMNS + first, (1 << P::CLUSTER) - 1);
  }
}

template <class P> RT_DEV void fetch(const Layer& layer, Memory* memory) {
  const Tiles<P> tiles(layer);
  int position = 0;
  for (int tile = tiles.first(); tile < tiles.count(); tile += tiles.stride()) {
    const TilePlace place = tiles.place(tile);
    for (int step = 0; step < tiles.steps; step++, position++) fetch_stage<P>(layer, memory, position, place, step);
  }
}

// ---- The warpgroups that multiply ----

// The sums of a warpgroup: blocks of 64 rows.
template <class P> constexpr int BLOCKS = P::SHARE_ROWS / 64;
template <class P> struct Sums {
  float of[BLOCKS<P>][P::SHARE_COLUMNS / 2];
};

template <class P> RT_DEV void hold(Sums<P>& sums) {
#pragma unroll
  for (int block = 0; block < BLOCKS<P>; block++) rt_hold(sums.of[block]);
}

// A warp has read a stage: every block that fills it may do so again.
template <class P> RT_DEV void give_back(Memory* memory, int stage) {
  const int lane = threadIdx.x % 32;
#ifdef PLANT_CLUSTER_FORGETS_THE_OTHER
  if (lane < P::CLUSTER) rt_mbarrier_arrive(&memory->empty[stage]);
#else
  if constexpr (P::CLUSTER == 1) {
    if (lane == 0) rt_mbarrier_arrive(&memory->empty[stage]);
  } else {
    if (lane < P::CLUSTER) rt_mbarrier_arrive_at(&memory->empty[stage], lane);
  }
#endif
}

// The product of a tile, whose first stage is the `position`-th of the ring. A stage is given back once the products of
// the next one have been asked for and its own are done.
template <class P> RT_DEV void multiply(Sums<P>& sums, Memory* memory, int member, int position, int steps) {
  constexpr int N = STAGES<P>;
  const int x_share = P::IN_TURN || P::SHARE_ROWS == P::ROWS ? 0 : member * 64 * STEP_BYTES;
  const int weight_share = P::IN_TURN || P::SHARE_COLUMNS == P::COLUMNS ? 0 : member * P::SHARE_COLUMNS * STEP_BYTES;
  int previous = -1;
  for (int step = 0; step < steps; step++, position++) {
    const int stage = position % N;
#ifdef PLANT_WRONG_PARITY
    rt_mbarrier_wait(&memory->full[stage], position / N % 2 ^ 1);
#else
    rt_mbarrier_wait(&memory->full[stage], position / N % 2);
#endif
    const unsigned char* from = memory->ring + stage * STAGE_BYTES<P>;
#ifdef PLANT_WRONG_STRIDE
    const u64 weight = rt_operand(from + X_BYTES<P> + weight_share, 16, 512);
#else
    const u64 weight = rt_operand(from + X_BYTES<P> + weight_share, 16, 1024);
#endif
    const u64 x = rt_operand(from + x_share, 16, 1024);
    hold(sums);
    rt_wgmma_fence();
#pragma unroll
    for (int part = 0; part < STEP_BYTES / 32; part++) {
#pragma unroll
      for (int block = 0; block < BLOCKS<P>; block++) {
        multiply(typename P::Number(), Columns<P::SHARE_COLUMNS>(), sums.of[block],
                 rt_operand_on(x, block * 64 * STEP_BYTES + part * 32), rt_operand_on(weight, part * 32),
                 step > 0 || part > 0);
      }
    }
    rt_wgmma_commit();
    hold(sums);
#ifndef PLANT_EARLY_RELEASE
    rt_wgmma_wait<1>();
#endif
    if (previous >= 0) give_back<P>(memory, previous);
    previous = stage;
  }
#ifdef PLANT_NO_WAIT
  rt_wgmma_wait<1>();
#else
  rt_wgmma_wait<0>();
#endif
  hold(sums);
  give_back<P>(memory, previous);
}

// ---- What follows the product ----

// Two neighbours of a row of f32, 8-byte aligned.
RT_DEV void load_pair(const float* from, float (&v)[2]) {
  const u64 raw = *reinterpret_cast<const u64*>(from);
  v[0] = rt_bits_float((u32)raw);
  v[1] = rt_bits_float((u32)(raw >> 32));
}
// What a pair of columns has beside its sums.
struct Pair {
  float bias[2] = {0.f, 0.f}, scale[2] = {1.f, 1.f};
};
RT_DEV Pair load_columns(const Layer& layer, int column) {
  Pair pair;
  if (layer.bias && column < layer.n) load_pair(layer.bias + column, pair.bias);
  if (layer.column_scales && column < layer.n) load_pair(layer.column_scales + column, pair.scale);
  return pair;
}

// Where a thread's outputs lie: a lane has columns `column`, column + 1 of every 8, in the rows `row` and row + 8 of every
// block of 64.
struct Corner {
  int row, column;
};

// The scales of those two rows.
struct RowScales {
  float of[2];
};

// Makes z of the sums, scales q, and rotates q and k of whole heads by the positions of their rows.
template <class Number, int D_HEAD, int N>
RT_DEV void rotate_heads(const Layer& layer, Corner corner, RowScales scales, float (&sums)[N]) {
  constexpr int HALF = D_HEAD / 2, HEADS = 2 * N / D_HEAD, OTHER = HALF / 2;  // registers from a number to its partner
#pragma unroll
  for (int i = 0; i < N; i += 4) {
    const Pair pair = load_columns(layer, corner.column + 2 * i);
#pragma unroll
    for (int e = 0; e < 4; e++) {
      sums[i + e] = z_of(Number(), sums[i + e], scales.of[e / 2], pair.scale[e % 2], pair.bias[e % 2]);
    }
  }
#pragma unroll
  for (int below = 0; below < 2; below++) {
    const int row = min(corner.row + 8 * below, layer.m - 1);
    const long long angles = (long long)layer.positions[row] * HALF + corner.column % 8;
#pragma unroll
    for (int i = 0; i < OTHER; i += 4) {
      float cosine[2], sine[2];
      load_pair(layer.cosines + angles + 2 * i, cosine);
      load_pair(layer.sines + angles + 2 * i, sine);
#pragma unroll
      for (int head = 0; head < HEADS; head++) {
        const int first = corner.column + head * D_HEAD;
        if (first >= layer.n / 3 * 2) continue;
        const float scale = first < layer.n / 3 ? layer.q_scale : 1.f;
#pragma unroll
        for (int e = 0; e < 2; e++) {
          float &left = sums[2 * OTHER * head + i + 2 * below + e], &right = sums[2 * OTHER * head + OTHER + i + 2 * below + e];
          const float a = left * scale, b = right * scale;
          left = fmaf(a, cosine[e], -(b * sine[e]));
          right = fmaf(b, cosine[e], a * sine[e]);
        }
      }
    }
  }
}

// Of 64 outputs of a row, two neighbours: the place of their bytes in a chunk, in which copies swizzle pieces of 16.
RT_DEV int chunk_place(int row, int column) {
#ifdef PLANT_WRONG_SWIZZLE
  return row * 128 + column * 2;
#endif
  return rt_swizzled_place(row, column / 8) + column % 8 * 2;
}

// Of a pair of z the outputs: two, or one of a SwiGLU. `add` looks for what was there at `row`, `column`.
template <Epilogue E> RT_DEV void follow(const Layer& layer, int row, int column, float (&z)[2]) {
  if constexpr (E == SWIGLU) z[0] = swish(z[0], layer.beta, (f16*)nullptr) * z[1];
  if constexpr (E == GELU) {
    z[0] = gelu(z[0], (f16*)nullptr);
    z[1] = gelu(z[1], (f16*)nullptr);
  }
  if constexpr (E == ADD) {
    u32 old = 0;
    if (row < layer.m && column < layer.n) {
      old = *reinterpret_cast<const u32*>((const f16*)layer.y + (long long)row * layer.n + column);
    }
    z[0] = rt_low_f32(old) + z[0];
    z[1] = rt_high_f32(old) + z[1];
  }
}

// A pair of outputs of the first row, and of that 8 below, into the chunk.
template <class N, Epilogue E>
RT_DEV void finish_pairs(const Layer& layer, Corner corner, RowScales scales, const float* sums, unsigned char* chunk,
                         int column) {
  const int thread = threadIdx.x % GROUP, lane = thread % 32, thread_row = thread / 32 * 16 + lane / 4;
  Pair pair;
  if (E != ROPE) pair = load_columns(layer, corner.column + column);
#pragma unroll
  for (int below = 0; below < 2; below++) {
    float z[2];
#pragma unroll
    for (int e = 0; e < 2; e++) {
      const float sum = sums[2 * below + e];
      z[e] = E == ROPE ? sum : z_of(N(), sum, scales.of[below], pair.scale[e], pair.bias[e]);
    }
    follow<E>(layer, corner.row + 8 * below, corner.column + column, z);
    const int row = thread_row + 8 * below;
    const int at = E == SWIGLU ? column / 2 % 64 + lane % 4 : column % 64 + lane % 4 * 2;  // of the chunk's 64
    if constexpr (N::template WRITES_BYTES<E>) {
      put_bytes(N(), chunk, row, at, z, E == SWIGLU ? 1 : 2);
    } else if constexpr (E == SWIGLU) {
      rt_put(reinterpret_cast<f16*>(chunk + chunk_place(row, at)), z[0]);
    } else {
      *reinterpret_cast<u32*>(chunk + chunk_place(row, at)) = rt_pack_f16(z[0], z[1]);
    }
  }
}

// Writes the outputs of a warpgroup: a chunk of 64 by 64 is put together in shared memory while the one before it is
// copied to the matrix; `chunks` counts them over all tiles. Rows of bytes are shorter than the boxes of a map: each warp
// copies its own.
template <class P, Epilogue E, int D_HEAD>
RT_DEV void finish(const Layer& layer, Memory* memory, int member, TilePlace tile, Sums<P>& sums, int& chunks) {
  using N = typename P::Number;
  constexpr int COLUMNS = E == SWIGLU ? 128 : 64;  // of the sums, for a chunk
  const int lane = threadIdx.x % 32, leader = threadIdx.x % GROUP == 0;
  const int row = tile.row * P::ROWS + (P::IN_TURN || P::SHARE_ROWS == P::ROWS ? 0 : member * 64);
  const int column =
      tile.column * P::COLUMNS + (P::IN_TURN || P::SHARE_COLUMNS == P::COLUMNS ? 0 : member * P::SHARE_COLUMNS);
#pragma unroll
  for (int block = 0; block < BLOCKS<P>; block++) {
    const Corner corner = {row + 64 * block + (int)threadIdx.x / 32 % 4 * 16 + lane / 4, column + lane % 4 * 2};
    const RowScales scales = row_scales(N(), layer, corner.row);
    if constexpr (E == ROPE) rotate_heads<N, D_HEAD>(layer, corner, scales, sums.of[block]);
#pragma unroll
    for (int first = 0; first < P::SHARE_COLUMNS; first += COLUMNS) {
      unsigned char* chunk = memory->chunks[member][chunks++ % 2];
      const int to = E == SWIGLU ? (column + first) / 2 : column + first;
      if constexpr (!N::template WRITES_BYTES<E>) {
        if (leader) rt_bulk_wait_read<1>();
#ifndef PLANT_NO_BARRIER
        rt_barrier(3 + member, GROUP);
#endif
      }
#pragma unroll
      for (int local = 0; local < COLUMNS; local += 8) {
        finish_pairs<N, E>(layer, corner, scales, sums.of[block] + (first + local) / 2, chunk, first + local);
      }
      if constexpr (N::template WRITES_BYTES<E>) {
        write_bytes(N(), layer, chunk, row + 64 * block, to, E == SWIGLU ? layer.n / 2 : layer.n);
        continue;
      }
#ifndef PLANT_NO_FENCE
      rt_fence_async(chunk, CHUNK);
#endif
      rt_barrier(3 + member, GROUP);
      if (leader) {
        rt_bulk_store(layer.y_map, chunk, to, row + 64 * block);
        rt_bulk_commit();
      }
    }
  }
}

// Tiles of a warpgroup. Where they are taken in turn, barriers 1 and 2 hand the ring over: without them a warpgroup could
// wait for a stage two rounds ahead, which a parity does not tell from the present one.
template <class P, Epilogue E, int D_HEAD> RT_DEV void work(const Layer& layer, Memory* memory, int member) {
  const Tiles<P> tiles(layer);
  const int first = P::IN_TURN ? member : 0, every = P::IN_TURN ? 2 : 1, stride = tiles.stride();
  int chunks = 0, position = first * tiles.steps;
  for (int tile = tiles.first() + first * stride; tile < tiles.count(); tile += every * stride) {
#ifndef PLANT_NO_TURN
    if (P::IN_TURN && tile >= stride) rt_barrier(1 + member, 2 * GROUP);
#endif
    Sums<P> sums;
    multiply<P>(sums, memory, member, position, tiles.steps);
    position += every * tiles.steps;
#ifndef PLANT_NO_TURN
    if (P::IN_TURN && tile + stride < tiles.count()) rt_barrier_arrive(2 - member, 2 * GROUP);
#endif
    finish<P, E, D_HEAD>(layer, memory, member, tiles.place(tile), sums, chunks);
  }
  if (threadIdx.x % GROUP == 0) rt_bulk_wait_read<0>();
}

// ---- A kernel ----

// Waits for every block that this one shares W with.
template <class P> RT_DEV void sync_blocks() {
  if constexpr (P::CLUSTER == 1) {
    __syncthreads();
  } else {
    rt_cluster_sync();
  }
}

template <class P, Epilogue E, int D_HEAD> RT_DEV void linear(const Layer& layer) {
  RT_DYNAMIC_SHARED_1024(Memory, memory);
  const int group = rt_uniform(threadIdx.x / GROUP);
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < STAGES<P>; stage++) {
      rt_mbarrier_init(&memory->full[stage], 1);
      rt_mbarrier_init(&memory->empty[stage], (P::IN_TURN ? 4 : 8) * P::CLUSTER);  // warps
    }
#ifndef PLANT_NO_INIT_FENCE
    rt_mbarrier_fence();
#endif
  }
#ifdef PLANT_CLUSTER_BEGINS_APART
  __syncthreads();
#else
  sync_blocks<P>();
#endif
  if (group == 0) {
    rt_fewer_registers<P::Number::FETCH_REGISTERS>();
    if (threadIdx.x == 0) fetch<P>(layer, memory);
  } else {
    rt_more_registers<P::Number::MULTIPLY_REGISTERS>();
    work<P, E, D_HEAD>(layer, memory, group - 1);
  }
#ifndef PLANT_CLUSTER_ENDS_APART
  if constexpr (P::CLUSTER > 1) sync_blocks<P>();
#endif
}

#define KERNEL_256 RT_KERNEL(3 * GROUP, 1)
#define KERNEL_128 RT_KERNEL(3 * GROUP, 1)
#define KERNEL_64 RT_KERNEL(3 * GROUP, 1)
#define KERNEL_256x2 RT_KERNEL_OF_CLUSTERS(3 * GROUP, 1, 2)
#define KERNEL_128x2 RT_KERNEL_OF_CLUSTERS(3 * GROUP, 1, 2)

// Every kernel of a file, once it has said how one is made: LINEAR(name, epilogue, width of heads, suffix).
#define LINEARS_OF(SUFFIX)          \
  LINEAR(store, STORE, 0, SUFFIX)   \
  LINEAR(gelu, GELU, 0, SUFFIX)     \
  LINEAR(add, ADD, 0, SUFFIX)       \
  LINEAR(rope64, ROPE, 64, SUFFIX)
#define WIDE_LINEARS_OF(SUFFIX)    \
  LINEARS_OF(SUFFIX)                \
  LINEAR(swiglu, SWIGLU, 0, SUFFIX) \
  LINEAR(rope128, ROPE, 128, SUFFIX)
#define LINEARS()          \
  LINEARS_OF(64)           \
  WIDE_LINEARS_OF(128)    \
  WIDE_LINEARS_OF(256)    \
  WIDE_LINEARS_OF(128x2)  \
  WIDE_LINEARS_OF(256x2)
