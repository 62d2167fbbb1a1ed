// Linear layers in 8 bits (e4m3) on compute capability 9.0: linear_wgmma.cuh over bytes, sums in f32.
//
// x stands for row_scales[i] times its bytes, W for column_scales[j] times its own: z = sum row_scale column_scale + bias.
// Without `row_scales` every row of x is what gelu and swiglu write: 4 y in bytes, to |y| = 112 and from there on 112.
// Store, add and rope write halves. k is a multiple of 16; so is the width of what is written in bytes.
#include "linear_wgmma.cuh"
#include "hopper.cuh"

constexpr float INNER = 4.f;

struct Bytes {
  static constexpr int SIZE = 1, FETCH_REGISTERS = 24, MULTIPLY_REGISTERS = 240;
  template <Epilogue E> static constexpr bool WRITES_BYTES = E == GELU || E == SWIGLU;
};

template <int columns, int n>
RT_DEV void multiply(Bytes, Columns<columns> of, float (&sums)[n], u64 x, u64 weight, bool accumulate) {
  rt_wgmma_e4m3(of, sums, x, weight, accumulate);
}
RT_DEV RowScales row_scales(Bytes, const Layer& layer, int row) {
  if (!layer.row_scales) return {{1.f / INNER, 1.f / INNER}};
  const int last = layer.m - 1;
#ifdef PLANT_SCALE_OF_ANOTHER_ROW
  return {{layer.row_scales[min(row, last)], layer.row_scales[min(row, last)]}};
#else
  return {{layer.row_scales[min(row, last)], layer.row_scales[min(row + 8, last)]}};
#endif
}
RT_DEV float z_of(Bytes, float sum, float row_scale, float column_scale, float bias) {
  return fmaf(sum * row_scale, column_scale, bias);
}

// Where 16 outputs of a row lie in a chunk: pieces change places, so that eight rows at once meet no bank twice.
RT_DEV int piece_place(int row, int piece) { return row * 64 + (piece ^ row / 2 % 4) * 16; }

// Puts `n` outputs from `column` on into the chunk.
RT_DEV void put_bytes(Bytes, unsigned char* chunk, int row, int column, const float (&y)[2], int n) {
  unsigned char* to = chunk + piece_place(row, column / 16) + column % 16;
  const u32 packed = rt_pack_e4m3(INNER * y[0], INNER * y[n - 1], 0.f, 0.f);
  if (n == 1) {
    *to = (unsigned char)packed;
  } else {
    *reinterpret_cast<u16*>(to) = (u16)packed;
  }
}

// Copies the 16 rows of this warp to their place in y [m, width]. Chunks are used in turn: when one is written again,
// every lane has been here for the other since it read this one.
RT_DEV void write_bytes(Bytes, const Layer& layer, const unsigned char* chunk, int first_row, int first_column, int width) {
  const int lane = threadIdx.x % 32, column = first_column + lane % 4 * 16;
#ifndef PLANT_NO_WARP_BARRIER
  rt_sync_warp();
#endif
#pragma unroll
  for (int below = 0; below < 16; below += 8) {
    const int own = threadIdx.x / 32 % 4 * 16 + lane / 4 + below, row = first_row + own;
    if (row < layer.m && column < width) {
      rt_store16((unsigned char*)layer.y + (long long)row * width + column, rt_load16(chunk + piece_place(own, lane % 4)));
    }
  }
}

#define LINEAR(name, EPILOGUE, D_HEAD, SUFFIX)                                                                        \
  KERNEL_##SUFFIX                                                                                                     \
  linear_e4m3_##name##_##SUFFIX(const RT_GRID_CONSTANT TensorMap x, const RT_GRID_CONSTANT TensorMap weight,          \
                                const RT_GRID_CONSTANT TensorMap y_map, const float* bias, void* y, int m, int n,     \
                                int k, float beta, const u32* positions, const float* cosines, const float* sines,    \
                                float q_scale, const float* row_scales, const float* column_scales) {                 \
    linear<Plan<Tile_##SUFFIX, Bytes>, EPILOGUE, D_HEAD>({&x, &weight, &y_map, bias, y, m, n, k, beta,                \
        positions, cosines, sines, q_scale, row_scales, column_scales});                                              \
  }                                                                                                                   \
  RT_EXPORT(linear_e4m3_##name##_##SUFFIX)
LINEARS()
