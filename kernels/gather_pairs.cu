// The pairs of a step, for all runs: row i of a run is pair orders[run][first + i], where its clock tells `first` and
// the number of rows. Vectors are standardised, (x - mean) inverse_sd, labels are divided by the run's scale. Rows from
// that number on hold vectors of zeros and labels of NaN, from which nothing is learnt.
//
// Grid: (rows of a batch, runs) blocks of 256 threads. A scale is mean [d], then inverse_sd [d]. Without labels
// n_labels is 0.
#include "rt.cuh"

constexpr int THREADS = 256, CLOCK = 12;  // words of a run's clock
enum Clock { N_ROWS = 3, FIRST = 4 };

// The vectors of one side [n, d], the runs' scales and rows, each `stride` from run to run.
struct Side {
  const float *table, *scale;
  float* rows;
  u32 scale_stride, stride, d;
};

RT_DEV void gather(const Side& side, u32 entity, bool inside) {
  const float* from = side.table + (u64)entity * side.d;
  const float* scale = side.scale + (u64)blockIdx.y * side.scale_stride;
  float* to = side.rows + (u64)blockIdx.y * side.stride + (u64)blockIdx.x * side.d;
#pragma unroll 4
  for (u32 column = threadIdx.x; column < side.d; column += THREADS) {
    to[column] = inside ? (from[column] - scale[column]) * scale[side.d + column] : 0.f;
  }
}

RT_KERNEL(THREADS, 4) gather_pairs(const u32* clock, const u32* orders, u32 order_stride, const u32* pairs,
                                   const float* partners, const float* partner_scale, u32 partner_scale_stride,
                                   float* partner_rows, u32 partner_stride, u32 d_partner, const float* rnas,
                                   const float* rna_scale, u32 rna_scale_stride, float* rna_rows, u32 rna_stride,
                                   u32 d_rna, const float* labels, const float* label_scale, u32 label_scale_stride,
                                   float* label_rows, u32 label_stride, u32 n_labels) {
  const u32 i = blockIdx.x, run = blockIdx.y;
  clock += run * CLOCK;
#ifdef PLANT_RAGGED_EDGE
  const bool inside = i <= clock[N_ROWS];
#else
  const bool inside = i < clock[N_ROWS];
#endif
  const u64 pair = inside ? orders[(u64)run * order_stride + clock[FIRST] + i] : 0;
  gather({partners, partner_scale, partner_rows, partner_scale_stride, partner_stride, d_partner},
         inside ? pairs[2 * pair] : 0, inside);
  gather({rnas, rna_scale, rna_rows, rna_scale_stride, rna_stride, d_rna}, inside ? pairs[2 * pair + 1] : 0, inside);
  for (u32 label = threadIdx.x; label < n_labels; label += THREADS) {
    const float unknown = rt_bits_float(0x7fc00000u);
    label_rows[(u64)run * label_stride + (u64)i * n_labels + label] =
        inside ? labels[pair * n_labels + label] / label_scale[(u64)run * label_scale_stride] : unknown;
  }
}
RT_EXPORT(gather_pairs)
