// Single instructions of the tensor cores, a warp each, so that a device shows at once whether their operands lie as the
// kernels take them to lie. a [16, 16], d [16, 8].
//
//   instruction_mma             d = a b^T, b [8, 16]
//   instruction_mma_transposed  d = a b, b [16, 8], turned as it is read
#include "rt.cuh"

// Both matrices side by side in shared memory, 512 bytes of a and 256 of b.
RT_DEV const f16* load(const f16* a, const f16* b) {
  RT_DYNAMIC_SHARED(f16, kept);
  for (int i = threadIdx.x; i < 48; i += 32) rt_copy_async16(kept + 8 * i, i < 32 ? a + 8 * i : b + 8 * (i - 32), true);
  rt_copy_commit();
  rt_copy_wait<0>();
  rt_sync_warp();
  return kept;
}

RT_DEV void multiply(const f16* kept, const u32 (&b)[4], float* d) {
  const int lane = threadIdx.x;
  u32 a[4];
  float c[4] = {0, 0, 0, 0};
  rt_ldmatrix_x4(a, kept + 16 * (lane % 16) + 8 * (lane / 16));
  rt_mma_16816(c, a, b[0], b[1]);
  for (int i = 0; i < 4; i++) d[8 * (lane / 4 + 8 * (i / 2)) + 2 * (lane % 4) + i % 2] = c[i];
}

RT_KERNEL(32, 1) instruction_mma(const f16* a, const f16* b, float* d) {
  const f16* kept = load(a, b);
  u32 fragment[4];
  rt_ldmatrix_x4(fragment, kept + 256 + 16 * (threadIdx.x % 8) + 8 * (threadIdx.x / 8 % 2));
  multiply(kept, fragment, d);
}
RT_EXPORT(instruction_mma)

RT_KERNEL(32, 1) instruction_mma_transposed(const f16* a, const f16* b, float* d) {
  const f16* kept = load(a, b);
  u32 fragment[4];
  rt_ldmatrix_x4_trans(fragment, kept + 256 + 8 * (threadIdx.x % 16));
  multiply(kept, fragment, d);
}
RT_EXPORT(instruction_mma_transposed)
