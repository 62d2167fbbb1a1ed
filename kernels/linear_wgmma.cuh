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
// of a cluster asks for) columns; that of y has boxes of 64 by 64 halves. gridDim.x is a multiple of the cluster. Dynamic
// shared memory: the bytes of Memory in linear_tiles.cuh.
//
// An output is one sum over k in ascending order, 32 bytes of it at a time, whatever tile and batch.
//
// What a type of numbers `N` has beside: N::SIZE, its bytes; N::WRITES_BYTES<E>, whether outputs are put into bytes too; the
// registers of a thread that fetches and of one that multiplies, together those of 384 threads of 168; multiply(N, ..), the
// product of 32 bytes along k; row_scales(N, ..) and z_of(N, ..), from a sum to z; and put_bytes and write_bytes where it
// writes bytes.
#pragma once
#include "linear_finish.cuh"
#include "linear_tiles.cuh"

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
#define WIDE_LINEARS_OF(SUFFIX)     \
  LINEARS_OF(SUFFIX)                \
  LINEAR(swiglu, SWIGLU, 0, SUFFIX) \
  LINEAR(rope128, ROPE, 128, SUFFIX)
#define LINEARS()        \
  LINEARS_OF(64)         \
  WIDE_LINEARS_OF(128)   \
  WIDE_LINEARS_OF(256)   \
  WIDE_LINEARS_OF(128x2) \
  WIDE_LINEARS_OF(256x2)
