// What follows the product of a linear layer on compute capability 9.0 (linear_wgmma.cuh): from sums in registers to outputs
// in memory.
#pragma once
#include "linear_tiles.cuh"

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
