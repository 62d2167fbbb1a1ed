// A trained fusion network for a list of pairs, in one kernel: projections, gate and head.
//   p = relu(Wa a + ba), r = relu(Wb b + bb), or the entity's own vector where it is not projected
//   x = s*p + (1 - s)*r with s = sigmoid(g), g one trained vector or Wg [p|r] + c; or (p + r) / 2; or [p|r]
//   logits = head(x), with relu between its layers
//
// Grid: ceil(n_pairs / tile) blocks of 256 threads; `tile` is 8, 16 or 32 pairs. The block keeps two matrices of
// activations in shared memory, one row per pair (head.cuh): `joined` holds [p|r], then x, then every second layer of
// the head; `spare` the entities' vectors, then g, then the layers between.
//   joined = max(width of p + width of r, d_out of head layers 1, 3, ... but the last)
//   spare = max(d_partner and d_rna where projected, width of p for the input-dependent gate, d_out of head layers
//           0, 2, ... but the last)
//   shared memory = 36864 + tile * (row(joined) + row(spare)) bytes.
// A pair has the same logits in any list, tile and place.
#include "head.cuh"

enum Fusion : u32 { STATIC_GATE, INPUT_GATE, CONCATENATION, AVERAGE };

struct FusionShape {
  u32 n_pairs, d_partner, d_rna;
  u32 fusion;
  u32 has_partner_projection, has_rna_projection;
  Layer partner, rna, gate;
  u32 static_gate;  // element of the parameters
  u32 n_head;       // layers of the head, the last one included: 1 to 6
  Layer head[6];
};

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
RT_DEV Layer layer_of(const FusionShape& shape, int step) {
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
    const Layer layer = layer_of(shape, step);
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
