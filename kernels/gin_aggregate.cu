// Sum over the neighbours of each node of a graph (GIN with bond embeddings):
// y[i] = h[i] + kind_table[self_loop] + sum over the edges e = offsets[i] .. offsets[i + 1], in their order, of
// (h[sources[e]] + kind_table[kinds[e]]).
//
// Grid: ceil(n_nodes * (width / 8) / 256) blocks of 256 threads, one thread per node and 8 columns; no shared memory.
// `width` is a multiple of 8, the number of threads is below 2^32.
#include "rt.cuh"

template <class T>
RT_DEV void gin_aggregate(const u32* __restrict__ offsets, const u32* __restrict__ sources,
                          const u32* __restrict__ kinds, int self_loop, const T* __restrict__ h,
                          const float* __restrict__ kind_table, T* __restrict__ y, int n_nodes, int width) {
  const u32 index = blockIdx.x * 256 + threadIdx.x, pieces = width / 8;
  const u32 node = index / pieces, column = index % pieces * 8;
  if (node >= (u32)n_nodes) return;
  float sum[8];
  const auto add = [&](u32 source, u32 kind, bool is_first) {
    float message[8], bond[8];
    rt_load8(h + (u64)source * width + column, message);
    rt_load8(kind_table + (u64)kind * width + column, bond);
#pragma unroll
    for (int i = 0; i < 8; i++) sum[i] = is_first ? message[i] + bond[i] : sum[i] + (message[i] + bond[i]);
  };
  add(node, self_loop, true);
  const u32 end = offsets[node + 1];
#pragma unroll 2
  for (u32 edge = offsets[node]; edge < end; edge++) add(sources[edge], kinds[edge], false);
  rt_store8(y + (u64)node * width + column, sum);
}

RT_KERNEL(256, 4) gin_aggregate_f16(const u32* offsets, const u32* sources, const u32* kinds, int self_loop,
                                    const f16* h, const float* kind_table, f16* y, int n_nodes, int width) {
  gin_aggregate(offsets, sources, kinds, self_loop, h, kind_table, y, n_nodes, width);
}
RT_EXPORT(gin_aggregate_f16)

RT_KERNEL(256, 4) gin_aggregate_f32(const u32* offsets, const u32* sources, const u32* kinds, int self_loop,
                                    const float* h, const float* kind_table, float* y, int n_nodes, int width) {
  gin_aggregate(offsets, sources, kinds, self_loop, h, kind_table, y, n_nodes, width);
}
RT_EXPORT(gin_aggregate_f32)
