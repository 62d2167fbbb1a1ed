// Attention in half precision over packed sequences, every token attending to all tokens of its own sequence:
// out = softmax(q k^T) v, q scaled beforehand. `qkv` rows hold q | k | v, each n_heads * d_head wide; `out` rows hold
// the heads. d_head is a multiple of 8, at most WIDTH, the width of the instance: columns past it are zeros in shared
// memory and are not stored. Sums start at the first row of the sequence: the same bits in any batch.
//
// Copies past the end of a sequence fill with zeros: rows there belong to a neighbour, and 0 * NaN is NaN.
#include "attention.cuh"

// ---- Tiles in shared memory ----

// A tile has rows of WIDTH halves in pieces of 16 bytes. Where a piece lies: pieces are permuted, with a period of
// eight rows, so that eight neighbouring rows read at one column (ldmatrix, a fragment's stores) meet different banks.
template <int WIDTH> RT_DEV int place_of(int row, int piece) {
  constexpr int PIECES = WIDTH / 8;
  constexpr int ROWS_OF_A_LINE = PIECES < 8 ? 8 / PIECES : 1;
  constexpr int MASK = PIECES < 8 ? PIECES - 1 : 7;
  return row * WIDTH + (piece ^ ((row / ROWS_OF_A_LINE) & MASK)) * 8;
}
// The piece that a lane hands to ldmatrix for 16 rows and two pieces, in the order of fragments of queries and values,
// and in that of keys. In the n-th pair of pieces it is at in_pair(place, n), a multiple of eight rows on at + WIDTH
// for each, 64 columns on at + 64.
template <int WIDTH> RT_DEV int place_in_queries(int lane) { return place_of<WIDTH>(lane % 16, lane / 16); }
template <int WIDTH> RT_DEV int place_in_keys(int lane) {
  return place_of<WIDTH>(lane % 8 + lane / 16 * 8, lane / 8 % 2);
}
RT_DEV int in_pair(int place, int n) { return (place ^ n % 4 * 16) + n / 4 * 64; }

// Starts the copy of ROWS rows of one head, of which the first `n_rows` exist, by THREADS threads.
template <int WIDTH, int ROWS, int THREADS>
RT_DEV void copy_rows(f16* tile, const f16* source, u64 stride, int n_rows, int d_head) {
  constexpr int PIECES = WIDTH / 8;
  const int piece = (int)threadIdx.x % PIECES;
  const int first = (int)threadIdx.x / PIECES;
  source += first * stride + piece * 8;
#pragma unroll
  for (int row = 0; row < ROWS; row += THREADS / PIECES) {
    const bool inside = first + row < n_rows && piece * 8 < d_head;
    rt_copy_async16(tile + place_of<WIDTH>(first + row, piece), source + row * stride, inside);
  }
}

// All copies of the block but the last `pending` groups have landed.
template <int pending> RT_DEV void wait_for_copies() {
#ifndef PLANT_NO_WAIT
  rt_copy_wait<pending>();
#endif
#ifndef PLANT_NO_BARRIER
  __syncthreads();
#endif
}

// ---- The two products ----

// Adds step k of the inner dimension to the logits of M times 16 queries and the first `n_keys` of 8 * N keys, rounded
// up to 16. The keys run inside: neighbouring products do not wait for each other.
template <int WIDTH, int M, int N>
RT_DEV void add_logits(float (&s)[M][N][4], const u32 (&q)[M][4], const f16* keys, int k, int place, int n_keys) {
#pragma unroll
  for (int n = 0; n < N; n += 2) {
    if (8 * n >= n_keys) break;
    u32 b[4];
    rt_ldmatrix_x4(b, keys + 8 * n * WIDTH + in_pair(place, k));
#pragma unroll
    for (int m = 0; m < M; m++) {
      rt_mma_16816(s[m][n], q[m], b[0], b[1]);
      rt_mma_16816(s[m][n + 1], q[m], b[2], b[3]);
    }
  }
}

// Adds the values of the first `n_keys` of 16 * N keys, rounded up to 16, with their weights.
template <int WIDTH, int M, int N, int C>
RT_DEV void add_values(float (&o)[M][C][4], const u32 (&p)[M][N][4], const f16* values, int place, int n_keys) {
#pragma unroll
  for (int k = 0; k < N; k++) {
    if (16 * k >= n_keys) break;
#pragma unroll
    for (int n = 0; n < C / 2; n++) {
      u32 b[4];
      rt_ldmatrix_x4_trans(b, values + 16 * k * WIDTH + in_pair(place, n));
#pragma unroll
      for (int m = 0; m < M; m++) {
        rt_mma_16816(o[m][2 * n], p[m][k], b[0], b[1]);
        rt_mma_16816(o[m][2 * n + 1], p[m][k], b[2], b[3]);
      }
    }
  }
}

// ---- Softmax of a fragment row: `half` picks row lane / 4 or row lane / 4 + 8, shared by four lanes ----

// Logits of the fragment column that starts at key `first_key` become -inf from key `n_keys` on.
RT_DEV void mask_keys(float (&s)[4], int first_key, int n_keys, int lane) {
#ifdef PLANT_MASK_OFF_BY_ONE
  n_keys++;
#endif
#pragma unroll
  for (int e = 0; e < 4; e++) {
    if (first_key + lane % 4 * 2 + e % 2 >= n_keys) s[e] = rt_bits_float(0xff800000u);
  }
}

template <int N> RT_DEV float row_maximum(const float (&s)[N][4], int half, float maximum) {
#pragma unroll
  for (int n = 0; n < N; n++) maximum = fmaxf(maximum, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
  return maximum_of_row(maximum);
}

// Weights exp(logit - reference) as fragments of the second product; adds this lane's part of their sums.
template <int N>
RT_DEV void weigh(u32 (&p)[N / 2][4], const float (&s)[N][4], const float (&reference)[2], float (&sum)[2]) {
#pragma unroll
  for (int n = 0; n < N; n++) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const float low = weight_of(s[n][2 * half], reference[half]);
      const float high = weight_of(s[n][2 * half + 1], reference[half]);
      sum[half] += low;
      sum[half] += high;
      p[n / 2][n % 2 * 2 + half] = rt_pack_f16(low, high);
    }
  }
}

// ---- Output ----

// Divides 16 rows by their sums (given as the parts of four lanes) and lays them in shared memory as halves.
template <int WIDTH, int C>
RT_DEV void lay_rows(f16* tile, const float (&o)[C][4], const float (&sum)[2], int lane) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const float inverse = rt_reciprocal(sum_of_row(sum[half]));
    const int row = lane / 4 + 8 * half;
#pragma unroll
    for (int n = 0; n < C; n++) {
      u32* place = reinterpret_cast<u32*>(tile + place_of<WIDTH>(row, n)) + lane % 4;
      *place = rt_pack_f16(o[n][2 * half] * inverse, o[n][2 * half + 1] * inverse);
    }
  }
}

// A warp stores ROWS rows of a tile, of which the first `n_rows` exist.
template <int WIDTH, int ROWS>
RT_DEV void store_rows(f16* out, int stride, const f16* tile, int n_rows, int d_head, int lane) {
  constexpr int PIECES = WIDTH / 8;
#pragma unroll
  for (int i = 0; i < ROWS * PIECES; i += 32) {
    const int row = (i + lane) / PIECES, piece = (i + lane) % PIECES;
    if (row < n_rows && piece * 8 < d_head) {
      rt_store16(out + row * stride + piece * 8, rt_load16(tile + place_of<WIDTH>(row, piece)));
    }
  }
}

// ---- Sequences of any length ----
//
// A block of four warps takes 64 * M queries of one head, a warp 16 * M of them, and walks over the keys 64 at a time.
// M = 2 (widths up to 64) halves what a query costs in reads of K and V from L2 and from shared memory: with M = 1 and
// width 64 the reads of shared memory alone would take longer than the products on Hopper.
//
// tiles: {first row, length, first query, 0}, first query a multiple of 64 * M; grid (tiles, heads).
// Shared memory: two stages of 64 keys and 64 values, 512 * WIDTH bytes. The second stage holds the queries first, and
// the stage that the last keys do not use holds the output.

constexpr int KEYS = 64;
constexpr int LONG_THREADS = 128;

// The running state of a warp.
template <int WIDTH, int M> struct Running {
  float o[M][WIDTH / 8][4];
  float reference[M][2];
  float sum[M][2];
};

template <int WIDTH, int M> RT_DEV void follow_maxima(Running<WIDTH, M>& state, const float (&s)[M][KEYS / 8][4]) {
  float scale[M][2];
  bool grown = false;
#pragma unroll
  for (int m = 0; m < M; m++) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const float maximum = row_maximum(s[m], half, state.reference[m][half]);
      grown |= follow_maximum(state.reference[m][half], scale[m][half], maximum);
    }
  }
  if (!rt_any(grown)) return;
#pragma unroll
  for (int m = 0; m < M; m++) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      state.sum[m][half] *= scale[m][half];
#pragma unroll
      for (int n = 0; n < WIDTH / 8; n++) {
        state.o[m][n][2 * half] *= scale[m][half];
        state.o[m][n][2 * half + 1] *= scale[m][half];
      }
    }
  }
}

// One step over the keys and values of a stage: 64, or at the end of a sequence (TAIL) `n_keys`.
template <int WIDTH, int M, bool TAIL>
RT_DEV void attend(Running<WIDTH, M>& state, const u32 (&q)[WIDTH / 16][M][4], const f16* stage, int n_keys, int lane) {
  float s[M][KEYS / 8][4] = {};
#pragma unroll
  for (int k = 0; k < WIDTH / 16; k++) add_logits<WIDTH>(s, q[k], stage, k, place_in_keys<WIDTH>(lane), n_keys);
  if (TAIL) { // else every key exists
#pragma unroll
    for (int m = 0; m < M; m++) {
#pragma unroll
      for (int n = 0; n < KEYS / 8; n++) mask_keys(s[m][n], 8 * n, n_keys, lane);
    }
  }
  follow_maxima(state, s);
  u32 p[M][KEYS / 16][4];
#pragma unroll
  for (int m = 0; m < M; m++) weigh(p[m], s[m], state.reference[m], state.sum[m]);
  add_values<WIDTH>(state.o, p, stage + KEYS * WIDTH, place_in_queries<WIDTH>(lane), n_keys);
}

template <int WIDTH, int M>
RT_DEV void attention_long(const f16* qkv, const u32* tiles, f16* out, int n_heads, int d_head) {
  constexpr int STAGE = 2 * KEYS * WIDTH;
  RT_DYNAMIC_SHARED(f16, shared);
  const u64 first_row = tiles[4 * blockIdx.x];
  const int length = (int)tiles[4 * blockIdx.x + 1];
  const int first_query = (int)tiles[4 * blockIdx.x + 2];
  if (first_query >= length) return;

  const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
  const int d_model = n_heads * d_head;
  const u64 stride = 3 * (u64)d_model;
  const f16* head = qkv + first_row * stride + (int)blockIdx.y * d_head;
  const auto copy_keys = [&](int step) {
    f16* stage = shared + step % 2 * STAGE;
    const f16* source = head + step * KEYS * stride + d_model;
    copy_rows<WIDTH, KEYS, LONG_THREADS>(stage, source, stride, length - step * KEYS, d_head);
    copy_rows<WIDTH, KEYS, LONG_THREADS>(stage + STAGE / 2, source + d_model, stride, length - step * KEYS, d_head);
    rt_copy_commit();
  };

  const f16* queries = head + first_query * stride;
  copy_rows<WIDTH, 64 * M, LONG_THREADS>(shared + STAGE, queries, stride, length - first_query, d_head);
  rt_copy_commit();
  copy_keys(0);
  wait_for_copies<1>();
  u32 q[WIDTH / 16][M][4];
  Running<WIDTH, M> state = {};
#pragma unroll
  for (int m = 0; m < M; m++) {
    const f16* rows = shared + STAGE + 16 * (M * warp + m) * WIDTH;
#pragma unroll
    for (int k = 0; k < WIDTH / 16; k++) rt_ldmatrix_x4(q[k][m], rows + in_pair(place_in_queries<WIDTH>(lane), k));
    state.reference[m][0] = state.reference[m][1] = LOWEST;
  }

  // A warp without queries keeps copying and meeting the barriers.
  const int first_of_warp = first_query + 16 * M * warp;
  const bool busy = first_of_warp < length;
  const int n_steps = length / KEYS, n_left = length % KEYS;
  for (int step = 0; step < n_steps; step++) {
    wait_for_copies<0>(); // and every warp is done with the other stage
    if ((step + 1) * KEYS < length) copy_keys(step + 1);
    const f16* stage = shared + step % 2 * STAGE;
    if (busy) attend<WIDTH, M, false>(state, q, stage, KEYS, lane);
  }
  if (n_left > 0) {
    wait_for_copies<0>();
    const f16* stage = shared + n_steps % 2 * STAGE;
    if (busy) attend<WIDTH, M, true>(state, q, stage, n_left, lane);
  }
  if (!busy) return;

  f16* result = shared + (length + KEYS - 1) / KEYS % 2 * STAGE + 16 * M * warp * WIDTH;
#pragma unroll
  for (int m = 0; m < M; m++) lay_rows<WIDTH>(result + 16 * m * WIDTH, state.o[m], state.sum[m], lane);
  rt_sync_warp();
  f16* place = out + (first_row + first_of_warp) * d_model + (int)blockIdx.y * d_head;
  store_rows<WIDTH, 16 * M>(place, d_model, result, length - first_of_warp, d_head, lane);
}

#define ATTENTION_LONG(name, width, m, blocks)                                                                         \
  RT_KERNEL(LONG_THREADS, blocks)                                                                                      \
  name(const f16* qkv, const u32* tiles, f16* out, int n_heads, int d_head) {                                          \
    attention_long<width, m>(qkv, tiles, out, n_heads, d_head);                                                        \
  }                                                                                                                    \
  RT_EXPORT(name)

ATTENTION_LONG(attention_f16_d16, 16, 2, 3)
ATTENTION_LONG(attention_f16_d32, 32, 2, 3)
ATTENTION_LONG(attention_f16_d64, 64, 2, 2)
ATTENTION_LONG(attention_f16_d128, 128, 1, 2)

// ---- Sequences of at most 128 tokens ----
//
// One pass: a warp keeps the logits of 16 queries and all keys in registers, so the softmax needs no running maximum. A
// head takes CHUNKS = ceil(length / 16) warps, a block of eight warps 8 / CHUNKS neighbouring heads (rounded down: 8,
// 4, 2, 2, 1, 1, 1, 1). One instance for each CHUNKS: no branch inside, and only the last 16 keys are masked.
//
// tiles: {first row, length, first head, 0}; grid (tiles).
// Shared memory: q, k and v of the heads, at most 128 rows each: 768 * WIDTH bytes for every length.

constexpr int SHORT_THREADS = 256;
constexpr int SHORT_ROWS = 128;

template <int WIDTH, int CHUNKS>
RT_DEV void attention_pass(const f16* qkv, const u32* tile, f16* out, int n_heads, int d_head) {
  constexpr int PIECES = WIDTH / 8;
  constexpr int HEADS = 8 / CHUNKS;
  constexpr int ROWS = 16 * CHUNKS; // of a head in shared memory
  constexpr int MATRIX = SHORT_ROWS * WIDTH;
  RT_DYNAMIC_SHARED(f16, shared);
  const u64 first_row = tile[0];
  const int length = (int)tile[1], first_head = (int)tile[2];
  const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
  const int d_model = n_heads * d_head;
  const int heads = min(HEADS, n_heads - first_head);

  const f16* source = qkv + first_row * (3 * d_model) + first_head * d_head;
  const int piece = (int)threadIdx.x % PIECES;
  const auto copy = [&](int matrix) {
#pragma unroll
    for (int first = 0; first < HEADS * ROWS; first += SHORT_THREADS / PIECES) {
      const int place = first + (int)threadIdx.x / PIECES, row = place % ROWS, head = place / ROWS;
      const bool inside = row < length && head < heads && piece * 8 < d_head;
      const f16* from = source + matrix * d_model + (row * 3 * d_model + head * d_head + piece * 8);
      rt_copy_async16(shared + matrix * MATRIX + place_of<WIDTH>(place, piece), from, inside);
    }
  };
  copy(0);
  copy(1);
  rt_copy_commit();
  copy(2);
  rt_copy_commit();

  const int head = warp / CHUNKS, first_query = warp % CHUNKS * 16;
  const bool busy = head < heads;
  f16* queries = shared + (head * ROWS + first_query) * WIDTH;
  const f16* keys = shared + MATRIX + head * ROWS * WIDTH;
  u32 p[1][CHUNKS][4];
  float sum[2] = {};
  wait_for_copies<1>();
  if (busy) {
    float s[1][2 * CHUNKS][4] = {};
#pragma unroll
    for (int k = 0; k < WIDTH / 16; k++) {
      u32 q[1][4];
      rt_ldmatrix_x4(q[0], queries + in_pair(place_in_queries<WIDTH>(lane), k));
      add_logits<WIDTH>(s, q, keys, k, place_in_keys<WIDTH>(lane), ROWS);
    }
#pragma unroll
    for (int n = 2 * CHUNKS - 2; n < 2 * CHUNKS; n++) mask_keys(s[0][n], 8 * n, length, lane);
    const float maximum[2] = {row_maximum(s[0], 0, LOWEST), row_maximum(s[0], 1, LOWEST)};
    weigh(p[0], s[0], maximum, sum);
  }
  wait_for_copies<0>();
  if (!busy) return;

  constexpr int COLUMNS = WIDTH < 64 ? WIDTH : 64; // at a time: registers
  for (int column = 0; column < WIDTH; column += COLUMNS) {
    float o[1][COLUMNS / 8][4] = {};
    add_values<WIDTH>(o, p, keys + MATRIX + column, place_in_queries<WIDTH>(lane), ROWS);
    lay_rows<WIDTH>(queries + column, o[0], sum, lane); // over the queries of this warp
  }
  rt_sync_warp();
  f16* place = out + (first_row + first_query) * d_model + (first_head + head) * d_head;
  store_rows<WIDTH, 16>(place, d_model, queries, length - first_query, d_head, lane);
}

template <int WIDTH>
RT_DEV void attention_short(const f16* qkv, const u32* tiles, f16* out, int n_heads, int d_head) {
  const u32* tile = tiles + 4 * blockIdx.x;
  switch ((tile[1] + 15) / 16) {
  case 1: return attention_pass<WIDTH, 1>(qkv, tile, out, n_heads, d_head);
  case 2: return attention_pass<WIDTH, 2>(qkv, tile, out, n_heads, d_head);
  case 3: return attention_pass<WIDTH, 3>(qkv, tile, out, n_heads, d_head);
  case 4: return attention_pass<WIDTH, 4>(qkv, tile, out, n_heads, d_head);
  case 5: return attention_pass<WIDTH, 5>(qkv, tile, out, n_heads, d_head);
  case 6: return attention_pass<WIDTH, 6>(qkv, tile, out, n_heads, d_head);
  case 7: return attention_pass<WIDTH, 7>(qkv, tile, out, n_heads, d_head);
  case 8: return attention_pass<WIDTH, 8>(qkv, tile, out, n_heads, d_head);
  }
}

#define ATTENTION_SHORT(name, width)                                                                                   \
  RT_KERNEL(SHORT_THREADS, 2)                                                                                          \
  name(const f16* qkv, const u32* tiles, f16* out, int n_heads, int d_head) {                                          \
    attention_short<width>(qkv, tiles, out, n_heads, d_head);                                                          \
  }                                                                                                                    \
  RT_EXPORT(name)

ATTENTION_SHORT(attention_short_f16_d16, 16)
ATTENTION_SHORT(attention_short_f16_d32, 32)
ATTENTION_SHORT(attention_short_f16_d64, 64)
ATTENTION_SHORT(attention_short_f16_d128, 128)
