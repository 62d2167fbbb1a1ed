// Single instructions of compute capability 9.0, as in instructions.cu: boxes of matrices, swizzled over 128 bytes, and
// products of a warpgroup, d [64, n] in f32. Blocks of 128 threads.
//
//   instruction_wgmma_n             d = a b^T, a [64, 64], b [n, 64], halves
//   instruction_wgmma_transposed_n  d = a b, b [64, n] in boxes of 64 columns, a from registers
//   instruction_wgmma_e4m3_n        d = a b^T, a [64, 128], b [n, 128], numbers of eight bits
//   instruction_bulk                the box at (x, y) of one matrix becomes that at (to_x, to_y) of another
//   instruction_multicast           each of two blocks gives both one box of 64 rows; each writes what it was given
#include "hopper.cuh"

constexpr int ROW = 128;  // bytes

template <int N> struct Memory {
  unsigned char a[64 * ROW], b[N * ROW];
  u64 full, done;
};

// Fills a and b, b in boxes of `box` rows; a null map of a leaves it out.
template <int N> RT_DEV void load(Memory<N>* memory, const TensorMap* a, const TensorMap* b, int boxes, int box_bytes) {
  if (threadIdx.x == 0) {
    rt_mbarrier_init(&memory->full, 1);
    rt_mbarrier_fence();
    rt_mbarrier_expect(&memory->full, (a ? 64 * ROW : 0) + boxes * box_bytes);
    if (a) rt_bulk_load(memory->a, a, &memory->full, 0, 0);
    for (int i = 0; i < boxes; i++) rt_bulk_load(memory->b + i * box_bytes, b, &memory->full, 64 * i, 0);
  }
  __syncthreads();
  rt_mbarrier_wait(&memory->full, 0);
}

template <int N> RT_DEV void store(const float (&sums)[N / 2], float* d) {
  const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane / 4, column = lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < N / 2; i++) d[(row + 8 * (i / 2 % 2)) * N + 8 * (i / 4) + column + i % 2] = sums[i];
}

template <int N, bool BYTES> RT_DEV void multiply(const TensorMap* a, const TensorMap* b, float* d) {
  RT_DYNAMIC_SHARED_1024(Memory<N>, memory);
  load<N>(memory, a, b, 1, N * ROW);
  const u64 left = rt_operand(memory->a, 16, 1024), right = rt_operand(memory->b, 16, 1024);
  float sums[N / 2];
  rt_hold(sums);
  rt_wgmma_fence();
#pragma unroll
  for (int step = 0; step < 4; step++) {
    const u64 at_a = rt_operand_on(left, 32 * step), at_b = rt_operand_on(right, 32 * step);
    if constexpr (BYTES) {
      rt_wgmma_e4m3(Columns<N>(), sums, at_a, at_b, step > 0);
    } else {
      rt_wgmma(Columns<N>(), sums, at_a, at_b, step > 0);
    }
  }
  rt_wgmma_commit();
  rt_wgmma_wait<0>();
  rt_hold(sums);
  store<N>(sums, d);
}

template <int N> RT_DEV void multiply_transposed(const f16* a, const TensorMap* b, float* d) {
  RT_DYNAMIC_SHARED_1024(Memory<N>, memory);
  load<N>(memory, nullptr, b, N / 64, 64 * ROW);
  const u64 right = rt_operand(memory->b, 64 * ROW, 1024);
  const int lane = threadIdx.x % 32;
  const f16* row = a + (threadIdx.x / 32 * 16 + lane / 4) * 64 + lane % 4 * 2;
  float sums[N / 2];
  u32 left[4][4];
#pragma unroll
  for (int step = 0; step < 4; step++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      left[step][i] = *reinterpret_cast<const u32*>(row + i % 2 * 8 * 64 + i / 2 * 8 + 16 * step);
    }
  }
  rt_hold(sums);
  rt_wgmma_fence();
#pragma unroll
  for (int step = 0; step < 4; step++) {
    rt_wgmma_transposed(Columns<N>(), sums, left[step], rt_operand_on(right, 16 * ROW * step), step > 0);
  }
  rt_wgmma_commit();
  rt_wgmma_wait<0>();
  rt_hold(sums);
  store<N>(sums, d);
}

#define PRODUCTS(n)                                                                                                   \
  RT_KERNEL(128, 1)                                                                                                   \
  instruction_wgmma_##n(const RT_GRID_CONSTANT TensorMap a, const RT_GRID_CONSTANT TensorMap b, float* d) {           \
    multiply<n, false>(&a, &b, d);                                                                                    \
  }                                                                                                                   \
  RT_EXPORT(instruction_wgmma_##n)                                                                                    \
  RT_KERNEL(128, 1)                                                                                                   \
  instruction_wgmma_e4m3_##n(const RT_GRID_CONSTANT TensorMap a, const RT_GRID_CONSTANT TensorMap b, float* d) {      \
    multiply<n, true>(&a, &b, d);                                                                                     \
  }                                                                                                                   \
  RT_EXPORT(instruction_wgmma_e4m3_##n)
#define PRODUCT_TRANSPOSED(n)                                                                                         \
  RT_KERNEL(128, 1)                                                                                                   \
  instruction_wgmma_transposed_##n(const f16* a, const RT_GRID_CONSTANT TensorMap b, float* d) {                      \
    multiply_transposed<n>(a, &b, d);                                                                                 \
  }                                                                                                                   \
  RT_EXPORT(instruction_wgmma_transposed_##n)

PRODUCTS(64)
PRODUCTS(128)
PRODUCTS(256)
PRODUCT_TRANSPOSED(64)
PRODUCT_TRANSPOSED(128)

RT_DEV void move_box(const TensorMap* from, const TensorMap* to, int x, int y, int to_x, int to_y) {
  RT_DYNAMIC_SHARED_1024(Memory<64>, memory);
  if (threadIdx.x == 0) {
    rt_mbarrier_init(&memory->full, 1);
    rt_mbarrier_fence();
    rt_mbarrier_expect(&memory->full, 64 * ROW);
    rt_bulk_load(memory->a, from, &memory->full, x, y);
    rt_mbarrier_wait(&memory->full, 0);
    rt_bulk_store(to, memory->a, to_x, to_y);
    rt_bulk_commit();
    rt_bulk_wait_read<0>();
  }
}

RT_KERNEL(128, 1)
instruction_bulk(const RT_GRID_CONSTANT TensorMap from, const RT_GRID_CONSTANT TensorMap to, int x, int y, int to_x,
                 int to_y) {
  move_box(&from, &to, x, y, to_x, to_y);
}
RT_EXPORT(instruction_bulk)

// Block `rank` asks for rows 64 rank on of `from` for both, and writes both boxes to rows 128 rank on of `to`.
RT_DEV void give_box(const TensorMap* from, const TensorMap* to) {
  RT_DYNAMIC_SHARED_1024(Memory<64>, memory);
  const int rank = rt_cluster_rank();
  if (threadIdx.x == 0) {
    rt_mbarrier_init(&memory->full, 1);
    rt_mbarrier_init(&memory->done, 1);
    rt_mbarrier_fence();
  }
  rt_cluster_sync();
  if (threadIdx.x != 0) return;
  rt_mbarrier_expect(&memory->full, 2 * 64 * ROW);
  rt_bulk_load_multicast(rank == 0 ? memory->a : memory->b, from, &memory->full, 0, 64 * rank, 3);
  rt_mbarrier_wait(&memory->full, 0);
  rt_bulk_store(to, memory->a, 0, 128 * rank);
  rt_bulk_store(to, memory->b, 0, 128 * rank + 64);
  rt_bulk_commit();
  rt_bulk_wait_read<0>();
  // Neither returns while the other may reach for it.
  rt_mbarrier_arrive_at(&memory->done, 1 - rank);
  rt_mbarrier_wait(&memory->done, 0);
}

RT_KERNEL_OF_CLUSTERS(128, 1, 2)
instruction_multicast(const RT_GRID_CONSTANT TensorMap from, const RT_GRID_CONSTANT TensorMap to) {
  give_box(&from, &to);
}
RT_EXPORT(instruction_multicast)
