// The gate that fuses two operands, and the rows of both side by side; matrices of `rows` rows for each run.
//   gate            x = s p + (1 - s) r, s = 1 / (1 + e^-g)
//   gate_gradient   dp = s dx, dr = (1 - s) dx, dg = s (1 - s) (p - r) dx where dg is not null
//   join_rows       joined = [p | r]
//   split_rows      the reverse; adds to p and r with `accumulate`
//
// A run's numbers of an operand begin `stride` after those of the run before. Row i of its g begins i * g_row after
// them: a g_row of 0 is one row for all.
//
// Grid: (ceil(numbers of a run / 1024), runs) blocks of 256 threads.
#include "rt.cuh"

struct Gate {
  const float *g, *p, *r;
  u32 n, width;  // numbers of a run's x, and of a row
  u32 g_stride, g_row, p_stride, r_stride;
};

// What one number of x is made of.
struct Term {
  float share, p, r;
};

// The four numbers of a thread.
RT_DEV u32 number(int part) { return blockIdx.x * 1024 + part * 256 + threadIdx.x; }

RT_DEV Term term(const Gate& gate, u32 i) {
  const u64 run = blockIdx.y;
  const float g = gate.g[run * gate.g_stride + (u64)(i / gate.width) * gate.g_row + i % gate.width];
  return {1.f / (1.f + expf(-g)), gate.p[run * gate.p_stride + i], gate.r[run * gate.r_stride + i]};
}

RT_KERNEL(256, 4) gate(const float* g, const float* p, const float* r, u32 n, u32 width, u32 g_stride, u32 g_row,
                       u32 p_stride, u32 r_stride, float* x, u32 x_stride) {
  const Gate gate = {g, p, r, n, width, g_stride, g_row, p_stride, r_stride};
  const u64 run = blockIdx.y;
#pragma unroll
  for (int part = 0; part < 4; part++) {
    const u32 i = number(part);
    if (i >= gate.n) continue;
    const Term t = term(gate, i);
    x[run * x_stride + i] = t.share * t.p + (1.f - t.share) * t.r;
  }
}
RT_EXPORT(gate)

RT_KERNEL(256, 4) gate_gradient(const float* g, const float* p, const float* r, u32 n, u32 width, u32 g_stride,
                                u32 g_row, u32 p_stride, u32 r_stride, const float* dx, u32 dx_stride, float* dg,
                                u32 dg_stride, float* dp, u32 dp_stride, float* dr, u32 dr_stride) {
  const Gate gate = {g, p, r, n, width, g_stride, g_row, p_stride, r_stride};
  const u64 run = blockIdx.y;
#pragma unroll
  for (int part = 0; part < 4; part++) {
    const u32 i = number(part);
    if (i >= gate.n) continue;
    const Term t = term(gate, i);
    const float d = dx[run * dx_stride + i];
    dp[run * dp_stride + i] = t.share * d;
    dr[run * dr_stride + i] = (1.f - t.share) * d;
    if (dg != nullptr) dg[run * dg_stride + i] = t.share * (1.f - t.share) * (t.p - t.r) * d;
  }
}
RT_EXPORT(gate_gradient)

// Where a number of the joined row stands in its operand.
struct Half {
  float* place;
  bool inside;
};

RT_DEV Half half_of(float* p, float* r, u32 i, u32 n, u32 p_width, u32 r_width, u32 p_stride, u32 r_stride) {
  const u32 width = p_width + r_width, row = i / width, column = i % width;
  const u64 run = blockIdx.y;
  if (column < p_width) return {p + run * p_stride + (u64)row * p_width + column, i < n};
  return {r + run * r_stride + (u64)row * r_width + column - p_width, i < n};
}

RT_KERNEL(256, 4) join_rows(float* p, float* r, float* joined, u32 n, u32 p_width, u32 r_width, u32 p_stride,
                            u32 r_stride, u32 stride) {
#pragma unroll
  for (int part = 0; part < 4; part++) {
    const u32 i = number(part);
    const Half half = half_of(p, r, i, n, p_width, r_width, p_stride, r_stride);
    if (half.inside) joined[(u64)blockIdx.y * stride + i] = *half.place;
  }
}
RT_EXPORT(join_rows)

RT_KERNEL(256, 4) split_rows(float* p, float* r, const float* joined, u32 n, u32 p_width, u32 r_width, u32 p_stride,
                             u32 r_stride, u32 stride, u32 accumulate) {
#pragma unroll
  for (int part = 0; part < 4; part++) {
    const u32 i = number(part);
    const Half half = half_of(p, r, i, n, p_width, r_width, p_stride, r_stride);
    if (!half.inside) continue;
    const float value = joined[(u64)blockIdx.y * stride + i];
    *half.place = accumulate ? *half.place + value : value;
  }
}
RT_EXPORT(split_rows)
