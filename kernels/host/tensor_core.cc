#include "tensor_core.h"
#include <cstring>
#include "failure.h"
#include "half.h"
#include "launch.h"

namespace rt_host {
namespace {

// Gives lane 4g + q of each 8x8 matrix its pair of halves: (g, 2q) and (g, 2q+1), or of the transpose.
template <bool transposed> void carry_out_load(Warp& warp) {
  u16 matrix[4][8][8];
  for (u32 lane = 0; lane < warp_lanes; lane++) {
    const void* row = ((const LoadMatrix*)warp.operands[lane])->row;
    if ((uintptr_t)row % 16) {
      fail(cuda_misaligned_address, "ldmatrix: row %p of lane %u is not 16-byte aligned", row, lane);
    }
    std::memcpy(matrix[lane / 8][lane % 8], row, 16);
  }
  for (u32 lane = 0; lane < warp_lanes; lane++) {
    u32* registers = ((LoadMatrix*)warp.operands[lane])->registers;
    const u32 g = lane / 4, q = lane % 4;
    for (u32 m = 0; m < 4; m++) {
      if (transposed) {
        registers[m] = matrix[m][2 * q][g] | (u32)matrix[m][2 * q + 1][g] << 16;
      } else {
        std::memcpy(&registers[m], &matrix[m][g][2 * q], 4);
      }
    }
  }
}

typedef float Row8 __attribute__((vector_size(32)));

// Products of halves are exact in f32. Each output sums its 16 products in order of k, then joins c.
void carry_out_mma(Warp& warp) {
  alignas(32) u16 a_halves[16][16], b_halves[16][8];
  alignas(32) float a[16][16], products[16][8];
  Row8 b[16];
  for (u32 lane = 0; lane < warp_lanes; lane++) {
    const Mma16816& own = *(const Mma16816*)warp.operands[lane];
    const u32 g = lane / 4, q = lane % 4;
    std::memcpy(&a_halves[g][2 * q], &own.a[0], 4);
    std::memcpy(&a_halves[g + 8][2 * q], &own.a[1], 4);
    std::memcpy(&a_halves[g][2 * q + 8], &own.a[2], 4);
    std::memcpy(&a_halves[g + 8][2 * q + 8], &own.a[3], 4);
    for (u32 half = 0; half < 2; half++) {
      b_halves[8 * half + 2 * q][g] = (u16)own.b[half];
      b_halves[8 * half + 2 * q + 1][g] = (u16)(own.b[half] >> 16);
    }
  }
  for (u32 row = 0; row < 16; row++) {
    widen8(a_halves[row], a[row]);
    widen8(a_halves[row] + 8, a[row] + 8);
    widen8(b_halves[row], (float*)&b[row]);
  }
  for (u32 row = 0; row < 16; row++) {
    Row8 sum = a[row][0] * b[0];
    for (u32 k = 1; k < 16; k++) sum += a[row][k] * b[k];
    std::memcpy(products[row], &sum, sizeof sum);
  }
  for (u32 lane = 0; lane < warp_lanes; lane++) {
    float* c = ((Mma16816*)warp.operands[lane])->c;
    const u32 g = lane / 4, q = lane % 4;
    c[0] += products[g][2 * q];
    c[1] += products[g][2 * q + 1];
    c[2] += products[g + 8][2 * q];
    c[3] += products[g + 8][2 * q + 1];
  }
  warp.threads->block->mmas++;
}

}  // namespace

const Operation load_matrix{"rt_ldmatrix_x4", carry_out_load<false>};
const Operation load_matrix_transposed{"rt_ldmatrix_x4_trans", carry_out_load<true>};
const Operation mma_16816{"rt_mma_16816", carry_out_mma};

}  // namespace rt_host
