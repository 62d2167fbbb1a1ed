// Linear layers in half precision on compute capability 9.0: linear_wgmma.cuh over halves, sums in f32.
#include "linear_wgmma.cuh"
#include "hopper.cuh"

struct Halves {
  static constexpr int SIZE = 2, FETCH_REGISTERS = 40, MULTIPLY_REGISTERS = 232;
  template <Epilogue> static constexpr bool WRITES_BYTES = false;
};

template <int columns, int n>
RT_DEV void multiply(Halves, Columns<columns> of, float (&sums)[n], u64 x, u64 weight, bool accumulate) {
  rt_wgmma(of, sums, x, weight, accumulate);
}
RT_DEV RowScales row_scales(Halves, const Layer&, int) { return {{1.f, 1.f}}; }
RT_DEV float z_of(Halves, float sum, float, float, float bias) { return sum + bias; }

#define LINEAR(name, EPILOGUE, D_HEAD, SUFFIX)                                                                        \
  KERNEL_##SUFFIX                                                                                                     \
  linear_wgmma_##name##_##SUFFIX(const RT_GRID_CONSTANT TensorMap x, const RT_GRID_CONSTANT TensorMap weight,         \
                                 const RT_GRID_CONSTANT TensorMap y_map, const float* bias, f16* y, int m, int n,     \
                                 int k, float beta, const u32* positions, const float* cosines, const float* sines,   \
                                 float q_scale) {                                                                     \
    linear<Plan<Tile_##SUFFIX, Halves>, EPILOGUE, D_HEAD>({&x, &weight, &y_map, bias, y, m, n, k, beta,               \
        positions, cosines, sines, q_scale, nullptr, nullptr});                                                       \
  }                                                                                                                   \
  RT_EXPORT(linear_wgmma_##name##_##SUFFIX)
LINEARS()
