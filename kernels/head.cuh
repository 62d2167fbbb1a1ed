// Linear layers on the rows of a tile of pairs that lie in shared memory: what the kernels share that end in a head.
//
// A block of 256 threads holds 8, 16 or 32 pairs. Weights stream through two tiles of 128 outputs, 128 bytes of inputs
// each: 36864 bytes at the beginning of shared memory. Behind them lie matrices of activations, one row per pair, of
// row(w) = roundup(w * sizeof(T), 128) + 16 bytes. The f16 instances round activations to f16 between layers and add up
// in f32. The order of a sum depends on its width alone.
#pragma once
#include "rt.cuh"

// Weight [d_out, d_in] and bias [d_out] from these elements of the parameters; of any alignment.
struct Layer {
  u32 weight, bias, d_in, d_out;
};

constexpr int THREADS = 256, WARPS = 8;
constexpr int OUTPUTS = 128;  // of a weight tile

// Elements of T in 16 bytes; inputs of a weight tile, to which all widths are padded; distance of a weight tile's rows.
template <class T> constexpr int VECTOR = 16 / sizeof(T);
template <class T> constexpr int DEPTH = 8 * VECTOR<T>;
template <class T> constexpr int WEIGHT_STRIDE = DEPTH<T> + VECTOR<T>;

template <class T> RT_DEV int padded(int width) { return (width + DEPTH<T> - 1) / DEPTH<T> * DEPTH<T>; }
RT_DEV int larger(int a, int b) { return a > b ? a : b; }

// Activations in shared memory: one row per pair of the tile, zeros from the width to the padded width. The 16 bytes
// between rows spread the rows over the banks.
template <class T> struct Rows {
  T* data;
  int stride;
};

template <class T> RT_DEV int row_stride(int width) { return padded<T>(width) + VECTOR<T>; }

template <class T> RT_DEV void clear_tail(Rows<T> rows, int width, int n_rows) {
  const int tail = padded<T>(width) - width;
#pragma unroll 1
  for (int i = threadIdx.x; i < n_rows * DEPTH<T>; i += THREADS) {
    const int row = i / DEPTH<T>, column = i % DEPTH<T>;
    if (column < tail) rt_put(rows.data + row * rows.stride + width + column, 0.f);
  }
}

// ---- Products: a thread holds sum[b][i], which belongs to the pair and the output of place(b, i) in their tiles ----

struct Place {
  int pair, output;
};

// Tensor cores: outputs are the rows of the product, 16 to a warp, pairs its columns, 8 to a block.
RT_DEV Place place(const f16*, int block, int i) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  return {8 * block + lane % 4 * 2 + i % 2, 16 * warp + lane / 4 + i / 2 * 8};
}
template <int BLOCKS>
RT_DEV void multiply(float (&sum)[BLOCKS][4], const f16* weights, const f16* x, int stride, int n_outputs) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  if (16 * warp >= n_outputs) return;
  weights += (16 * warp + lane % 16) * WEIGHT_STRIDE<f16> + lane / 16 * 8;
  x += lane % 8 * stride + lane / 8 * 8;
#pragma unroll
  for (int k = 0; k < DEPTH<f16>; k += 32) {
    u32 a[2][4], b[4];
    rt_ldmatrix_x4(a[0], weights + k);
    rt_ldmatrix_x4(a[1], weights + k + 16);
#pragma unroll
    for (int block = 0; block < BLOCKS; block++) {
      rt_ldmatrix_x4(b, x + 8 * block * stride + k);
      rt_mma_16816(sum[block], a[0], b[0], b[1]);
      rt_mma_16816(sum[block], a[1], b[2], b[3]);
    }
  }
}

// Plain f32: a lane has every 32nd output, a warp every 8th pair. A tile's products are added up on their own first.
RT_DEV Place place(const float*, int block, int i) {
  return {8 * block + (int)threadIdx.x / 32, (int)threadIdx.x % 32 + 32 * i};
}
RT_DEV void load4(const float* p, float (&v)[4]) {
  const v128 raw = rt_load16(p);
  v[0] = rt_bits_float(raw.x);
  v[1] = rt_bits_float(raw.y);
  v[2] = rt_bits_float(raw.z);
  v[3] = rt_bits_float(raw.w);
}
template <int BLOCKS>
RT_DEV void multiply(float (&sum)[BLOCKS][4], const float* weights, const float* x, int stride, int n_outputs) {
  weights += threadIdx.x % 32 * WEIGHT_STRIDE<float>;
  x += threadIdx.x / 32 * stride;
  float part[BLOCKS][4] = {};
#pragma unroll 2
  for (int k = 0; k < DEPTH<float>; k += 4) {
    float a[BLOCKS][4];
#pragma unroll
    for (int block = 0; block < BLOCKS; block++) load4(x + 8 * block * stride + k, a[block]);
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (32 * i >= n_outputs) break;
      float w[4];
      load4(weights + 32 * i * WEIGHT_STRIDE<float> + k, w);
#pragma unroll
      for (int block = 0; block < BLOCKS; block++) {
#pragma unroll
        for (int j = 0; j < 4; j++) part[block][i] = fmaf(w[j], a[block][j], part[block][i]);
      }
    }
  }
#pragma unroll
  for (int block = 0; block < BLOCKS; block++) {
#pragma unroll
    for (int i = 0; i < 4; i++) sum[block][i] += part[block][i];
  }
}

// Copies inputs k .. k + DEPTH of `n_outputs` outputs; zeros beyond the layer. Asynchronous where rows are aligned.
template <class T>
RT_DEV void load_weights(T* tile, const T* __restrict__ parameters, Layer layer, int first_output, int k) {
  const int d_in = layer.d_in, d_out = layer.d_out;
  const int n_rows = d_out - first_output < OUTPUTS ? (d_out - first_output + 31) / 32 * 32 : OUTPUTS;
  const T* weight = parameters + layer.weight;
  if ((layer.weight | layer.d_in) % VECTOR<T> == 0) {
#pragma unroll 2
    for (int i = threadIdx.x; i < n_rows * 8; i += THREADS) {
      const int row = i / 8, column = i % 8 * VECTOR<T>;
      const bool inside = first_output + row < d_out && k + column < d_in;
      const T* from = weight + (inside ? (u64)(first_output + row) * d_in + k + column : 0);
      rt_copy_async16(tile + row * WEIGHT_STRIDE<T> + column, from, inside);
    }
  } else {
#pragma unroll 4
    for (int row = threadIdx.x / 32; row < n_rows; row += WARPS) {
      const T* from = weight + (u64)(first_output + row) * d_in + k;
#pragma unroll
      for (int i = 0; i < DEPTH<T>; i += 32) {
        const int column = i + threadIdx.x % 32;
        const bool inside = first_output + row < d_out && k + column < d_in;
        rt_put(tile + row * WEIGHT_STRIDE<T> + column, inside ? rt_f32(from[column]) : 0.f);
      }
    }
  }
}

// One linear layer: y = x W^T + b into columns `first` .. of `y`, or into `logits` (the block's own rows) if not null.
template <class T, int BLOCKS>
RT_DEV void linear(T* tiles, const T* __restrict__ parameters, Layer layer, Rows<T> x, Rows<T> y, int first,
                   bool relu, float* logits, int n_pairs) {
  const int d_in = layer.d_in, d_out = layer.d_out;
  for (int first_output = 0; first_output < d_out; first_output += OUTPUTS) {
    float sum[BLOCKS][4] = {};
    load_weights(tiles, parameters, layer, first_output, 0);
    rt_copy_commit();
    for (int k = 0, tile = 0; k < d_in; k += DEPTH<T>, tile ^= OUTPUTS * WEIGHT_STRIDE<T>) {
      const int next = k + DEPTH<T>;
      if (next < d_in) {
        load_weights(tiles + (tile ^ OUTPUTS * WEIGHT_STRIDE<T>), parameters, layer, first_output, next);
      }
      rt_copy_commit();
#ifndef PLANT_NO_WAIT
      rt_copy_wait<1>();
#endif
#ifndef PLANT_NO_BARRIER
      __syncthreads();
#endif
      multiply(sum, tiles + tile, x.data + k, x.stride, d_out - first_output);
      __syncthreads();
    }
#pragma unroll
    for (int block = 0; block < BLOCKS; block++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const Place at = place(tiles, block, i);
        const int output = first_output + at.output;
        if (output >= d_out) continue;
        float value = sum[block][i] + rt_f32(parameters[layer.bias + output]);
        if (relu && value < 0.f) value = 0.f;
        if (logits == nullptr) {
          rt_put(y.data + at.pair * y.stride + first + output, value);
        } else if (at.pair < n_pairs) {
          logits[(u64)at.pair * d_out + output] = value;
        }
      }
    }
  }
  if (logits == nullptr) clear_tail(y, first + d_out, 8 * BLOCKS);
  __syncthreads();
}
