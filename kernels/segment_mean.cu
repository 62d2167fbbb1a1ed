// Mean over the rows of each segment, in f32: means[s] = sum of x[segments[s].first .. segments[s].end] / their number.
// The mean of no row is zero.
//
// Grid: (n_segments, ceil(d / 256)) blocks of 256 threads; 8192 bytes of shared memory. `d` is a multiple of 8. The
// order of a sum depends on the segment's length alone: warp w adds up rows w, w + 8, ..., then the warps are added up.
#include "rt.cuh"

template <class T>
RT_DEV void segment_mean(const T* __restrict__ x, const u32* __restrict__ segments, float* __restrict__ means, int d) {
  RT_DYNAMIC_SHARED(float, sums);  // [8 warps, 256 columns]
  const int warp = threadIdx.x / 32, place = threadIdx.x % 32 * 8, first_column = blockIdx.y * 256;
  const u32 first = segments[2 * blockIdx.x], end = segments[2 * blockIdx.x + 1];
  float sum[8] = {};
  if (first_column + place < d) {
    for (u32 row = first + warp; row < end; row += 32) {
      float v[4][8] = {};
#pragma unroll
      for (int r = 0; r < 4; r++) {  // four loads under way at a time
        if (row + 8 * r < end) rt_load8(x + (u64)(row + 8 * r) * d + first_column + place, v[r]);
      }
#pragma unroll
      for (int r = 0; r < 4; r++) {
#pragma unroll
        for (int i = 0; i < 8; i++) sum[i] += v[r][i];
      }
    }
  }
  rt_store8(sums + warp * 256 + place, sum);
#ifndef PLANT_NO_BARRIER
  __syncthreads();
#endif
  const int column = first_column + threadIdx.x;
  if (column >= d) return;
  float total = 0.f;
#pragma unroll
  for (int w = 0; w < 8; w++) total += sums[w * 256 + threadIdx.x];
  means[(u64)blockIdx.x * d + column] = end > first ? total / (float)(end - first) : 0.f;
}

RT_KERNEL(256, 4) segment_mean_f16(const f16* x, const u32* segments, float* means, int /* n_segments */,
                                    int d) {
  segment_mean(x, segments, means, d);
}
RT_EXPORT(segment_mean_f16)

RT_KERNEL(256, 4) segment_mean_f32(const float* x, const u32* segments, float* means, int /* n_segments */,
                                    int d) {
  segment_mean(x, segments, means, d);
}
RT_EXPORT(segment_mean_f32)
