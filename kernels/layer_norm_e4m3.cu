// Layer normalisation of each row as in layer_norm.cu, put into bytes where it lies in registers:
// h = halves of (x - mean) / sqrt(variance + eps) * weight + bias, y = e4m3 of 448 h / max |h|, scale = max |h| / 448.
//
// Grid: ceil(n_rows / 4) blocks of 128 threads, one warp per row; no shared memory. `d` is a multiple of 16. x
// [n_rows, d] halves, y [n_rows, d] bytes, scales [n_rows]; h [n_rows, d] is written where it is not null. A row of zeros
// has scale 1. A number that is none takes the scale with it: the row stays one of NaN.
#include "layer_norm.cuh"
#include "hopper.cuh"

constexpr float LARGEST = 448.f;  // of e4m3

// The largest of a warp; NaN where one is.
RT_DEV float largest_of_warp(float value) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) value = rt_max(value, rt_shuffle_xor(value, mask));
  return value;
}

RT_DEV v128 packed_halves(const float (&v)[8]) {
  return {rt_pack_f16(v[0], v[1]), rt_pack_f16(v[2], v[3]), rt_pack_f16(v[4], v[5]), rt_pack_f16(v[6], v[7])};
}
RT_DEV void unpack(const v128& halves, float (&v)[8]) { rt_load8(reinterpret_cast<const f16*>(&halves), v); }

// With PIECES = 0 no piece stays in registers: the row is normalised again for its bytes.
template <int PIECES>
RT_DEV void normalise_e4m3(const f16* x, const float* weight, const float* bias, unsigned char* y, float* scale, f16* h,
                           int d, float eps) {
  v128 kept[PIECES > 0 ? PIECES : 1];
  float most = 0.f;
  normalise<f16, PIECES>(x, weight, bias, d, eps, [&](int piece, int, const float(&v)[8]) {
    const v128 halves = packed_halves(v);
    if (PIECES > 0) kept[PIECES > 0 ? piece : 0] = halves;
    float rounded[8];
    unpack(halves, rounded);
#pragma unroll
    for (int i = 0; i < 8; i++) most = rt_max(most, fabsf(rounded[i]));
  });
#ifndef PLANT_LARGEST_OF_A_LANE
  most = largest_of_warp(most);
#endif
  const float raise = most == 0.f ? 1.f : LARGEST / most;
  if (threadIdx.x % 32 == 0) *scale = most == 0.f ? 1.f : most / LARGEST;

  const auto write = [&](int column, const v128& halves) {
    float v[8];
    unpack(halves, v);
#pragma unroll
    for (int i = 0; i < 8; i++) v[i] *= raise;
    const u32 low = rt_pack_e4m3(v[0], v[1], v[2], v[3]), high = rt_pack_e4m3(v[4], v[5], v[6], v[7]);
    *reinterpret_cast<u64*>(y + column) = low | (u64)high << 32;
    if (h) rt_store16(h + column, halves);
  };
  if constexpr (PIECES == 0) {
    normalise<f16, 0>(x, weight, bias, d, eps,
                      [&](int, int column, const float(&v)[8]) { write(column, packed_halves(v)); });
  } else {
#pragma unroll
    for (int piece = 0; piece < PIECES; piece++) {
      const int column = threadIdx.x % 32 * 8 + 256 * piece;
      if (column >= d) break;
      write(column, kept[piece]);
    }
  }
}

RT_KERNEL(128, 5) layer_norm_e4m3(const f16* x, const float* weight, const float* bias, unsigned char* y, float* scales,
                                  f16* h, int n_rows, int d, float eps) {
  int row;
  if (!row_of_warp(n_rows, row)) return;
  x += (u64)row * d;
  y += (u64)row * d;
  if (h) h += (u64)row * d;
  if (d <= 256 * 5) {
    normalise_e4m3<5>(x, weight, bias, y, scales + row, h, d, eps);
  } else if (d <= 256 * 10) {
    normalise_e4m3<10>(x, weight, bias, y, scales + row, h, d, eps);
  } else {
    normalise_e4m3<0>(x, weight, bias, y, scales + row, h, d, eps);
  }
}
RT_EXPORT(layer_norm_e4m3)
