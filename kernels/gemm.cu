// Products of stacks of matrices in f32, one for each run:
//   gemm_nt   c[m, n] = a[m, k] b[n, k]^T, a linear layer
//   gemm_nn   c[m, n] = a[m, k] b[k, n], the gradient of what it read
// Matrices of a run begin `stride` numbers after those of the run before.
//
// A block has 32 rows and COLUMNS columns of c: the suffix 64 or 32. Its four warps share k, not c: warp w adds up
// slices w, w + 4, ... of 16 terms, each in ascending order, and the four sums are added up last. So weights stream
// once, through three stages that belong to one warp alone, and the order of a sum depends on k alone.
//
//   kernel       threads   dynamic shared memory   grid
//   gemm_nt_64   128       92160 bytes             (ceil(m / 32) * ceil(n / 64), runs)
//   gemm_nt_32   128       61440 bytes             (ceil(m / 32) * ceil(n / 32), runs)
//   gemm_nn_64   128       79872 bytes             as nt
//   gemm_nn_32   128       55296 bytes             as nt
//
// Tiles of rows are neighbours in the grid: they read the same weights.
#include "rt.cuh"

constexpr int ROWS = 32, DEPTH = 16, STAGES = 3, WARPS = 4, THREADS = 32 * WARPS;
constexpr int PITCH = DEPTH + 4;  // of a slice's rows: eight successive ones lie in different banks

struct Product {
  const float *a, *b;
  float* c;
  int m, n, k;
  u32 a_stride, b_stride, c_stride;
};

// Numbers of a slice of `b` and of a stage; distance of the rows of sums.
template <bool NT, int COLUMNS> struct Tile {
  static constexpr int B = NT ? COLUMNS * PITCH : DEPTH * COLUMNS;
  static constexpr int STAGE = ROWS * PITCH + B;
  static constexpr int SUM_PITCH = COLUMNS + 8;
  static_assert(ROWS * SUM_PITCH <= STAGES * STAGE, "a warp's sums fit where its stages were");
};

// Copies columns first .. first + WIDTH of rows row .. row + HEIGHT of a matrix [rows, columns]; zeros beyond it.
template <int HEIGHT, int WIDTH, int TO_PITCH>
RT_DEV void copy_slice(float* to, const float* from, int row, int rows, int first, int columns, bool aligned) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int i = 0; i < HEIGHT * WIDTH / 128; i++) {
    const int quad = i * 32 + lane, r = quad / (WIDTH / 4), c = quad % (WIDTH / 4) * 4;
#ifdef PLANT_RAGGED_EDGE
    const bool row_inside = row + r <= rows;
#else
    const bool row_inside = row + r < rows;
#endif
    const int left = row_inside ? columns - first - c : 0;
    const float* place = from + (left > 0 ? (u64)(row + r) * columns + first + c : 0);
    float* quad_to = to + r * TO_PITCH + c;
    if (aligned) {
      rt_copy_async16(quad_to, place, left > 0);
    } else {
#pragma unroll
      for (int j = 0; j < 4; j++) quad_to[j] = j < left ? place[j] : 0.f;
    }
  }
}

// A block's corner of c.
struct Corner {
  int row, column;
};

template <bool NT, int COLUMNS>
RT_DEV void copy_stage(float* stage, const Product& product, Corner corner, int slice, int slices) {
  if (slice < slices) {
    const int first = slice * DEPTH, m = product.m, n = product.n, k = product.k;
    const bool a_aligned = rt_aligned4(product.a, product.a_stride, k);
    const bool b_aligned = rt_aligned4(product.b, product.b_stride, NT ? k : n);
    copy_slice<ROWS, DEPTH, PITCH>(stage, product.a, corner.row, m, first, k, a_aligned);
    stage += ROWS * PITCH;
    if (NT) {
      copy_slice<COLUMNS, DEPTH, PITCH>(stage, product.b, corner.column, n, first, k, b_aligned);
    } else {
      copy_slice<DEPTH, COLUMNS, COLUMNS>(stage, product.b, first, k, corner.column, n, b_aligned);
    }
  }
  rt_copy_commit();
}

// A lane has 8 rows of the tile, lane / 8 + 4 i, and COLUMNS / 8 columns.
template <bool NT> RT_DEV int column_of(int j) {
  const int lane = threadIdx.x % 32;
  return NT ? lane % 8 + 8 * j : lane % 8 * 4 + j / 4 * 32 + j % 4;
}

template <bool NT, int COLUMNS> RT_DEV void multiply(const float* stage, float (&sums)[8][COLUMNS / 8]) {
  constexpr int N = COLUMNS / 8;
  const int lane = threadIdx.x % 32;
  const float *a = stage + lane / 8 * PITCH, *b = stage + ROWS * PITCH;
#pragma unroll 1
  for (int k = 0; k < DEPTH; k += 4) {
    float terms[N][4];  // of b: [column][k] for nt, quads of columns of each k for nn
#pragma unroll
    for (int j = 0; j < N; j++) {
      rt_load4(NT ? b + column_of<NT>(j) * PITCH + k : b + (k + j % 4) * COLUMNS + lane % 8 * 4 + j / 4 * 32, terms[j]);
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
      float row[4];
      rt_load4(a + 4 * i * PITCH + k, row);
#pragma unroll
      for (int l = 0; l < 4; l++) {
#pragma unroll
        for (int j = 0; j < N; j++) {
          const float term = NT ? terms[j][l] : terms[j / 4 * 4 + l][j % 4];
          sums[i][j] = fmaf(row[l], term, sums[i][j]);
        }
      }
    }
  }
}

template <bool NT, int COLUMNS> RT_DEV void gemm(Product product) {
  using T = Tile<NT, COLUMNS>;
  constexpr int N = COLUMNS / 8;
  RT_DYNAMIC_SHARED(float, shared);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, down = (product.m + ROWS - 1) / ROWS;
  const Corner corner = {(int)blockIdx.x % down * ROWS, (int)blockIdx.x / down * COLUMNS};
  product.a += (u64)blockIdx.y * product.a_stride;
  product.b += (u64)blockIdx.y * product.b_stride;
  product.c += (u64)blockIdx.y * product.c_stride;
  float* own = shared + warp * STAGES * T::STAGE;
  const int slices = (product.k + DEPTH - 1) / DEPTH;
  float sums[8][N] = {};
#pragma unroll
  for (int i = 0; i < STAGES - 1; i++) {
    copy_stage<NT, COLUMNS>(own + i * T::STAGE, product, corner, warp + i * WARPS, slices);
  }
  int stage = 0, ahead = STAGES - 1;
  for (int slice = warp; slice < slices; slice += WARPS) {
#ifndef PLANT_NO_WAIT
    rt_copy_wait<STAGES - 2>();
#endif
    rt_sync_warp();
    copy_stage<NT, COLUMNS>(own + ahead * T::STAGE, product, corner, slice + (STAGES - 1) * WARPS, slices);
    multiply<NT, COLUMNS>(own + stage * T::STAGE, sums);
    stage = stage + 1 == STAGES ? 0 : stage + 1;
    ahead = ahead + 1 == STAGES ? 0 : ahead + 1;
  }
  rt_copy_wait<0>();
  rt_sync_warp();
#pragma unroll
  for (int i = 0; i < 8; i++) {
#pragma unroll
    for (int j = 0; j < N; j++) own[(lane / 8 + 4 * i) * T::SUM_PITCH + column_of<NT>(j)] = sums[i][j];
  }
#ifndef PLANT_NO_BARRIER
  __syncthreads();
#endif
#pragma unroll 4
  for (int i = threadIdx.x; i < ROWS * COLUMNS; i += THREADS) {
    const int row = corner.row + i / COLUMNS, column = corner.column + i % COLUMNS;
    if (row >= product.m || column >= product.n) continue;
    const float* sum = shared + i / COLUMNS * T::SUM_PITCH + i % COLUMNS;
    float value = 0.f;
#pragma unroll
    for (int w = 0; w < WARPS; w++) value += sum[w * STAGES * T::STAGE];
    product.c[(u64)row * product.n + column] = value;
  }
}

#define GEMM(name, NT, COLUMNS, BLOCKS)                                                                                \
  RT_KERNEL(THREADS, BLOCKS)                                                                                           \
  gemm_##name##_##COLUMNS(const float* a, const float* b, float* c, int m, int n, int k, u32 a_stride, u32 b_stride,   \
                          u32 c_stride) {                                                                              \
    gemm<NT, COLUMNS>({a, b, c, m, n, k, a_stride, b_stride, c_stride});                                               \
  }                                                                                                                    \
  RT_EXPORT(gemm_##name##_##COLUMNS)

GEMM(nt, true, 64, 2)
GEMM(nt, true, 32, 3)
GEMM(nn, false, 64, 2)
GEMM(nn, false, 32, 3)
