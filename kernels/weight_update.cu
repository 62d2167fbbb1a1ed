// Gradient of a linear layer's weights, dW = dy^T x, db = sum of dy over the rows, and at once what is done with it,
// for all runs: `weight_update_gradient` writes it, `weight_update_adam` moves weights and moments by Adam,
//   m = beta1 m + (1 - beta1) g,   v = beta2 v + (1 - beta2) g^2,   p -= rate m / (sqrt(v) root + epsilon)
// with rate and root of the run's clock; a run whose step is 0 is left alone. dy [rows, outputs], x [rows, inputs]; the
// layer is its weights [outputs, inputs], then its bias [outputs]; inputs = 0 is a bias alone.
//
// A block has 32 outputs and 128 inputs: a warp 4 outputs, a lane 4 neighbouring inputs, so that a warp's accesses are
// whole rows of 512 bytes. Weights and moments are on their way while the product is computed from shared memory, 32
// rows at a time in ascending order; each is read and written once. The blocks of the first inputs have the bias too.
//
// Grid: (ceil(outputs / 32) * max(1, ceil(inputs / 128)), runs) blocks of 256 threads; 20480 bytes of shared memory.
#include "rt.cuh"

constexpr int THREADS = 256, OUTPUTS = 32, INPUTS = 128, ROWS = 32;
constexpr int CLOCK = 12;  // words of a run's clock
enum Clock { STEP = 2, RATE = 5, ROOT = 6 };

struct Operands {
  const float *dy, *x;
  int rows, outputs, inputs;
  u32 dy_stride, x_stride;
};
// The layer: where its gradient goes, or its parameters and their moments; `stride` from run to run.
struct Layer {
  float *value, *first, *second;
  u32 stride;
};
struct Adam {
  float beta1, rest1, beta2, rest2, epsilon;
};
// Adam at a run's step.
struct Move {
  Adam adam;
  float rate, root;
};

RT_DEV void move(const Move& move, float g, float& p, float& m, float& v) {
  const Adam& adam = move.adam;
  m = adam.beta1 * m + adam.rest1 * g;
  v = adam.beta2 * v + adam.rest2 * g * g;
  p -= move.rate * m / (sqrtf(v) * move.root + adam.epsilon);
}

// Four neighbours, of which `n` are inside; 16 bytes at once where `aligned`.
template <bool ALIGNED> RT_DEV void load(const float* from, int n, float (&v)[4]) {
  if (ALIGNED) {
    if (n > 0) rt_load4(from, v);
  } else {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (i < n) v[i] = from[i];
    }
  }
}
template <bool ALIGNED> RT_DEV void store(float* to, int n, const float (&v)[4]) {
  if (ALIGNED) {
    if (n > 0) rt_store4(to, v);
  } else {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (i < n) to[i] = v[i];
    }
  }
}

// Copies rows row .. row + 32 of a matrix [rows, columns], WIDTH columns from `first` on; zeros beyond it.
template <int WIDTH>
RT_DEV void copy_rows(float* to, const float* from, int row, int rows, int first, int columns, bool aligned) {
#pragma unroll 1
  for (int i = 0; i < ROWS * WIDTH / 4 / THREADS; i++) {
    const int quad = i * THREADS + threadIdx.x, r = quad / (WIDTH / 4), c = quad % (WIDTH / 4) * 4;
#ifdef PLANT_RAGGED_EDGE
    const int left = row + r <= rows ? columns - first - c : 0;
#else
    const int left = row + r < rows ? columns - first - c : 0;
#endif
    const float* place = from + (left > 0 ? (u64)(row + r) * columns + first + c : 0);
    if (aligned) {
      rt_copy_async16(to + r * WIDTH + c, place, left > 0);
    } else {
#pragma unroll
      for (int j = 0; j < 4; j++) to[r * WIDTH + c + j] = j < left ? place[j] : 0.f;
    }
  }
}

// sums[i][j] += dy[row][output i] x[row][input j] over all rows; bias_sum likewise, of output threadIdx.x.
RT_DEV void multiply(const Operands& of, int output, int input, float (&sums)[4][4], float& bias_sum) {
  RT_DYNAMIC_SHARED(float, shared);
  float *dy = shared, *x = shared + ROWS * OUTPUTS;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const bool dy_aligned = rt_aligned4(of.dy, of.dy_stride, of.outputs);
  const bool x_aligned = rt_aligned4(of.x, of.x_stride, of.inputs);
  for (int row = 0; row < of.rows; row += ROWS) {
    if (row > 0) __syncthreads();
    copy_rows<OUTPUTS>(dy, of.dy, row, of.rows, output, of.outputs, dy_aligned);
    if (of.inputs > 0) copy_rows<INPUTS>(x, of.x, row, of.rows, input, of.inputs, x_aligned);
    rt_copy_commit();
#ifndef PLANT_NO_WAIT
    rt_copy_wait<0>();
#endif
#ifndef PLANT_NO_BARRIER
    __syncthreads();
#endif
    const int n_rows = min(ROWS, of.rows - row);
    if (input == 0 && threadIdx.x < OUTPUTS) {
      for (int r = 0; r < n_rows; r++) bias_sum += dy[r * OUTPUTS + threadIdx.x];
    }
    if (of.inputs == 0) continue;
#pragma unroll 2
    for (int r = 0; r < n_rows; r++) {
      float d[4], v[4];
      rt_load4(dy + r * OUTPUTS + 4 * warp, d);
      rt_load4(x + r * INPUTS + 4 * lane, v);
#pragma unroll
      for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) sums[i][j] = fmaf(d[i], v[j], sums[i][j]);
      }
    }
  }
}

template <bool MOVES, bool ALIGNED>
RT_DEV void update(const Operands& of, const Layer& layer, const Move& rule, int output, int input) {
  const int own_output = output + (int)threadIdx.x / 32 * 4, own_input = input + (int)threadIdx.x % 32 * 4;
  const int left = of.inputs - own_input;
  const u64 place = (u64)own_output * of.inputs + own_input;
  float sums[4][4] = {}, p[4][4], m[4][4], v[4][4], bias_sum = 0.f;
  if constexpr (MOVES) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int inside = own_output + i < of.outputs ? left : 0;
      load<ALIGNED>(layer.value + place + i * of.inputs, inside, p[i]);
      load<ALIGNED>(layer.first + place + i * of.inputs, inside, m[i]);
      load<ALIGNED>(layer.second + place + i * of.inputs, inside, v[i]);
    }
  }
  multiply(of, output, input, sums, bias_sum);
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int inside = own_output + i < of.outputs ? left : 0;
    if constexpr (MOVES) {
#pragma unroll
      for (int j = 0; j < 4; j++) move(rule, sums[i][j], p[i][j], m[i][j], v[i][j]);
      store<ALIGNED>(layer.value + place + i * of.inputs, inside, p[i]);
      store<ALIGNED>(layer.first + place + i * of.inputs, inside, m[i]);
      store<ALIGNED>(layer.second + place + i * of.inputs, inside, v[i]);
    } else {
      store<ALIGNED>(layer.value + place + i * of.inputs, inside, sums[i]);
    }
  }
  const int bias_output = output + threadIdx.x;
  if (input > 0 || threadIdx.x >= OUTPUTS || bias_output >= of.outputs) return;
  const u64 bias = (u64)of.outputs * of.inputs + bias_output;
  if constexpr (MOVES) {
    move(rule, bias_sum, layer.value[bias], layer.first[bias], layer.second[bias]);
  } else {
    layer.value[bias] = bias_sum;
  }
}

template <bool MOVES> RT_DEV void weight_update(Operands of, Layer layer, const Adam& adam, const u32* clock) {
  clock += blockIdx.y * CLOCK;
#ifndef PLANT_NO_IDLING
  if (clock[STEP] == 0) return;
#endif
  const Move rule = {adam, rt_bits_float(clock[RATE]), rt_bits_float(clock[ROOT])};
  const u64 run = blockIdx.y;
  of.dy += run * of.dy_stride;
  of.x += run * of.x_stride;
  layer.value += run * layer.stride;
  layer.first += run * layer.stride;
  layer.second += run * layer.stride;
  const int across = of.inputs > 0 ? (of.inputs + INPUTS - 1) / INPUTS : 1;
  const int output = blockIdx.x / across * OUTPUTS, input = blockIdx.x % across * INPUTS;
  if (rt_aligned4(layer.value, layer.stride, of.inputs) && ((u64)layer.first | (u64)layer.second) % 16 == 0) {
    update<MOVES, true>(of, layer, rule, output, input);
  } else {
    update<MOVES, false>(of, layer, rule, output, input);
  }
}

RT_KERNEL(THREADS, 2) weight_update_gradient(const u32* clock, const float* dy, const float* x, int rows, int outputs,
                                             int inputs, u32 dy_stride, u32 x_stride, float* gradient, u32 stride) {
  const Operands of = {dy, x, rows, outputs, inputs, dy_stride, x_stride};
  weight_update<false>(of, {gradient, gradient, gradient, stride}, Adam(), clock);
}
RT_EXPORT(weight_update_gradient)

RT_KERNEL(THREADS, 2) weight_update_adam(const u32* clock, const float* dy, const float* x, int rows, int outputs,
                                         int inputs, u32 dy_stride, u32 x_stride, float* parameters, u32 stride,
                                         float* first, float* second, float beta1, float rest1, float beta2,
                                         float rest2, float epsilon) {
  const Operands of = {dy, x, rows, outputs, inputs, dy_stride, x_stride};
  weight_update<true>(of, {parameters, first, second, stride}, {beta1, rest1, beta2, rest2, epsilon}, clock);
}
RT_EXPORT(weight_update_adam)
