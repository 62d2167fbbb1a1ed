// Linear layers: z = x W^T + b, x [m, k], W [n, k], with what follows the product fused into it.
//
//   linear_{f16,f32}_store    y = z
//   linear_{f16,f32}_gelu     y = z Phi(z), Phi the normal distribution
//   linear_{f16,f32}_relu     y = max(z, 0)
//   linear_{f16,f32}_add      y = y + z
//   linear_{f16,f32}_swiglu   y = a sigmoid(beta a) g, y [m, n / 2], where columns 2j and 2j + 1 of z are a_j and g_j
//   linear_{f16,f32}_rope     n = 3 d_model, columns q | k | v: q scaled, then q and k rotated by their positions
//
// k and n are multiples of 8 (n of 16 for swiglu), d_head is a multiple of 8, m is any number. `bias` may be null. The
// suffix is the side of the square tile of outputs of a block:
//
//   suffix   threads   dynamic shared memory   grid, in one dimension
//   128      128       65536 bytes             ceil(m / 128) * ceil(n / columns)
//   64       128       65536 bytes             ceil(m / 64) * ceil(n / columns)
//
// with columns = the suffix, but for rope floor(suffix / d_head) * d_head, so that no head straddles two tiles: heads
// wider than 64 need the tile of 128, and wider than 128 they may not be.
//
// An output is one sum over k in ascending order (halves: 16 at a time on the tensor cores), whatever tile and batch.
#include "linear.cuh"

template <class T> struct Layer {
  const T *x, *weight;
  const float* bias;
  T* y;
  int m, n, k;
  float beta;
  const u32* positions;
  const float *cosines, *sines;
  int d_head;
  float q_scale;
};

// Where a block's tile begins, and how many columns it has.
struct Corner {
  int row, column, columns;
};

// ---- Operands in shared memory ----

// A stage holds CHUNKS chunks of 16 bytes of k, of SIDE rows of x and of SIDE rows of the weight.
constexpr int THREADS = 128; // of a block: four warps, a quarter of the tile each

template <int SIDE> struct Tile {
  static constexpr int CHUNKS = SIDE == 128 ? 4 : 8;
  static constexpr int STAGES = 4;
  static constexpr int OPERAND = SIDE * CHUNKS * 16;  // bytes
  static constexpr int WARP_COLUMNS = SIDE / 2;  // with half of the rows, a warp's share of halves
};

// Byte of a chunk. The order of the chunks differs between rows so that one chunk of 8 successive rows (a read by the
// tensor cores) and 8 successive chunks (a write) touch all banks once. Rows 8 apart have the same order.
template <int SIDE> RT_DEV int chunk_place(int row, int chunk) {
  constexpr int CHUNKS = Tile<SIDE>::CHUNKS;
  return (row * CHUNKS + (chunk ^ (row / (8 / CHUNKS) % CHUNKS))) * 16;
}

// What a thread has yet to copy: a chunk of k of every STRIDE-th row of both operands, stage after stage.
template <class T, int SIDE> struct Feed {
  static constexpr int CHUNKS = Tile<SIDE>::CHUNKS, STRIDE = THREADS / CHUNKS, CHUNK = 16 / sizeof(T);
  static constexpr int DEPTH = CHUNKS * CHUNK;  // elements of k in a stage
  const T *x, *weight;
  u32 x_rows, weight_rows;  // bit i: the i-th of the rows is inside of the matrix
  int rest, k;              // elements of k that are left from here on, and all
  unsigned char* to;
};

// Bits for the rows first, first + STRIDE, ... of a tile, of which `n_rows` are left in the matrix.
template <int SIDE, int STRIDE> RT_DEV u32 rows_inside(int first, int n_rows) {
#ifdef PLANT_RAGGED_EDGE
  n_rows = first + SIDE;
#endif
  u32 bits = 0;
#pragma unroll
  for (int i = 0; i < SIDE / STRIDE; i++) bits |= (u32)(first + i * STRIDE < n_rows) << i;
  return bits;
}

template <class T, int SIDE>
RT_DEV Feed<T, SIDE> feed_of(const Layer<T>& layer, const Corner& corner, unsigned char* shared) {
  using F = Feed<T, SIDE>;
  const int row = threadIdx.x / F::CHUNKS, chunk = threadIdx.x % F::CHUNKS, k = layer.k;
  const T* x = layer.x + (long long)(corner.row + row) * k + chunk * F::CHUNK;
  const T* weight = layer.weight + (long long)(corner.column + row) * k + chunk * F::CHUNK;
  const u32 x_rows = rows_inside<SIDE, F::STRIDE>(row, layer.m - corner.row);
  const u32 weight_rows = rows_inside<SIDE, F::STRIDE>(row, layer.n - corner.column);
  return {x, weight, x_rows, weight_rows, k - chunk * F::CHUNK, k, shared + chunk_place<SIDE>(row, chunk)};
}

// Zeros stand for what lies outside of the matrix.
template <class T, int SIDE> RT_DEV void copy_operand(unsigned char* to, const T* from, u32 rows, int k, bool inside) {
  constexpr int STRIDE = Feed<T, SIDE>::STRIDE;
#pragma unroll
  for (int i = 0; i < SIDE / STRIDE; i++) {
    rt_copy_async16(to + i * STRIDE * Tile<SIDE>::CHUNKS * 16, from + i * STRIDE * k, inside && rows >> i & 1);
  }
}

template <int SIDE> RT_DEV int stage_offset(int step) { return step % Tile<SIDE>::STAGES * 2 * Tile<SIDE>::OPERAND; }

template <class T, int SIDE> RT_DEV void copy_stage(Feed<T, SIDE>& feed, int step, int steps) {
  if (step < steps) {
    unsigned char* to = feed.to + stage_offset<SIDE>(step);
    copy_operand<T, SIDE>(to, feed.x, feed.x_rows, feed.k, feed.rest > 0);
    copy_operand<T, SIDE>(to + Tile<SIDE>::OPERAND, feed.weight, feed.weight_rows, feed.k, feed.rest > 0);
    feed.x += Feed<T, SIDE>::DEPTH;
    feed.weight += Feed<T, SIDE>::DEPTH;
    feed.rest -= Feed<T, SIDE>::DEPTH;
  }
  rt_copy_commit();
}

// STAGES - 1 stages are under way ahead of the product.
template <class T, int SIDE> RT_DEV void start_copies(Feed<T, SIDE>& feed, int steps) {
#pragma unroll
  for (int step = 0; step < Tile<SIDE>::STAGES - 1; step++) copy_stage(feed, step, steps);
}

// The next stage has arrived, and every thread is done with the one before the present.
template <int SIDE> RT_DEV void await_stage() {
#ifndef PLANT_NO_WAIT
  rt_copy_wait<Tile<SIDE>::STAGES - 2>();
#endif
#ifndef PLANT_NO_BARRIER
  __syncthreads();
#endif
}

// ---- Staging: a tile of f32 sums in shared memory ----

// Index of a column in a row of the staged tile. Quads of columns are moved so that what a warp has of the product, 8
// columns of 4 rows at a time, and the reads of 8 or 16 columns by each thread touch all banks once.
RT_DEV int staged(int row, int column) {
  const int quad = column / 4;
  return (quad ^ (quad / 8 % 4) ^ (row % 4 * 2)) * 4 + column % 4;
}

RT_DEV void read_quad(const void* from, float* v) {
  const v128 quad = rt_load16(from);
  v[0] = rt_bits_float(quad.x);
  v[1] = rt_bits_float(quad.y);
  v[2] = rt_bits_float(quad.z);
  v[3] = rt_bits_float(quad.w);
}

// ---- Product of halves: a warp has half of the rows of the tile and WARP_COLUMNS columns ----

template <int SIDE> RT_DEV int warp_row() {
  return threadIdx.x / 32 / (SIDE / Tile<SIDE>::WARP_COLUMNS) * (SIDE / 2);
}
template <int SIDE> RT_DEV int warp_column() {
  constexpr int COLUMNS = Tile<SIDE>::WARP_COLUMNS;
  return threadIdx.x / 32 % (SIDE / COLUMNS) * COLUMNS;
}

// Where a lane finds its row of an operand for the tensor cores: of x, blocks of 16 rows and 16 elements of k; of the
// weight, pairs of blocks of 8 rows.
template <int SIDE> RT_DEV const unsigned char* x_place(const unsigned char* stage, int step) {
  const int lane = threadIdx.x % 32;
  return stage + chunk_place<SIDE>(warp_row<SIDE>() + lane % 16, 2 * step + lane / 16);
}
template <int SIDE> RT_DEV const unsigned char* weight_place(const unsigned char* stage, int step) {
  const int lane = threadIdx.x % 32, row = warp_column<SIDE>() + lane / 16 * 8 + lane % 8;
  return stage + Tile<SIDE>::OPERAND + chunk_place<SIDE>(row, 2 * step + lane / 8 % 2);
}

template <int SIDE, int ROWS, int COLUMNS> RT_DEV void write_staged(float* to, const float (&sums)[ROWS][COLUMNS][4]) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
#pragma unroll
    for (int j = 0; j < COLUMNS; j++) {
      // Rows 8 apart have the same order of quads.
      const int row = warp_row<SIDE>() + 16 * i + lane / 4, column = warp_column<SIDE>() + 8 * j + lane % 4 * 2;
      float* pair = to + row * SIDE + staged(row, column);
      pair[0] = sums[i][j][0];
      pair[1] = sums[i][j][1];
      pair[8 * SIDE] = sums[i][j][2];
      pair[8 * SIDE + 1] = sums[i][j][3];
    }
  }
}

// The product of a tile, left in shared memory as f32. Operands are read one step of 16 ahead: those of the weight into
// registers of their own, those of x as soon as the product is done with the present ones.
template <int SIDE> RT_DEV void multiply_tile(Feed<f16, SIDE> feed, unsigned char* shared, int steps) {
  constexpr int STEPS = Tile<SIDE>::CHUNKS / 2, ROWS = SIDE / 32, COLUMNS = Tile<SIDE>::WARP_COLUMNS / 16;
  constexpr int BLOCK = 16 * Tile<SIDE>::CHUNKS * 16;  // bytes of 16 rows
  float sums[ROWS][2 * COLUMNS][4] = {};
  u32 x[ROWS][4], weight[2][COLUMNS][4];
  start_copies(feed, steps);
  await_stage<SIDE>();
#pragma unroll
  for (int j = 0; j < COLUMNS; j++) rt_ldmatrix_x4(weight[0][j], weight_place<SIDE>(shared, 0) + j * BLOCK);
#pragma unroll
  for (int i = 0; i < ROWS; i++) rt_ldmatrix_x4(x[i], x_place<SIDE>(shared, 0) + i * BLOCK);
  for (int step = 0; step < steps; step++) {
#pragma unroll
    for (int part = 0; part < STEPS; part++) {
      const bool last = part + 1 == STEPS;
      if (last) await_stage<SIDE>();
      const unsigned char* next = shared + stage_offset<SIDE>(step + last);
      const int next_part = last ? 0 : part + 1;
#pragma unroll
      for (int j = 0; j < COLUMNS; j++) {
        rt_ldmatrix_x4(weight[1 - part % 2][j], weight_place<SIDE>(next, next_part) + j * BLOCK);
      }
#pragma unroll
      for (int i = 0; i < ROWS; i++) {
#pragma unroll
        for (int j = 0; j < 2 * COLUMNS; j++) {
          const u32(&columns)[4] = weight[part % 2][j / 2];
          rt_mma_16816(sums[i][j], x[i], columns[j % 2 * 2], columns[j % 2 * 2 + 1]);
        }
        rt_ldmatrix_x4(x[i], x_place<SIDE>(next, next_part) + i * BLOCK);
      }
      if (part == 0) copy_stage(feed, step + Tile<SIDE>::STAGES - 1, steps);
    }
  }
  rt_copy_wait<0>();
  __syncthreads();
  write_staged<SIDE>(reinterpret_cast<float*>(shared), sums);
}

// ---- Product of f32: a thread has 8 columns of every ROW_STRIDE-th row ----

template <int SIDE> RT_DEV void multiply_tile(Feed<float, SIDE> feed, unsigned char* shared, int steps) {
  constexpr int CHUNKS = Tile<SIDE>::CHUNKS, COLUMN_STRIDE = SIDE / 8, ROW_STRIDE = THREADS / COLUMN_STRIDE;
  // Of 4 rows and 8 columns of threads in a warp, 8 read one row, or 8 successive rows, which lie in different banks.
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int first_row = warp / (COLUMN_STRIDE / 8) * 4 + lane / 8;
  const int first_column = warp % (COLUMN_STRIDE / 8) * 8 + lane % 8;
  float sums[SIDE / ROW_STRIDE][8] = {};
  start_copies(feed, steps);
  for (int step = 0; step < steps; step++) {
    await_stage<SIDE>();
    copy_stage(feed, step + Tile<SIDE>::STAGES - 1, steps);
    const unsigned char* stage = shared + stage_offset<SIDE>(step);
#pragma unroll 1
    for (int chunk = 0; chunk < CHUNKS; chunk++) {
      const unsigned char* x_chunk = stage + chunk_place<SIDE>(first_row, chunk);
      const unsigned char* weight_chunk = stage + Tile<SIDE>::OPERAND + chunk_place<SIDE>(first_column, chunk);
      float weight[8][4];
#pragma unroll
      for (int j = 0; j < 8; j++) read_quad(weight_chunk + j * COLUMN_STRIDE * CHUNKS * 16, weight[j]);
#pragma unroll
      for (int i = 0; i < SIDE / ROW_STRIDE; i++) {
        float x[4];
        read_quad(x_chunk + i * ROW_STRIDE * CHUNKS * 16, x);
#pragma unroll
        for (int quarter = 0; quarter < 4; quarter++) {
#pragma unroll
          for (int j = 0; j < 8; j++) sums[i][j] = fmaf(x[quarter], weight[j][quarter], sums[i][j]);
        }
      }
    }
  }
  rt_copy_wait<0>();
  __syncthreads();
#pragma unroll
  for (int i = 0; i < SIDE / ROW_STRIDE; i++) {
    const int row = first_row + i * ROW_STRIDE;
    float* row_sums = reinterpret_cast<float*>(shared) + row * SIDE;
#pragma unroll
    for (int j = 0; j < 8; j++) row_sums[staged(row, first_column + j * COLUMN_STRIDE)] = sums[i][j];
  }
}

// ---- Epilogues ----

// z Phi(z) to a few units in the last place, far into the left tail: with s = 1 / (1 + c t), erfc(t) = e^(-t^2) s P(s).
RT_DEV float gelu(float z, float*) {
  const float magnitude = fabsf(z), s = 1.f / fmaf(magnitude, 0.3275911f * 0.70710678f, 1.f);
  float p = 0.05616019f;
  p = fmaf(p, s, -0.31426244f);
  p = fmaf(p, s, 0.6204425f);
  p = fmaf(p, s, -0.550567f);
  p = fmaf(p, s, 0.49321896f);
  p = fmaf(p, s, -0.045837305f);
  p = fmaf(p, s, 0.2043108f);
  p = fmaf(p, s, 0.16600534f);
  p = fmaf(p, s, 0.18574734f);
  p = fmaf(p, s, 0.18478162f);
  // -z^2 / 2 in two parts: the rounding error of the first would be a relative error of the exponential.
  const float bounded = fminf(magnitude, 14.5f), half = -0.5f * bounded;
  const float square = half * bounded, rest = fmaf(half, bounded, -square);
  const float a = 0.5f * s * p, power = expf(square), b = fmaf(power, rest, power);
  const float phi = z < 0.f ? a * b : fmaf(-a, b, 1.f);
  return magnitude > 14.5f ? (z < 0.f ? 0.f : z) : z * phi;
}

// a sigmoid(beta a); infinities are kept out of the product with 0.
RT_DEV float swish(float a, float beta, float*) {
  const float bounded = a < -1e30f ? -1e30f : a;
  return bounded / (1.f + expf(-beta * bounded));
}

// For rope, what a thread needs of the columns half a head away from its own 8, two quads.
struct Partners {
  int quads[2], angles[2];
  bool left[2];  // whether the thread's own quad is in the left half of its head
  float bias[2][4], scale;
};

template <int WIDTH> RT_DEV void read_bias(const float* bias, int column, float (&v)[WIDTH]) {
#pragma unroll
  for (int i = 0; i < WIDTH; i += 4) {
    v[i] = v[i + 1] = v[i + 2] = v[i + 3] = 0.f;
    if (bias) read_quad(bias + column + i, v + i);
  }
}

template <class T> RT_DEV Partners partners_of(const Layer<T>& layer, int row, int local, int column) {
  const int half = layer.d_head / 2;
  Partners partners;
  partners.scale = column < layer.n / 3 ? layer.q_scale : 1.f;
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const int place = (column + 4 * i) % layer.d_head;
    const bool left = place < half;
    const int away = 4 * i + (left ? half : -half);
    read_bias(layer.bias, column + away, partners.bias[i]);
    partners.quads[i] = staged(row, local + away);
    partners.angles[i] = left ? place : place - half;
    partners.left[i] = left;
  }
  return partners;
}

// Scales 8 columns of q or k, then rotates them by their position.
template <class T>
RT_DEV void rotate(const Layer<T>& layer, const Partners& partners, const float* sums, u32 position, float (&z)[8]) {
  const long long angles = (long long)position * (layer.d_head / 2);
#pragma unroll
  for (int i = 0; i < 2; i++) {
    float partner[4], cosine[4], sine[4];
    read_quad(sums + partners.quads[i], partner);
    read_quad(layer.cosines + angles + partners.angles[i], cosine);
    read_quad(layer.sines + angles + partners.angles[i], sine);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const float other = (partner[j] + partners.bias[i][j]) * partners.scale * sine[j];
      z[4 * i + j] = fmaf(z[4 * i + j] * partners.scale, cosine[j], partners.left[i] ? -other : other);
    }
  }
}

// From z to 8 outputs; for ADD, y holds what z is added to.
template <class T, Epilogue E, int WIDTH> RT_DEV void activate(const float (&z)[WIDTH], float beta, float (&y)[8]) {
#pragma unroll
  for (int i = 0; i < 8; i++) {
    if constexpr (E == STORE || E == ROPE) y[i] = z[i];
    if constexpr (E == GELU) y[i] = gelu(z[i], (T*)nullptr);
    if constexpr (E == RELU) y[i] = z[i] < 0.f ? 0.f : z[i];
    if constexpr (E == ADD) y[i] += z[i];
    if constexpr (E == SWIGLU) y[i] = swish(z[2 * i], beta, (T*)nullptr) * z[2 * i + 1];
  }
}

// A thread has 8 outputs of every STRIDE-th row of the tile. It works without branches on a few rows at a time, so that
// their reads overlap; for rows below the matrix it repeats the last one and does not write.
template <class T, int SIDE, Epilogue E>
RT_DEV void finish_columns(const Layer<T>& layer, const Corner& corner, const float* sums, int local) {
  constexpr int WIDTH = E == SWIGLU ? 16 : 8, STRIDE = THREADS / (SIDE / WIDTH), BATCH = E == ROPE ? 2 : 4;
  constexpr int STEP = STRIDE * BATCH < SIDE ? STRIDE * BATCH : SIDE;
  const int thread_row = threadIdx.x / (SIDE / WIDTH), column = corner.column + local;
  int quads[WIDTH / 4];
  float bias[WIDTH];
#pragma unroll
  for (int i = 0; i < WIDTH / 4; i++) quads[i] = staged(thread_row, local + 4 * i);
  read_bias(layer.bias, column, bias);
  Partners partners;
  if constexpr (E == ROPE) partners = partners_of(layer, thread_row, local, column);
  const int width = E == SWIGLU ? layer.n / 2 : layer.n;
  T* to = layer.y + (E == SWIGLU ? column / 2 : column);
  for (int first = thread_row; first < SIDE && corner.row + first < layer.m; first += STEP) {
    float y[STEP / STRIDE][8];
#pragma unroll
    for (int i = 0; i < STEP / STRIDE; i++) {
      const int row = min(corner.row + first + i * STRIDE, layer.m - 1);
      const float* row_sums = sums + (first + i * STRIDE) * SIDE;
      float z[WIDTH];
#pragma unroll
      for (int j = 0; j < WIDTH / 4; j++) read_quad(row_sums + quads[j], z + 4 * j);
#pragma unroll
      for (int j = 0; j < WIDTH; j++) z[j] += bias[j];
      if constexpr (E == ADD) rt_load8(to + (long long)row * width, y[i]);
      if constexpr (E == ROPE) rotate(layer, partners, row_sums, layer.positions[row], z);
      activate<T, E>(z, layer.beta, y[i]);
    }
#pragma unroll
    for (int i = 0; i < STEP / STRIDE; i++) {
      const int row = corner.row + first + i * STRIDE;
      if (row < layer.m) rt_store8(to + (long long)row * width, y[i]);
    }
  }
}

template <class T, int SIDE, Epilogue E>
RT_DEV void finish_tile(const Layer<T>& layer, const Corner& corner, const float* sums) {
  constexpr int WIDTH = E == SWIGLU ? 16 : 8;
  const int local = threadIdx.x % (SIDE / WIDTH) * WIDTH, column = corner.column + local;
  if (local >= corner.columns || column >= layer.n) return;
  if (E == ROPE && column >= layer.n / 3 * 2) {
    finish_columns<T, SIDE, STORE>(layer, corner, sums, local);
  } else {
    finish_columns<T, SIDE, E>(layer, corner, sums, local);
  }
}

// ---- Kernels ----

template <int SIDE> RT_DEV Corner corner_of(int block, int m, int n, int columns) {
  const TilePlace tile = tile_place(block, (m + SIDE - 1) / SIDE, (n + columns - 1) / columns);
  return Corner{tile.row * SIDE, tile.column * columns, columns};
}

template <class T, int SIDE, Epilogue E> RT_DEV void linear(const Layer<T>& layer) {
  RT_DYNAMIC_SHARED(unsigned char, shared);
  const int columns = E == ROPE ? SIDE / layer.d_head * layer.d_head : SIDE;
  const Corner corner = corner_of<SIDE>(blockIdx.x, layer.m, layer.n, columns);
  const int steps = (layer.k + Feed<T, SIDE>::DEPTH - 1) / Feed<T, SIDE>::DEPTH;
  multiply_tile(feed_of<T, SIDE>(layer, corner, shared), shared, steps);
  __syncthreads();
  finish_tile<T, SIDE, E>(layer, corner, reinterpret_cast<const float*>(shared));
}

typedef float f32;

#define LINEAR(T, name, EPILOGUE, SIDE, BLOCKS)                                                                        \
  RT_KERNEL(THREADS, BLOCKS)                                                                               \
  linear_##T##_##name##_##SIDE(const T* x, const T* weight, const float* bias, T* y, int m, int n, int k, float beta,  \
                               const u32* positions, const float* cosines, const float* sines, int d_head,             \
                               float q_scale) {                                                                        \
    linear<T, SIDE, EPILOGUE>({x, weight, bias, y, m, n, k, beta, positions, cosines, sines, d_head, q_scale});        \
  }                                                                                                                    \
  RT_EXPORT(linear_##T##_##name##_##SIDE)
#define LINEARS(name, EPILOGUE)       \
  LINEAR(f16, name, EPILOGUE, 128, 2) \
  LINEAR(f16, name, EPILOGUE, 64, 3)  \
  LINEAR(f32, name, EPILOGUE, 128, 2) \
  LINEAR(f32, name, EPILOGUE, 64, 3)

LINEARS(store, STORE)
LINEARS(gelu, GELU)
LINEARS(relu, RELU)
LINEARS(add, ADD)
LINEARS(swiglu, SWIGLU)
LINEARS(rope, ROPE)
