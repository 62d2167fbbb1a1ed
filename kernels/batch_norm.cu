// Batch normalisation at inference, in place: y = (y - mean) * scale + shift, then max(y, 0) where `relu` is not 0.
// statistics: [3, width], the rows mean, scale, shift. A NaN stays NaN.
//
// Grid: ceil(ceil(n_rows / 4) * (width / 8) / 256) blocks of 256 threads, one thread per 4 rows and 8 columns; no
// shared memory. `width` is a multiple of 8, the number of threads is below 2^32.
#include "rt.cuh"

template <class T>
RT_DEV void batch_norm(T* y, const float* __restrict__ statistics, int n_rows, int width, int relu) {
  const u32 index = blockIdx.x * 256 + threadIdx.x, pieces = width / 8;
  const u32 row = index / pieces * 4, column = index % pieces * 8;
  if (row >= (u32)n_rows) return;
  float mean[8], scale[8], shift[8];
  rt_load8(statistics + column, mean);
  rt_load8(statistics + width + column, scale);
  rt_load8(statistics + 2 * width + column, shift);
  y += (u64)row * width + column;
  float v[4][8];
#pragma unroll
  for (int r = 0; r < 4; r++) {
    if (row + r < (u32)n_rows) rt_load8(y + (u64)r * width, v[r]);
  }
#pragma unroll
  for (int r = 0; r < 4; r++) {
    if (row + r >= (u32)n_rows) return;
#pragma unroll
    for (int i = 0; i < 8; i++) {
      v[r][i] = fmaf(v[r][i] - mean[i], scale[i], shift[i]);
      if (relu != 0 && v[r][i] < 0.f) v[r][i] = 0.f;
    }
    rt_store8(y + (u64)r * width, v[r]);
  }
}

RT_KERNEL(256, 3) batch_norm_f16(f16* y, const float* statistics, int n_rows, int width, int relu) {
  batch_norm(y, statistics, n_rows, width, relu);
}
RT_EXPORT(batch_norm_f16)

RT_KERNEL(256, 3) batch_norm_f32(float* y, const float* statistics, int n_rows, int width, int relu) {
  batch_norm(y, statistics, n_rows, width, relu);
}
RT_EXPORT(batch_norm_f32)
