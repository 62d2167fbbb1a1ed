// Attention in half precision on compute capability 9.0, heads of 64 and 128: out = softmax(q k^T) v over packed
// sequences, as in attention.cu. `qkv` rows hold q (scaled) | k | v; its map has boxes of 64 columns by 128 rows,
// swizzled over 128 bytes.
//
//   attention_wgmma_d64, attention_wgmma_d128
//
// A block takes 128 queries of one head. One warpgroup asks for boxes, the keys and values of 128 tokens at a time; two
// others have 64 queries each. While the products of a step run on the tensor cores, the exponentials of another step
// are computed twice over: of the same warpgroup, whose values of step j - 1 are added while it weighs step j, and of the
// two warpgroups, which take turns in asking for products.
//
// tiles: {first row, length, first query, 0}, first query a multiple of 128; grid (tiles, heads), 384 threads. Dynamic
// shared memory: the bytes of Memory below.
//
// Sums start at the first row of the sequence: the same bits in any batch. Boxes reach into the next sequence: its
// logits are masked, and its values are written over by zeros, since 0 * NaN is NaN.
#include "attention.cuh"
#include "hopper.cuh"

constexpr int GROUP = 128;              // threads of a warpgroup
constexpr int KEYS = 128;               // of a step
constexpr int HALF_BYTES = KEYS * 128;  // 64 columns of the rows of a box

template <int D> constexpr int MATRIX_BYTES = D / 64 * HALF_BYTES;  // of the 128 rows of a head
template <int D> struct Memory {
  unsigned char queries[MATRIX_BYTES<D>];  // then the outputs
  unsigned char keys[2][MATRIX_BYTES<D>], values[2][MATRIX_BYTES<D>];
  u64 queries_full, keys_full[2], values_full[2], keys_empty[2], values_empty[2];
};

struct Tile {
  int first_row, length, first_query, head, d_model, steps;
};

// ---- The warpgroup that asks for boxes ----

template <int D> RT_DEV void fetch_rows(unsigned char* to, const TensorMap* qkv, u64* barrier, int column, int row) {
  rt_mbarrier_expect(barrier, MATRIX_BYTES<D>);
#pragma unroll
  for (int half = 0; half < D / 64; half++) {
    rt_bulk_load(to + half * HALF_BYTES, qkv, barrier, column + 64 * half, row);
  }
}

template <int D> RT_DEV void fetch(const TensorMap* qkv, const Tile& tile, Memory<D>* memory) {
  const int column = tile.head * D;
  fetch_rows<D>(memory->queries, qkv, &memory->queries_full, column, tile.first_row + tile.first_query);
  for (int step = 0; step < tile.steps; step++) {
    const int stage = step % 2, row = tile.first_row + step * KEYS;
    const u32 parity = step / 2 % 2;
#ifndef PLANT_SHORT_RING
    rt_mbarrier_wait(&memory->keys_empty[stage], parity ^ 1);
#endif
    fetch_rows<D>(memory->keys[stage], qkv, &memory->keys_full[stage], tile.d_model + column, row);
    rt_mbarrier_wait(&memory->values_empty[stage], parity ^ 1);
    fetch_rows<D>(memory->values[stage], qkv, &memory->values_full[stage], 2 * tile.d_model + column, row);
  }
}

// ---- The warpgroups that compute ----

// A lane has two rows of its warp's 16 queries, lane / 4 and 8 below.
template <int D> struct State {
  float logits[KEYS / 2], o[D / 2];
  u32 weights[KEYS / 16][4];  // as the second product takes them
  float reference[2], sum[2], scale[2];
  bool grown;  // some query of the warp has another reference: the sums are to be scaled
};

// Asks for the logits of a step.
template <int D> RT_DEV void ask_logits(State<D>& state, const Memory<D>* memory, int member, int stage) {
#pragma unroll
  for (int k = 0; k < D / 16; k++) {
    const int offset = k / 4 * HALF_BYTES;
    const u64 queries = rt_operand(memory->queries + offset + member * 64 * 128, 16, 1024);
    const u64 keys = rt_operand(memory->keys[stage] + offset, 16, 1024);
    rt_wgmma(Columns<KEYS>(), state.logits, rt_operand_on(queries, k % 4 * 32), rt_operand_on(keys, k % 4 * 32), k > 0);
  }
  rt_wgmma_commit();
}

// Asks for the values of a step to be added with their weights.
template <int D> RT_DEV void ask_values(State<D>& state, const Memory<D>* memory, int stage, bool first) {
#ifdef PLANT_WRONG_STRIDE
  constexpr int STEP = 1024;
#else
  constexpr int STEP = 2048;  // 16 rows of 128 bytes
#endif
  const u64 values = rt_operand(memory->values[stage], HALF_BYTES, 1024);
#pragma unroll
  for (int k = 0; k < KEYS / 16; k++) {
    rt_wgmma_transposed(Columns<D>(), state.o, state.weights[k], rt_operand_on(values, k * STEP), !first || k > 0);
  }
  rt_wgmma_commit();
}

RT_DEV float row_maximum(const float (&logits)[KEYS / 2], int below, float maximum) {
#pragma unroll
  for (int i = 2 * below; i < KEYS / 2; i += 4) maximum = fmaxf(maximum, fmaxf(logits[i], logits[i + 1]));
  return maximum_of_row(maximum);
}

// From logits to weights, in place, of the first `n_keys` keys of a step.
template <int D> RT_DEV void weigh(State<D>& state, int n_keys) {
#ifdef PLANT_MASK_OFF_BY_ONE
  n_keys++;
#endif
  if (n_keys < KEYS) {
#pragma unroll
    for (int i = 0; i < KEYS / 2; i++) {
      const int key = i / 4 * 8 + threadIdx.x % 4 * 2 + i % 2;
      if (key >= n_keys) state.logits[i] = rt_bits_float(0xff800000u);
    }
  }
  bool grown = false;
#pragma unroll
  for (int below = 0; below < 2; below++) {
    const float maximum = row_maximum(state.logits, below, state.reference[below]);
    grown |= follow_maximum(state.reference[below], state.scale[below], maximum);
    float sum = 0.f;
#pragma unroll
    for (int i = 2 * below; i < KEYS / 2; i += 4) {
#pragma unroll
      for (int e = 0; e < 2; e++) {
        state.logits[i + e] = weight_of(state.logits[i + e], state.reference[below]);
        sum += state.logits[i + e];
      }
    }
    state.sum[below] = fmaf(state.sum[below], state.scale[below], sum);
  }
  state.grown = rt_any(grown);
}

// Weights as halves, in the order of the operand of a product: the sums of one product are in the order of the next.
template <int D> RT_DEV void pack_weights(State<D>& state) {
#pragma unroll
  for (int k = 0; k < KEYS / 16; k++) {
#pragma unroll
    for (int i = 0; i < 4; i++) state.weights[k][i] = rt_pack_f16(state.logits[8 * k + 2 * i], state.logits[8 * k + 2 * i + 1]);
  }
}

template <int D> RT_DEV void rescale(State<D>& state) {
  if (!state.grown) return;
#pragma unroll
  for (int i = 0; i < D / 2; i++) state.o[i] *= state.scale[i / 2 % 2];
}

// Writes zeros over the values behind the sequence, in the step that it ends in: both warpgroups together.
template <int D> RT_DEV void clear_values(unsigned char* values, int n_keys) {
  if (n_keys >= KEYS) return;
#ifndef PLANT_NO_ZEROS
  const int pieces = (KEYS - n_keys) * 8;  // of 16 bytes, in 64 columns
  for (int i = threadIdx.x - GROUP; i < D / 64 * pieces; i += 2 * GROUP) {
    rt_store16(values + i / pieces * HALF_BYTES + n_keys * 128 + i % pieces * 16, v128{0, 0, 0, 0});
  }
#endif
#ifndef PLANT_NO_FENCE
  rt_fence_async(values, MATRIX_BYTES<D>);
#endif
  rt_barrier(3, 2 * GROUP);
}

RT_DEV void give_back(u64* barrier) {
  if (threadIdx.x % 32 == 0) rt_mbarrier_arrive(barrier);
}

// All steps over the keys. Products are asked for in turn: barrier 1 + member is the turn of a warpgroup.
template <int D> RT_DEV void attend(State<D>& state, const Tile& tile, Memory<D>* memory, int member) {
  const int last = tile.steps - 1;
  rt_mbarrier_wait(&memory->queries_full, 0);
  rt_mbarrier_wait(&memory->keys_full[0], 0);
  rt_hold(state.logits);
  rt_wgmma_fence();
  ask_logits<D>(state, memory, member, 0);
  rt_wgmma_wait<0>();
  rt_hold(state.logits);
  give_back(&memory->keys_empty[0]);
  weigh<D>(state, tile.length);
  pack_weights<D>(state);
  if (member == 1 && last > 0) rt_barrier_arrive(1, 2 * GROUP);
  for (int step = 1; step <= last; step++) {
    const int stage = step % 2, before = (step - 1) % 2;
    rt_mbarrier_wait(&memory->keys_full[stage], step / 2 % 2);
#ifdef PLANT_WRONG_PARITY
    rt_mbarrier_wait(&memory->values_full[before], (step - 1) / 2 % 2 ^ 1);
#else
    rt_mbarrier_wait(&memory->values_full[before], (step - 1) / 2 % 2);
#endif
    rt_barrier(1 + member, 2 * GROUP);
    rt_hold(state.logits);
    rt_hold(state.o);
    rt_wgmma_fence();
    ask_logits<D>(state, memory, member, stage);
    ask_values<D>(state, memory, before, step == 1);
    if (member == 0 || step < last) rt_barrier_arrive(2 - member, 2 * GROUP);
#ifdef PLANT_NO_WAIT
    rt_wgmma_wait<2>();
#else
    rt_wgmma_wait<1>();
#endif
    rt_hold(state.logits);
    give_back(&memory->keys_empty[stage]);
    weigh<D>(state, tile.length - step * KEYS);
    rt_wgmma_wait<0>();
    rt_hold(state.o);
    give_back(&memory->values_empty[before]);
    rescale<D>(state);
    pack_weights<D>(state);
  }
  rt_mbarrier_wait(&memory->values_full[last % 2], last / 2 % 2);
  clear_values<D>(memory->values[last % 2], tile.length - last * KEYS);
  rt_hold(state.o);
  rt_wgmma_fence();
  ask_values<D>(state, memory, last % 2, last == 0);
  rt_wgmma_wait<0>();
  rt_hold(state.o);
}

// Divides by the sums of the weights and stores the rows of a warp, by way of its queries' place in shared memory.
template <int D> RT_DEV void store_rows(State<D>& state, const Tile& tile, Memory<D>* memory, f16* out) {
  const int lane = threadIdx.x % 32, first = (threadIdx.x - GROUP) / 32 * 16;  // row of the warp
#pragma unroll
  for (int below = 0; below < 2; below++) {
    const float inverse = rt_reciprocal(sum_of_row(state.sum[below]));
    const int row = first + lane / 4 + 8 * below;
#pragma unroll
    for (int i = 2 * below; i < D / 2; i += 4) {
      const int piece = i / 4;  // of 8 columns
      unsigned char* half = memory->queries + piece / 8 * HALF_BYTES;
      *reinterpret_cast<u32*>(half + rt_swizzled_place(row, piece % 8) + lane % 4 * 4) =
          rt_pack_f16(state.o[i] * inverse, state.o[i + 1] * inverse);
    }
  }
  rt_sync_warp();
  f16* place = out + (u64)(tile.first_row + tile.first_query) * tile.d_model + tile.head * D;
#pragma unroll
  for (int i = 0; i < 16 * (D / 8); i += 32) {
    const int row = first + (i + lane) / (D / 8), piece = (i + lane) % (D / 8);
    const unsigned char* half = memory->queries + piece / 8 * HALF_BYTES;
    if (tile.first_query + row < tile.length) {
      rt_store16(place + (u64)row * tile.d_model + piece * 8,
                 rt_load16(half + rt_swizzled_place(row, piece % 8)));
    }
  }
}

// ---- Kernels ----

template <int D> RT_DEV void attention(const TensorMap* qkv, const u32* tiles, f16* out, int n_heads) {
  RT_DYNAMIC_SHARED_1024(Memory<D>, memory);
  const u32* of = tiles + 4 * blockIdx.x;
  const int length = (int)of[1];
  const Tile tile = {(int)of[0], length, (int)of[2], (int)blockIdx.y, n_heads * D, (length + KEYS - 1) / KEYS};
  if (tile.first_query >= length) return;
  const int group = rt_uniform(threadIdx.x / GROUP);
  if (threadIdx.x == 0) {
    rt_mbarrier_init(&memory->queries_full, 1);
    for (int stage = 0; stage < 2; stage++) {
      rt_mbarrier_init(&memory->keys_full[stage], 1);
      rt_mbarrier_init(&memory->values_full[stage], 1);
      rt_mbarrier_init(&memory->keys_empty[stage], 8);  // warps
      rt_mbarrier_init(&memory->values_empty[stage], 8);
    }
    rt_mbarrier_fence();
  }
  __syncthreads();
  if (group == 0) {
    rt_fewer_registers<24>();
    if (threadIdx.x == 0) fetch<D>(qkv, tile, memory);
  } else {
    rt_more_registers<240>();
    State<D> state;
    state.reference[0] = state.reference[1] = LOWEST;
    state.sum[0] = state.sum[1] = 0.f;
    attend<D>(state, tile, memory, group - 1);
    store_rows<D>(state, tile, memory, out);
  }
}

#define ATTENTION(D)                                                                                                  \
  RT_KERNEL(3 * GROUP, 1)                                                                                             \
  attention_wgmma_d##D(const RT_GRID_CONSTANT TensorMap qkv, const u32* tiles, f16* out, int n_heads) {               \
    attention<D>(&qkv, tiles, out, n_heads);                                                                          \
  }                                                                                                                   \
  RT_EXPORT(attention_wgmma_d##D)

ATTENTION(64)
ATTENTION(128)
