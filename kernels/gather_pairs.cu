// The vectors and labels of a step's pairs, for all runs: row i of run r is pair orders[r][first + i], where the clock of
// the run tells `first` and the number of rows. Vectors are standardised, (x - mean) * (1 / sd), labels are divided by
// the run's scale. Rows from that number on hold vectors of zeros and labels of NaN, which nothing is learnt from.
//
// Grid: (capacity, runs) blocks of 256 threads. A table of vectors holds halves where its bit of `halves` is set: 1 the
// partner's, 2 the RNA's. `mean` and `inverse_sd` may be null.
#include "rt.cuh"

constexpr int THREADS = 256, CLOCK = 12;  // words of a run's clock
enum Clock { N_ROWS = 3, FIRST = 4 };

// Where vectors come from, how they are scaled, and where they go.
struct GatherSide {
  const void* table;                // [n, d]
  const float *mean, *inverse_sd;   // [runs, d]
  float* rows;                      // [runs, capacity, d]
  u32 d;
};

template <class T> RT_DEV void gather(const GatherSide& side, u32 entity, u32 run, u64 row, bool inside) {
  const T* from = reinterpret_cast<const T*>(side.table) + (u64)entity * side.d;
  const float *mean = side.mean + (u64)run * side.d, *inverse_sd = side.inverse_sd + (u64)run * side.d;
  float* to = side.rows + row * side.d;
#pragma unroll 4
  for (u32 column = threadIdx.x; column < side.d; column += THREADS) {
    float value = 0.f;
    if (inside) value = rt_f32(from[column]);
    if (inside && side.mean != nullptr) value = (value - mean[column]) * inverse_sd[column];
    to[column] = value;
  }
}

RT_KERNEL(256, 4) gather_pairs(const u32* clock, const u32* orders, u32 order_stride, const u32* pairs, u32 halves,
                               const void* partners, const float* partner_mean, const float* partner_inverse_sd,
                               float* partner_rows, u32 d_partner, const void* rnas, const float* rna_mean,
                               const float* rna_inverse_sd, float* rna_rows, u32 d_rna, const float* labels,
                               const float* label_scales, float* label_rows, u32 n_labels) {
  const GatherSide partner = {partners, partner_mean, partner_inverse_sd, partner_rows, d_partner};
  const GatherSide rna = {rnas, rna_mean, rna_inverse_sd, rna_rows, d_rna};
  const u32 i = blockIdx.x, run = blockIdx.y;
  const u64 row = (u64)run * gridDim.x + i;
  clock += run * CLOCK;
#ifdef PLANT_RAGGED_EDGE
  const bool inside = i <= clock[N_ROWS];
#else
  const bool inside = i < clock[N_ROWS];
#endif
  const u32 pair = inside ? orders[(u64)run * order_stride + clock[FIRST] + i] : 0;
  const u32 entities[2] = {inside ? pairs[2 * (u64)pair] : 0, inside ? pairs[2 * (u64)pair + 1] : 0};
  if (halves & 1) {
    gather<f16>(partner, entities[0], run, row, inside);
  } else {
    gather<float>(partner, entities[0], run, row, inside);
  }
  if (halves & 2) {
    gather<f16>(rna, entities[1], run, row, inside);
  } else {
    gather<float>(rna, entities[1], run, row, inside);
  }
  for (u32 label = threadIdx.x; label < n_labels; label += THREADS) {
    const float value = inside ? labels[(u64)pair * n_labels + label] / label_scales[run] : rt_bits_float(0x7fc00000u);
    label_rows[row * n_labels + label] = value;
  }
}
RT_EXPORT(gather_pairs)
