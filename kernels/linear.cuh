// What the kernels of linear layers share: the functions that may follow a product, and the order of tiles.
#pragma once
#include "rt.cuh"

enum Epilogue { STORE, GELU, RELU, ADD, SWIGLU, ROPE };

// z Phi(z), to be rounded to a half: Phi(-|z|) = 2^P(|z|) within 2e-7, P a fit on 0 .. 6 that goes on falling.
RT_DEV float gelu(float z, f16*) {
  const float t = fminf(fabsf(z), 16.f);
  float p = -5.9078358e-7f;
  p = fmaf(p, t, 9.8507284e-6f);
  p = fmaf(p, t, -3.1007118e-5f);
  p = fmaf(p, t, -5.5372926e-4f);
  p = fmaf(p, t, 7.6708029e-3f);
  p = fmaf(p, t, -5.2965624e-2f);
  p = fmaf(p, t, -0.45903470f);
  p = fmaf(p, t, -1.1511289f);
  p = fmaf(p, t, -0.99999948f);
  // z or 0, less what the tail takes away; a NaN is not below 0.
  return fmaf(-t, rt_exp2(p), z < 0.f ? 0.f : z);
}

// a sigmoid(beta a), to be rounded to a half; infinities are kept out of the product with 0.
RT_DEV float swish(float a, float beta, f16*) {
  const float bounded = a < -1e30f ? -1e30f : a;
  return bounded * rt_reciprocal(1.f + rt_exp2(bounded * beta * -1.4426950f));
}

// The place of a tile in the matrix of tiles: blocks go down 8 tiles of rows, then on to the next columns, so that those
// which run together share rows and weights.
struct TilePlace {
  int row, column;
};
RT_DEV TilePlace tile_place(int tile, int n_rows, int n_columns) {
  constexpr int GROUP = 8;
  const int group = tile / (GROUP * n_columns), place = tile - group * GROUP * n_columns;
  const int down = min(GROUP, n_rows - group * GROUP);
  return {group * GROUP + place % down, place / down};
}
