// Token embedding: x[t] = scales[t] * table[ids[t]], the table in f32. The ids were checked on the host.
//
// Grid: ceil(n_tokens / 8) blocks of 256 threads, one warp per token; no shared memory. `d` is a multiple of 8.
#include "rt.cuh"

template <class T>
RT_DEV void embed_tokens(const u32* __restrict__ ids, const float* __restrict__ scales,
                         const float* __restrict__ table, T* __restrict__ x, int n_tokens, int d) {
  const int token = blockIdx.x * 8 + threadIdx.x / 32;
  if (token >= n_tokens) return;
  const float* row = table + (u64)ids[token] * d;
  const float scale = scales[token];
#pragma unroll 4
  for (int column = threadIdx.x % 32 * 8; column < d; column += 256) {
    float v[8];
    rt_load8(row + column, v);
#pragma unroll
    for (int i = 0; i < 8; i++) v[i] *= scale;
    rt_store8(x + (u64)token * d + column, v);
  }
}

RT_KERNEL(256, 4) embed_tokens_f16(const u32* ids, const float* scales, const float* table, f16* x, int n_tokens,
                                   int d) {
  embed_tokens(ids, scales, table, x, n_tokens, d);
}
RT_EXPORT(embed_tokens_f16)

RT_KERNEL(256, 4) embed_tokens_f32(const u32* ids, const float* scales, const float* table, float* x, int n_tokens,
                                   int d) {
  embed_tokens(ids, scales, table, x, n_tokens, d);
}
RT_EXPORT(embed_tokens_f32)
