// Host half of rt.cuh: the device's names on the CPU, one fiber for each CUDA thread. For tests only.
#pragma once
#include <math.h>
#include "block.h"
#include "export.h"
#include "half.h"
#include "tensor_core.h"
#include "types.h"
#include "warp.h"

#define RT_DEV static inline
#define RT_DEV_MEMBER inline
#define RT_DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(rt_host::current->block->shared.data())

#define threadIdx (rt_host::current->index)
#define blockIdx (rt_host::current->block->index)
#define blockDim (rt_host::current->block->launch->block)
#define gridDim (rt_host::current->block->launch->grid)
#define __syncthreads() rt_host::current->block->sync_threads()

template <class T> RT_DEV T min(T a, T b) { return b < a ? b : a; }
template <class T> RT_DEV T max(T a, T b) { return a < b ? b : a; }

// ---- Conversions ----

RT_DEV float rt_f32(f16 h) { return rt_host::widen(h.bits); }
RT_DEV f16 rt_f16(float f) { return f16{rt_host::narrow(f)}; }
RT_DEV u32 rt_pack_f16(float low, float high) { return rt_host::narrow(low) | (u32)rt_host::narrow(high) << 16; }
RT_DEV u32 rt_pack_relu_f16(float low, float high) { return rt_pack_f16(low < 0 ? 0 : low, high < 0 ? 0 : high); }
RT_DEV u32 rt_float_bits(float f) { return rt_host::float_bits(f); }
RT_DEV float rt_bits_float(u32 bits) { return rt_host::bits_float(bits); }

// ---- Asynchronous copies ----

RT_DEV void rt_copy_async16(void* shared, const void* global, bool inside) {
  rt_host::current->copies.copy16(shared, global, inside);
}
RT_DEV void rt_copy_commit() { rt_host::current->copies.commit(); }
template <int pending> RT_DEV void rt_copy_wait() { rt_host::current->copies.wait(pending); }

// ---- Tensor cores ----

RT_DEV void rt_ldmatrix_x4(u32 (&r)[4], const void* row) {
  rt_host::LoadMatrix operands{row, r};
  rt_host::collective(rt_host::load_matrix, &operands);
}
RT_DEV void rt_ldmatrix_x4_trans(u32 (&r)[4], const void* row) {
  rt_host::LoadMatrix operands{row, r};
  rt_host::collective(rt_host::load_matrix_transposed, &operands);
}
RT_DEV void rt_mma_16816(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  rt_host::Mma16816 operands{c, a, {b0, b1}};
  rt_host::collective(rt_host::mma_16816, &operands);
}

// ---- Lanes of a warp ----

RT_DEV float rt_shuffle(float value, int lane) {
  rt_host::Shuffle operands{value, (u32)lane, 0};
  rt_host::collective(rt_host::shuffle, &operands);
  return operands.result;
}
RT_DEV float rt_shuffle_xor(float value, int mask) { return rt_shuffle(value, (int)rt_host::current->lane ^ mask); }
RT_DEV bool rt_any(bool condition) {
  rt_host::Any operands{condition, false};
  rt_host::collective(rt_host::any, &operands);
  return operands.result;
}
RT_DEV void rt_sync_warp() { rt_host::collective(rt_host::sync_warp, nullptr); }

// ---- Arithmetic ----

RT_DEV float rt_max(float a, float b) { return a != a || a > b ? a : b; }
RT_DEV u32 rt_atomic_add(u32* p, u32 more) { return __atomic_fetch_add(p, more, __ATOMIC_RELAXED); }

// ---- Short functions ----

RT_DEV float rt_exp2(float x) { return exp2f(x); }
RT_DEV float rt_reciprocal(float x) { return 1.0f / x; }
