// Small kernels, right and wrong, that show what the host shim detects.
#include "rt.cuh"

// y = x reversed within a block, through shared memory.
template <bool with_barrier> RT_DEV void reverse_body(const float* x, float* y) {
  RT_DYNAMIC_SHARED(float, kept);
  const u32 t = threadIdx.x, n = blockDim.x;
  kept[t] = x[t];
  if (with_barrier) __syncthreads();
  y[t] = kept[n - 1 - t];
}
RT_KERNEL(256, 1) reverse(const float* x, float* y) { reverse_body<true>(x, y); }
RT_EXPORT(reverse)
RT_KERNEL(256, 1) reverse_without_barrier(const float* x, float* y) { reverse_body<false>(x, y); }
RT_EXPORT(reverse_without_barrier)

// y = x through an asynchronous copy of four floats for each thread.
template <bool with_wait> RT_DEV void copy_body(const float* x, float* y) {
  RT_DYNAMIC_SHARED(float, kept);
  const u32 t = threadIdx.x;
  rt_copy_async16(kept + 4 * t, x + 4 * t, true);
  rt_copy_commit();
  if (with_wait) rt_copy_wait<0>();
  rt_store16(y + 4 * t, rt_load16(kept + 4 * t));
}
RT_KERNEL(64, 1) copy(const float* x, float* y) { copy_body<true>(x, y); }
RT_EXPORT(copy)
RT_KERNEL(64, 1) copy_without_wait(const float* x, float* y) { copy_body<false>(x, y); }
RT_EXPORT(copy_without_wait)

RT_KERNEL(256, 1) copy_misaligned(const float* x, float* y) {
  RT_DYNAMIC_SHARED(float, kept);
  rt_copy_async16(kept, x + 1, true);
  y[threadIdx.x] = 0;
}
RT_EXPORT(copy_misaligned)

RT_KERNEL(256, 1) load_misaligned(const float* x, float* y) { rt_store16(y, rt_load16(x + 1 + threadIdx.x)); }
RT_EXPORT(load_misaligned)

RT_KERNEL(256, 1) divergent(const float* x, float* y) {
  const u32 t = threadIdx.x;
  if (t % 32 < 16) {
    y[t] = rt_shuffle_xor(x[t], 1);
  } else {
    rt_sync_warp();
  }
}
RT_EXPORT(divergent)

RT_KERNEL(256, 1) deadlocked(const float* x, float* y) {
  const u32 t = threadIdx.x;
  if (t % 32 < 16) {
    y[t] = rt_shuffle_xor(x[t], 1);
  } else {
    __syncthreads();
  }
}
RT_EXPORT(deadlocked)

// Only the first half of the threads meets at the barrier; the others have returned.
RT_KERNEL(256, 1) half_returns(const float* x, float* y) {
  RT_DYNAMIC_SHARED(float, kept);
  const u32 t = threadIdx.x, n = blockDim.x / 2;
  if (t >= n) return;
  kept[t] = x[t];
  __syncthreads();
  y[t] = kept[n - 1 - t];
}
RT_EXPORT(half_returns)

RT_KERNEL(256, 1) shuffle_of_half(const float* x, float* y) {
  const u32 t = threadIdx.x;
  if (t % 32 >= 16) return;
  y[t] = rt_shuffle_xor(x[t], 1);
}
RT_EXPORT(shuffle_of_half)

// Writes one float at `at`, a place counted from the start of shared memory.
RT_KERNEL(256, 1) write_shared(const float* x, int at) {
  RT_DYNAMIC_SHARED(float, kept);
  if (threadIdx.x == 0) kept[at] = x[0];
}
RT_EXPORT(write_shared)

RT_KERNEL(256, 1) write_global(float* y, int at) {
  if (threadIdx.x == 0) y[at] = 1;
}
RT_EXPORT(write_global)

RT_KERNEL(256, 1) read_fresh_shared(const float*, float* y) {
  RT_DYNAMIC_SHARED(float, kept);
  y[threadIdx.x] = kept[threadIdx.x];
}
RT_EXPORT(read_fresh_shared)

RT_DEV float deep(int depth, float x) {
  volatile float room[256];
  room[depth % 256] = x;
  return depth == 0 ? room[0] : deep(depth - 1, room[depth % 256]) + room[depth % 256];
}
RT_KERNEL(256, 1) overflow_stack(const float* x, float* y) { y[threadIdx.x] = deep(1000, x[0]); }
RT_EXPORT(overflow_stack)

struct Scale {
  float factor[3];
  int n;
};
RT_KERNEL(256, 1) scale_by_struct(const float* x, float* y, Scale scale) {
  const u32 t = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * blockIdx.x);
  if (t < (u32)scale.n) y[t] = x[t] * scale.factor[1];
}
RT_EXPORT(scale_by_struct)

// d[16,8] = a[16,16] * b[8,16]^T by way of shared memory, ldmatrix and mma.
RT_KERNEL(32, 1) small_product(const f16* a, const f16* b, float* d) {
  RT_DYNAMIC_SHARED(f16, kept);
  const u32 lane = threadIdx.x, g = lane / 4, q = lane % 4;
  for (u32 i = lane; i < 48; i += 32) {
    rt_copy_async16(kept + 8 * i, i < 32 ? a + 8 * i : b + 8 * (i - 32), true);
  }
  rt_copy_commit();
  rt_copy_wait<0>();
  rt_sync_warp();
  u32 fragment_a[4], fragment_b[4];
  float c[4] = {0, 0, 0, 0};
  rt_ldmatrix_x4(fragment_a, kept + 16 * (lane % 16) + 8 * (lane / 16));
  rt_ldmatrix_x4(fragment_b, kept + 256 + 16 * (lane % 8) + 8 * (lane / 8 % 2));
  rt_mma_16816(c, fragment_a, fragment_b[0], fragment_b[1]);
  for (u32 i = 0; i < 4; i++) d[8 * (g + 8 * (i / 2)) + 2 * q + i % 2] = c[i];
}
RT_EXPORT(small_product)

// Each thread of the grid takes a number of its own; what rt_max makes of one NaN, and the packed relu of two, is NaN.
RT_KERNEL(32, 1) take_numbers(u32* taken, float* y) {
  const float number = (float)rt_atomic_add(taken, 1), nan = rt_bits_float(0x7fc00000u);
  const u32 halves = rt_pack_relu_f16(-number, nan);
  const bool right = rt_max(nan, number) != rt_max(nan, number) && rt_max(number, nan) != rt_max(number, nan) &&
                     rt_low_f32(halves) == 0 && rt_high_f32(halves) != rt_high_f32(halves);
  y[(u32)rt_max(number, -1.f)] = right ? number : -1.f;
}
RT_EXPORT(take_numbers)
