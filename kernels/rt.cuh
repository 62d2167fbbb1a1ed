// What a kernel sees of the machine. nvcc and NVRTC see thin wrappers over PTX; g++ sees the host shim, which runs
// the same source on the CPU (tests only). No CUDA header is used, so NVRTC needs no include path.
#pragma once

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define RT_DEV static __device__ __forceinline__
#define RT_DEV_MEMBER __device__ __forceinline__
// A kernel of blocks of `threads`, of which `blocks` fit a multiprocessor.
#define RT_KERNEL(threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks)
// Follows the body of a kernel: the host shim lists it, the device has nothing to add.
#define RT_EXPORT(kernel)
// Dynamic shared memory of a block as a pointer, 128-byte aligned.
#define RT_DYNAMIC_SHARED(type, name)                                                                                  \
  extern __shared__ __align__(128) unsigned char rt_dynamic_shared[];                                                  \
  type* name = reinterpret_cast<type*>(rt_dynamic_shared)

// Half precision is a storage type: arithmetic is in f32.
struct f16 {
  u16 bits;
};
// What one load or store moves.
struct __align__(16) v128 {
  u32 x, y, z, w;
};

RT_DEV u32 rt_shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }

// ---- Conversions ----

RT_DEV float rt_f32(f16 h) {
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h.bits));
  return f;
}
RT_DEV f16 rt_f16(float f) {
  f16 h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h.bits) : "f"(f));
  return h;
}
// Two halves in one register, `low` in the low bits.
RT_DEV u32 rt_pack_f16(float low, float high) {
  u32 packed;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}
// The same of what is above 0; NaN stays NaN.
RT_DEV u32 rt_pack_relu_f16(float low, float high) {
  u32 packed;
  asm("cvt.rn.relu.f16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}
RT_DEV u32 rt_float_bits(float f) { return __float_as_uint(f); }
RT_DEV float rt_bits_float(u32 bits) { return __uint_as_float(bits); }

// ---- Asynchronous copies, 16 bytes each; zeros where `inside` is false ----

RT_DEV void rt_copy_async16(void* shared, const void* global, bool inside) {
  const int bytes = inside ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(rt_shared_address(shared)), "l"(global), "r"(bytes)
               : "memory");
}
RT_DEV void rt_copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most `pending` groups are under way.
template <int pending> RT_DEV void rt_copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory"); }

// ---- Tensor cores ----

// Four 8x8 matrices of halves; lane l gives the address of row l % 8 of matrix l / 8.
RT_DEV void rt_ldmatrix_x4(u32 (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(rt_shared_address(row))
               : "memory");
}
RT_DEV void rt_ldmatrix_x4_trans(u32 (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(rt_shared_address(row))
               : "memory");
}
// c[16x8] += a[16x16] * b[16x8], halves in, f32 sums. With g = lane / 4 and q = lane % 4: c holds (g, 2q), (g, 2q+1),
// (g+8, 2q), (g+8, 2q+1); a holds the pairs (g, 2q), (g+8, 2q), (g, 2q+8), (g+8, 2q+8); b the pairs (2q, g), (2q+8, g).
RT_DEV void rt_mma_16816(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// ---- Lanes of a warp; all 32 take part ----

RT_DEV float rt_shuffle_xor(float value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }
RT_DEV float rt_shuffle(float value, int lane) { return __shfl_sync(0xffffffffu, value, lane); }
// Whether it holds on some lane: the same answer on all.
RT_DEV bool rt_any(bool condition) { return __any_sync(0xffffffffu, condition) != 0; }
RT_DEV void rt_sync_warp() { __syncwarp(0xffffffffu); }

// ---- Arithmetic ----

// NaN where either is.
RT_DEV float rt_max(float a, float b) {
  float larger;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(larger) : "f"(a), "f"(b));
  return larger;
}
// Adds to a number that all threads see; returns what it was.
RT_DEV u32 rt_atomic_add(u32* p, u32 more) { return atomicAdd(p, more); }

// ---- Short functions of the special-function unit; relative error about 2^-22 ----

RT_DEV float rt_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
RT_DEV float rt_reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

#else
#include "host/shim.h"
#endif

// ---- Common to device and host ----

RT_DEV float rt_f32(float f) { return f; }
// Rounds to the type of the place.
RT_DEV void rt_put(f16* p, float f) { *p = rt_f16(f); }
RT_DEV void rt_put(float* p, float f) { *p = f; }

RT_DEV v128 rt_load16(const void* p) { return *reinterpret_cast<const v128*>(p); }
RT_DEV void rt_store16(void* p, v128 v) { *reinterpret_cast<v128*>(p) = v; }

// Halves of a register as f32.
RT_DEV float rt_low_f32(u32 packed) { return rt_f32(f16{(u16)(packed & 0xffffu)}); }
RT_DEV float rt_high_f32(u32 packed) { return rt_f32(f16{(u16)(packed >> 16)}); }
// Four numbers; `p` is 16-byte aligned.
RT_DEV void rt_load4(const float* p, float (&v)[4]) {
  const v128 raw = rt_load16(p);
  v[0] = rt_bits_float(raw.x);
  v[1] = rt_bits_float(raw.y);
  v[2] = rt_bits_float(raw.z);
  v[3] = rt_bits_float(raw.w);
}
RT_DEV void rt_store4(float* p, const float (&v)[4]) {
  rt_store16(p, v128{rt_float_bits(v[0]), rt_float_bits(v[1]), rt_float_bits(v[2]), rt_float_bits(v[3])});
}
// Whether the matrices of a stack, and their rows of `width` numbers, begin at whole pieces of 16 bytes.
RT_DEV bool rt_aligned4(const float* p, u32 stride, int width) { return ((u64)p % 16 | (stride | width) % 4) == 0; }

// Eight neighbours of a row as f32; `p` is 16-byte aligned.
RT_DEV void rt_load8(const f16* p, float (&v)[8]) {
  const v128 raw = rt_load16(p);
  const u32 words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    v[2 * i] = rt_low_f32(words[i]);
    v[2 * i + 1] = rt_high_f32(words[i]);
  }
}
RT_DEV void rt_load8(const float* p, float (&v)[8]) {
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const v128 raw = rt_load16(p + 4 * i);
    v[4 * i] = rt_bits_float(raw.x);
    v[4 * i + 1] = rt_bits_float(raw.y);
    v[4 * i + 2] = rt_bits_float(raw.z);
    v[4 * i + 3] = rt_bits_float(raw.w);
  }
}
RT_DEV void rt_store8(f16* p, const float (&v)[8]) {
  rt_store16(p, v128{rt_pack_f16(v[0], v[1]), rt_pack_f16(v[2], v[3]), rt_pack_f16(v[4], v[5]), rt_pack_f16(v[6], v[7])});
}
RT_DEV void rt_store8(float* p, const float (&v)[8]) {
#pragma unroll
  for (int i = 0; i < 2; i++) {
    rt_store16(p + 4 * i, v128{rt_float_bits(v[4 * i]), rt_float_bits(v[4 * i + 1]), rt_float_bits(v[4 * i + 2]),
                               rt_float_bits(v[4 * i + 3])});
  }
}

// The logistic function, within 2^-21.
RT_DEV float rt_logistic(float z) { return rt_reciprocal(1.f + rt_exp2(-1.44269504f * z)); }

// Sum and maximum over a warp: the same order on every lane.
RT_DEV float rt_warp_sum(float value) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) value += rt_shuffle_xor(value, mask);
  return value;
}
RT_DEV float rt_warp_max(float value) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) {
    const float other = rt_shuffle_xor(value, mask);
    value = other > value ? other : value;
  }
  return value;
}
