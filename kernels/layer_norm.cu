// Layer normalisation of each row: y = (x - mean) / sqrt(variance + eps) * weight + bias, biased variance.
//
// Grid: ceil(n_rows / 4) blocks of 128 threads, one warp per row; no shared memory. `d` is a multiple of 8; x and y may
// be one matrix. The order of the sums depends on `d` alone: lane l adds up elements 8l .. 8l+7 of each 256, then the
// warp its lanes.
#include "rt.cuh"

// Normalises one row. Its pieces of 256 elements stay in registers as they lie in memory; with PIECES = 0 they are read
// again for each pass.
template <class T, int PIECES>
RT_DEV void normalise(const T* x, const float* __restrict__ weight, const float* __restrict__ bias, T* y, int d,
                      float eps) {
  constexpr int WORDS = sizeof(T) / 2;
  const int first = threadIdx.x % 32 * 8;
  const int pieces = PIECES > 0 ? PIECES : (d + 255) / 256;
  v128 kept[PIECES > 0 ? PIECES : 1][WORDS];
#pragma unroll
  for (int piece = 0; piece < PIECES; piece++) {
    if (first + 256 * piece < d) {
#pragma unroll
      for (int i = 0; i < WORDS; i++) kept[piece][i] = rt_load16(x + first + 256 * piece + 8 / WORDS * i);
    }
  }
  const auto read = [&](int piece, float(&v)[8]) {
    rt_load8(PIECES > 0 ? reinterpret_cast<const T*>(kept[PIECES > 0 ? piece : 0]) : x + first + 256 * piece, v);
  };

  float sum = 0.f;
#pragma unroll
  for (int piece = 0; piece < pieces; piece++) {
    if (first + 256 * piece >= d) break;
    float v[8];
    read(piece, v);
    sum += ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
  }
  const float share = 1.f / d, mean = rt_warp_sum(sum) * share;

  // The deviations would add up to zero, were the mean exact: what is left corrects both statistics.
  float squares = 0.f, rest = 0.f;
#pragma unroll
  for (int piece = 0; piece < pieces; piece++) {
    if (first + 256 * piece >= d) break;
    float v[8];
    read(piece, v);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      v[i] -= mean;
      squares = fmaf(v[i], v[i], squares);
    }
    rest += ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
  }
  const float shift = rt_warp_sum(rest) * share;
  const float variance = rt_warp_sum(squares) * share - shift * shift;
  const float scale = 1.f / sqrtf(variance + eps);

#pragma unroll
  for (int piece = 0; piece < pieces; piece++) {
    const int column = first + 256 * piece;
    if (column >= d) break;
    float v[8], w[8], b[8];
    read(piece, v);
    rt_load8(weight + column, w);
    rt_load8(bias + column, b);
#pragma unroll
    for (int i = 0; i < 8; i++) v[i] = fmaf((v[i] - mean - shift) * scale, w[i], b[i]);
    rt_store8(y + column, v);
  }
}

template <class T>
RT_DEV void layer_norm(const T* x, const float* weight, const float* bias, T* y, int n_rows, int d, float eps) {
  const int row = blockIdx.x * 4 + threadIdx.x / 32;
#ifndef PLANT_RAGGED_EDGE
  if (row >= n_rows) return;
#endif
  x += (u64)row * d;
  y += (u64)row * d;
  if (d <= 256 * 5) {
    normalise<T, 5>(x, weight, bias, y, d, eps);
  } else if (d <= 256 * 10 && sizeof(T) == 2) {
    normalise<T, 10>(x, weight, bias, y, d, eps);
  } else {
    normalise<T, 0>(x, weight, bias, y, d, eps);
  }
}

RT_KERNEL(128, 5) layer_norm_f16(const f16* x, const float* weight, const float* bias, f16* y, int n_rows, int d,
                                 float eps) {
  layer_norm(x, weight, bias, y, n_rows, d, eps);
}
RT_EXPORT(layer_norm_f16)

RT_KERNEL(128, 6) layer_norm_f32(const float* x, const float* weight, const float* bias, float* y, int n_rows, int d,
                                 float eps) {
  layer_norm(x, weight, bias, y, n_rows, d, eps);
}
RT_EXPORT(layer_norm_f32)
