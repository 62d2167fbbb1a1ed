// A trained fusion network for a list of pairs, in one kernel: projections, gate and head.
//   p = relu(Wa a + ba), r = relu(Wb b + bb), or the entity's own vector where it is not projected
//   x = s*p + (1 - s)*r with s = sigmoid(g), g one trained vector or Wg [p|r] + c; or (p + r) / 2; or [p|r]
//   logits = head(x), with relu between its layers
//
// Grid: ceil(n_pairs / tile) blocks of 256 threads; `tile` is 8, 16 or 32 pairs. The block keeps two matrices of
// activations in shared memory, one row per pair: `joined` holds [p|r], then x, then every second layer of the head;
// `spare` the entities' vectors, then g, then the layers between. With row(w) = roundup(w * sizeof(T), 128) + 16 bytes,
//   joined = max(width of p + width of r, d_out of head layers 1, 3, ... but the last)
//   spare = max(d_partner and d_rna where projected, width of p for the input-dependent gate, d_out of head layers
//           0, 2, ... but the last)
//   shared memory = 36864 + tile * (row(joined) + row(spare)) bytes.
// Weights stream through two tiles of 128 outputs, 128 bytes of inputs each. The f16 instance rounds activations to f16
// between layers and adds up in f32. The order of a sum depends on its width alone: a pair has the same logits in any
// list, tile and place.
#include "rt.cuh"

// Weight [d_out, d_in] and bias [d_out] from these elements of the parameters; of any alignment.
struct FusionLayer {
  u32 weight, bias, d_in, d_out;
};

enum Fusion : u32 { STATIC_GATE, INPUT_GATE, CONCATENATION, AVERAGE };

struct FusionShape {
  u32 n_pairs, d_partner, d_rna;
  u32 fusion;
  u32 has_partner_projection, has_rna_projection;
  FusionLayer partner, rna, gate;
  u32 static_gate;  // element of the parameters
  u32 n_head;       // layers of the head, the last one included: 1 to 6
  FusionLayer head[6];
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
RT_DEV int joined_width(const FusionShape& shape) {
  int width = (shape.has_partner_projection ? shape.partner.d_out : shape.d_partner) +
              (shape.has_rna_projection ? shape.rna.d_out : shape.d_rna);
  for (int i = 1; i + 1 < (int)shape.n_head; i += 2) width = larger(width, shape.head[i].d_out);
  return width;
}
RT_DEV int spare_width(const FusionShape& shape) {
  int width = shape.fusion == INPUT_GATE ? shape.gate.d_out : 0;
  if (shape.has_partner_projection) width = larger(width, shape.d_partner);
  if (shape.has_rna_projection) width = larger(width, shape.d_rna);
  for (int i = 0; i + 1 < (int)shape.n_head; i += 2) width = larger(width, shape.head[i].d_out);
  return width;
}

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
RT_DEV void load_weights(T* tile, const T* __restrict__ parameters, FusionLayer layer, int first_output, int k) {
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
RT_DEV void linear(T* tiles, const T* __restrict__ parameters, FusionLayer layer, Rows<T> x, Rows<T> y, int first,
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
      rt_copy_wait<1>();
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

// ---- The network ----

// Copies rows table[pairs[2 * pair]] into columns `first` .. of `y`; zeros past the list.
template <class T, int BLOCKS>
RT_DEV void gather(const T* __restrict__ table, const u32* __restrict__ pairs, int n_pairs, int d, Rows<T> y,
                   int first) {
#pragma unroll 1
  for (int pair = threadIdx.x / 32; pair < 8 * BLOCKS; pair += WARPS) {
    const bool inside = pair < n_pairs;
    const T* row = table + (inside ? (u64)pairs[2 * pair] * d : 0);
#pragma unroll 4
    for (int column = threadIdx.x % 32; column < d; column += 32) {
      rt_put(y.data + pair * y.stride + first + column, inside ? rt_f32(row[column]) : 0.f);
    }
  }
  clear_tail(y, first + d, 8 * BLOCKS);
  __syncthreads();
}

// x = s*p + (1 - s)*r over p's columns of [p|r], one warp per pair. `g` is one row for all pairs if `stride` is 0; the
// average is the gate of g = 0.
template <class T, int BLOCKS>
RT_DEV void mix(Rows<T> joined, const T* g, int stride, bool average, int width, float* gate_mean, int n_pairs) {
#pragma unroll 1
  for (int pair = threadIdx.x / 32; pair < 8 * BLOCKS; pair += WARPS) {
    T* p = joined.data + pair * joined.stride;
    float total = 0.f;
#pragma unroll 2
    for (int column = threadIdx.x % 32; column < width; column += 32) {
      const float s = average ? 0.5f : 1.f / (1.f + expf(-rt_f32(g[pair * stride + column])));
      rt_put(p + column, s * rt_f32(p[column]) + (1.f - s) * rt_f32(p[width + column]));
      total += s;
    }
    total = rt_warp_sum(total);
    if (gate_mean != nullptr && threadIdx.x % 32 == 0 && pair < n_pairs) gate_mean[pair] = total / width;
  }
  __syncthreads();
  clear_tail(joined, width, 8 * BLOCKS);
  __syncthreads();
}

// The network's layers in their order.
enum Step { PARTNER, RNA, GATE, HEAD };

RT_DEV bool has_layer(const FusionShape& shape, int step) {
  if (step == PARTNER) return shape.has_partner_projection != 0;
  if (step == RNA) return shape.has_rna_projection != 0;
  return step != GATE || shape.fusion == INPUT_GATE;
}
RT_DEV FusionLayer layer_of(const FusionShape& shape, int step) {
  if (step == PARTNER) return shape.partner;
  if (step == RNA) return shape.rna;
  return step == GATE ? shape.gate : shape.head[step - HEAD];
}

template <class T, int BLOCKS>
RT_DEV void fuse(const T* partner, const T* rna, const u32* pairs, const T* parameters, float* logits, float* gate_mean,
                 const FusionShape& shape) {
  RT_DYNAMIC_SHARED(T, tiles);
  const int p_width = shape.has_partner_projection ? shape.partner.d_out : shape.d_partner;
  const int last = HEAD + shape.n_head - 1;
  const Rows<T> joined = {tiles + 2 * OUTPUTS * WEIGHT_STRIDE<T>, row_stride<T>(joined_width(shape))};
  const Rows<T> spare = {joined.data + 8 * BLOCKS * joined.stride, row_stride<T>(spare_width(shape))};
  const u32 first = blockIdx.x * 8 * BLOCKS;
  const int n_pairs = shape.n_pairs - first < 8 * BLOCKS ? shape.n_pairs - first : 8 * BLOCKS;
  pairs += 2 * (u64)first;

#pragma unroll 1
  for (int step = PARTNER; step <= last; step++) {
    const bool layered = has_layer(shape, step);
    const int column = step == RNA ? p_width : 0;
    if (step == PARTNER || step == RNA) {
      gather<T, BLOCKS>(step == RNA ? rna : partner, pairs + step, n_pairs, step == RNA ? shape.d_rna : shape.d_partner,
                        layered ? spare : joined, layered ? 0 : column);
    }
    if (step == HEAD && shape.fusion != CONCATENATION) {
      const bool input = shape.fusion == INPUT_GATE;
      mix<T, BLOCKS>(joined, input ? spare.data : parameters + shape.static_gate, input ? spare.stride : 0,
                     shape.fusion == AVERAGE, p_width, gate_mean == nullptr ? nullptr : gate_mean + first, n_pairs);
    }
    if (!layered) continue;
    const FusionLayer layer = layer_of(shape, step);
    const bool from_spare = step < GATE || (step > HEAD && (step - HEAD) % 2 == 1);
    float* out = step == last ? logits + (u64)first * layer.d_out : nullptr;
    linear<T, BLOCKS>(tiles, parameters, layer, from_spare ? spare : joined, from_spare ? joined : spare, column,
                      step != GATE && step != last, out, n_pairs);
  }
}

template <class T>
RT_DEV void gated_fusion(const T* partner, const T* rna, const u32* pairs, const T* parameters, float* logits,
                         float* gate_mean, const FusionShape& shape, int tile) {
  if (tile == 8) {
    fuse<T, 1>(partner, rna, pairs, parameters, logits, gate_mean, shape);
  } else if (tile == 16) {
    fuse<T, 2>(partner, rna, pairs, parameters, logits, gate_mean, shape);
  } else {
    fuse<T, 4>(partner, rna, pairs, parameters, logits, gate_mean, shape);
  }
}

RT_KERNEL(256, 2) gated_fusion_f16(const f16* partner, const f16* rna, const u32* pairs, const f16* parameters,
                                   float* logits, float* gate_mean, FusionShape shape, int tile) {
  gated_fusion(partner, rna, pairs, parameters, logits, gate_mean, shape, tile);
}
RT_EXPORT(gated_fusion_f16)

RT_KERNEL(256, 2) gated_fusion_f32(const float* partner, const float* rna, const u32* pairs, const float* parameters,
                                   float* logits, float* gate_mean, FusionShape shape, int tile) {
  gated_fusion(partner, rna, pairs, parameters, logits, gate_mean, shape, tile);
}
RT_EXPORT(gated_fusion_f32)
