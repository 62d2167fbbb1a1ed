// Layer normalisation of a row by a warp: y = (x - mean) / sqrt(variance + eps) * weight + bias, biased variance.
//
// `d` is a multiple of 8. The order of the sums depends on it alone: lane l adds up elements 8l .. 8l+7 of each 256, then
// the warp its lanes.
#pragma once
#include "rt.cuh"

// Normalises one row, and hands 8 elements at a time to `take`: of which piece, from which column on. Its pieces of 256
// elements stay in registers as they lie in memory; with PIECES = 0 they are read again for each pass.
template <class T, int PIECES, class Take>
RT_DEV void normalise(const T* x, const float* __restrict__ weight, const float* __restrict__ bias, int d, float eps,
                      const Take& take) {
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
    take(piece, column, v);
  }
}

// The row of this warp, of blocks of 128 threads; none behind the last.
RT_DEV bool row_of_warp(int n_rows, int& row) {
  row = blockIdx.x * 4 + threadIdx.x / 32;
#ifdef PLANT_RAGGED_EDGE
  return true;
#else
  return row < n_rows;
#endif
}
