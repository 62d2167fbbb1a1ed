// ldmatrix and mma.sync.m16n8k16.
#pragma once
#include "warp.h"

namespace rt_host {

struct LoadMatrix {
  const void* row;
  u32* registers;  // 4
};
extern const Operation load_matrix;
extern const Operation load_matrix_transposed;

struct Mma16816 {
  float* c;      // 4
  const u32* a;  // 4
  u32 b[2];
};
extern const Operation mma_16816;

}  // namespace rt_host
