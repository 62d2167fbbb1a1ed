// Layer normalisation of each row: y = (x - mean) / sqrt(variance + eps) * weight + bias, biased variance.
//
// Grid: ceil(n_rows / 4) blocks of 128 threads, one warp per row; no shared memory. `d` is a multiple of 8; x and y may
// be one matrix.
#include "layer_norm.cuh"

template <class T>
RT_DEV void layer_norm(const T* x, const float* weight, const float* bias, T* y, int n_rows, int d, float eps) {
  int row;
  if (!row_of_warp(n_rows, row)) return;
  x += (u64)row * d;
  y += (u64)row * d;
  const auto store = [&](int, int column, const float(&v)[8]) { rt_store8(y + column, v); };
  if (d <= 256 * 5) {
    normalise<T, 5>(x, weight, bias, d, eps, store);
  } else if (d <= 256 * 10 && sizeof(T) == 2) {
    normalise<T, 10>(x, weight, bias, d, eps, store);
  } else {
    normalise<T, 0>(x, weight, bias, d, eps, store);
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
