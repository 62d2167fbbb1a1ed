// Attention in single precision over packed sequences: out = softmax(q k^T) v, q scaled beforehand. Rows as in half
// precision; d_head is a multiple of 8, at most 128. Sums start at the first row of the sequence: the same bits in any
// batch.
//
// A block of eight warps takes 64 queries of one head, a warp eight of them, and walks over the keys 32 at a time. For
// the logits a lane has a key; for the output it has four columns (narrow heads: of every second, fourth, .. key). Keys
// are copied while values are added, and values while logits are found.
//
// tiles: {first row, length, first query, 0}, first query a multiple of 64; grid (tiles, heads).
// Shared memory: 64 queries, 32 keys, 32 values, rows of d_head + 4 so that eight rows meet different banks, and the
// weights, [warp, key, query]: 512 * (d_head + 4) + 8192 bytes.
#include "rt.cuh"

constexpr int THREADS = 256;
constexpr int QUERIES = 8; // of a warp
constexpr int KEYS = 32;

RT_DEV void load4(float (&v)[4], const float* p) {
  const v128 raw = rt_load16(p);
  v[0] = rt_bits_float(raw.x);
  v[1] = rt_bits_float(raw.y);
  v[2] = rt_bits_float(raw.z);
  v[3] = rt_bits_float(raw.w);
}

// Starts the copy of `rows` rows, of which the first `n_rows` exist: the others are zeros, not a neighbour's.
RT_DEV void copy_rows(float* tile, const float* source, u64 stride, int rows, int n_rows, int d_head) {
  const int pieces = d_head / 4;
#pragma unroll 1
  for (int i = (int)threadIdx.x; i < rows * pieces; i += THREADS) {
    const int row = i / pieces, column = i % pieces * 4;
    rt_copy_async16(tile + row * (d_head + 4) + column, source + row * stride + column, row < n_rows);
  }
  rt_copy_commit();
}

// All copies of the block have landed, and every warp is done with what the next ones overwrite.
RT_DEV void wait_for_copies() {
#ifndef PLANT_NO_WAIT
  rt_copy_wait<0>();
#endif
#ifndef PLANT_NO_BARRIER
  __syncthreads();
#endif
}

// Logits of the warp's queries with one key.
RT_DEV void find_logits(float (&s)[QUERIES], const float* queries, const float* key, int d_head) {
#pragma unroll 1
  for (int column = 0; column < d_head; column += 4) {
    float k[4];
    load4(k, key + column);
#pragma unroll
    for (int i = 0; i < QUERIES; i++) {
      float q[4];
      load4(q, queries + i * (d_head + 4) + column);
#pragma unroll
      for (int e = 0; e < 4; e++) s[i] = fmaf(q[e], k[e], s[i]);
    }
  }
}

RT_KERNEL(THREADS, 2) attention_f32(const float* qkv, const u32* tiles, float* out, int n_heads, int d_head) {
  RT_DYNAMIC_SHARED(float, shared);
  const u64 first_row = tiles[4 * blockIdx.x];
  const int length = (int)tiles[4 * blockIdx.x + 1];
  const int first_query = (int)tiles[4 * blockIdx.x + 2];
  if (first_query >= length) return;

  const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
  const int row = d_head + 4;
  float* queries = shared;
  float* keys = queries + THREADS / 32 * QUERIES * row;
  float* values = keys + KEYS * row;
  float* weights = values + KEYS * row + warp * KEYS * QUERIES;

  const int d_model = n_heads * d_head;
  const u64 stride = 3 * (u64)d_model;
  const float* head = qkv + first_row * stride + (int)blockIdx.y * d_head;
  copy_rows(queries, head + first_query * stride, stride, THREADS / 32 * QUERIES, length - first_query, d_head);
  copy_rows(keys, head + d_model, stride, KEYS, length, d_head);

  // Lanes of the output: `group` lanes hold a row of values, lane / group picks the keys.
  int group = 1;
  while (4 * group < d_head) group *= 2;
  const int column = lane % group * 4;
  const int first_of_warp = first_query + warp * QUERIES;
  const bool busy = first_of_warp < length;
  float o[QUERIES][4] = {}, sum[QUERIES] = {}, maximum[QUERIES];
#pragma unroll
  for (int i = 0; i < QUERIES; i++) maximum[i] = -3e38f;

  for (int first_key = 0; first_key < length; first_key += KEYS) {
    const int n_keys = length - first_key;
    const float* next = head + first_key * stride + d_model;
    wait_for_copies();
    copy_rows(values, next + d_model, stride, KEYS, n_keys, d_head);
    if (busy) {
      float s[QUERIES] = {};
      find_logits(s, queries + warp * QUERIES * row, keys + lane * row, d_head);
#ifdef PLANT_MASK_OFF_BY_ONE
      const bool masked = lane > n_keys;
#else
      const bool masked = lane >= n_keys;
#endif
#pragma unroll
      for (int i = 0; i < QUERIES; i++) {
        const float logit = masked ? rt_bits_float(0xff800000u) : s[i];
        const float old = maximum[i];
        maximum[i] = rt_warp_max(fmaxf(old, logit)); // never NaN: that comes through the exponential
        const float scale = expf(old - maximum[i]);
        const float weight = expf(logit - maximum[i]);
        sum[i] = sum[i] * scale + weight;
        weights[lane * QUERIES + i] = weight;
#pragma unroll
        for (int e = 0; e < 4; e++) o[i][e] *= scale;
      }
    }
    wait_for_copies();
    if (n_keys > KEYS) copy_rows(keys, next + KEYS * stride, stride, KEYS, n_keys - KEYS, d_head);
    if (busy && column < d_head) {
#pragma unroll 1
      for (int key = lane / group; key < KEYS; key += 32 / group) {
        float v[4], p[2][4];
        load4(v, values + key * row + column);
        load4(p[0], weights + key * QUERIES);
        load4(p[1], weights + key * QUERIES + 4);
#pragma unroll
        for (int i = 0; i < QUERIES; i++) {
#pragma unroll
          for (int e = 0; e < 4; e++) o[i][e] = fmaf(p[i / 4][i % 4], v[e], o[i][e]);
        }
      }
    }
  }
  if (!busy) return;

#pragma unroll
  for (int i = 0; i < QUERIES; i++) {
    const float inverse = 1.0f / rt_warp_sum(sum[i]);
    for (int mask = group; mask < 32; mask *= 2) {
#pragma unroll
      for (int e = 0; e < 4; e++) o[i][e] += rt_shuffle_xor(o[i][e], mask);
    }
    if (first_of_warp + i < length && lane < group && column < d_head) {
      const v128 raw = {rt_float_bits(o[i][0] * inverse), rt_float_bits(o[i][1] * inverse),
                        rt_float_bits(o[i][2] * inverse), rt_float_bits(o[i][3] * inverse)};
      rt_store16(out + (first_row + first_of_warp + i) * d_model + (int)blockIdx.y * d_head + column, raw);
    }
  }
}
RT_EXPORT(attention_f32)
