// What a kernel sees of a device of compute capability 9.0 beside rt.cuh: a unit that copies boxes of matrices, barriers
// that count bytes, clusters of blocks, products of warpgroups. Kernels that include it are compiled for that architecture
// alone.
#pragma once
#include "rt.cuh"

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

#include "wgmma.cuh"

#define RT_GRID_CONSTANT __grid_constant__
// Dynamic shared memory for operands that are swizzled over 128 bytes: their pattern repeats every 1024.
#define RT_DYNAMIC_SHARED_1024(type, name)                                                                             \
  extern __shared__ __align__(1024) unsigned char rt_dynamic_shared_1024[];                                            \
  type* name = reinterpret_cast<type*>(rt_dynamic_shared_1024)

// A matrix in device memory and the boxes it is copied in; made by the driver.
struct __align__(64) TensorMap {
  u64 opaque[16];
};

// ---- Barriers that count arrivals and bytes ----

RT_DEV void rt_mbarrier_init(u64* barrier, u32 arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(rt_shared_address(barrier)), "r"(arrivals) : "memory");
}
// What was initialised is seen by the unit that copies.
RT_DEV void rt_mbarrier_fence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
RT_DEV void rt_mbarrier_arrive(u64* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(rt_shared_address(barrier)) : "memory");
}
// Arrives, and the phase does not end before `bytes` more have come.
RT_DEV void rt_mbarrier_expect(u64* barrier, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(rt_shared_address(barrier)), "r"(bytes)
               : "memory");
}
// Arrives at the barrier that lies at the same place in another block of the cluster, or in this one. It says that what this
// thread asked to be read was read: of what it wrote, the other block sees nothing by it.
RT_DEV void rt_mbarrier_arrive_at(u64* barrier, u32 rank) {
  asm volatile(
      "{ .reg .b32 there; mapa.shared::cluster.u32 there, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [there]; }" ::"r"(rt_shared_address(barrier)),
      "r"(rank)
      : "memory");
}
// Waits for the end of the phase of this parity: 0 of the first, 1 of the next. Of a fresh barrier, 1 is over.
RT_DEV void rt_mbarrier_wait(u64* barrier, u32 parity) {
  u32 over;
  do {
    asm volatile(
        "{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
        : "=r"(over)
        : "r"(rt_shared_address(barrier)), "r"(parity)
        : "memory");
  } while (!over);
}

// ---- Boxes: one thread asks, the unit copies ----

RT_DEV void rt_bulk_load(void* shared, const TensorMap* map, u64* barrier, int x, int y) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(
          rt_shared_address(shared)),
      "l"(map), "r"(rt_shared_address(barrier)), "r"(x), "r"(y)
      : "memory");
}
// To the same place in every block of the cluster whose bit is set, counted at the same barrier there.
RT_DEV void rt_bulk_load_multicast(void* shared, const TensorMap* map, u64* barrier, int x, int y, u32 ranks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster"
      " [%0], [%1, {%3, %4}], [%2], %5;" ::"r"(rt_shared_address(shared)),
      "l"(map), "r"(rt_shared_address(barrier)), "r"(x), "r"(y), "h"((u16)ranks)
      : "memory");
}
RT_DEV void rt_bulk_store(const TensorMap* map, const void* shared, int x, int y) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%2, %3}], [%1];" ::"l"(map),
               "r"(rt_shared_address(shared)), "r"(x), "r"(y)
               : "memory");
}
RT_DEV void rt_bulk_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
// Waits until at most `pending` groups of stores have yet to read shared memory.
template <int pending> RT_DEV void rt_bulk_wait_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(pending) : "memory");
}
RT_DEV void rt_prefetch(const TensorMap* map) { asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory"); }
// What this thread stored in these bytes is seen by the units that copy and multiply on their own.
RT_DEV void rt_fence_async(const void*, u32) { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// ---- Clusters: blocks, neighbours along x, that run together and reach each other's shared memory ----

#define RT_KERNEL_OF_CLUSTERS(threads, blocks, cluster)                                                                \
  extern "C" __global__ void __cluster_dims__(cluster, 1, 1) __launch_bounds__(threads, blocks)

// The number of this block in its cluster; read where it is used, since to keep it costs a register.
RT_DEV u32 rt_cluster_rank() {
  u32 rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
// Waits for every thread of the cluster: before another block is reached for, and before one returns that may be. Of what
// was written only barriers behind rt_mbarrier_fence are seen by it.
RT_DEV void rt_cluster_sync() {
  asm volatile("barrier.cluster.arrive.relaxed; barrier.cluster.wait.acquire;" ::: "memory");
}

// ---- Warpgroups ----

// Barrier `id` (1 to 15) of `threads` threads, with and without waiting.
RT_DEV void rt_barrier(int id, int threads) { asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory"); }
RT_DEV void rt_barrier_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
// Registers of each thread of a warpgroup from here on, fewer or more than before.
template <int n> RT_DEV void rt_fewer_registers() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(n)); }
template <int n> RT_DEV void rt_more_registers() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(n)); }
// A number that is the same on all lanes, known to be so.
RT_DEV int rt_uniform(int value) { return __shfl_sync(0xffffffffu, value, 0); }

RT_DEV void rt_wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
RT_DEV void rt_wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Waits until at most `pending` groups of products are under way.
template <int pending> RT_DEV void rt_wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}
// Products are under way to these registers: the compiler moves no use of them over this line.
template <int n> RT_DEV void rt_hold(float (&sums)[n]) {
#pragma unroll
  for (int i = 0; i < n; i++) asm volatile("" : "+f"(sums[i])::"memory");
}

// ---- Numbers of eight bits (e4m3), four in a register ----

RT_DEV u32 rt_pack_e4m3(float a, float b, float c, float d) {
  u16 low, high;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(low) : "f"(b), "f"(a));
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(high) : "f"(d), "f"(c));
  return low | (u32)high << 16;
}

#else
#include "host/shim_hopper.h"
#endif

// ---- Common to device and host ----

// Where an operand lies that is swizzled over 128 bytes, beginning at a multiple of 1024 and so many bytes on along k.
// With k along its rows of 128 bytes: `leading` is not used, `stride` is from 8 rows to the next 8. Transposed: `leading`
// from 64 columns of the sums to the next, `stride` from 8 of k to the next.
RT_DEV u64 rt_operand(const void* start, u32 leading, u32 stride) {
  return (u64)(rt_shared_address(start) >> 4) | (u64)(leading >> 4) << 16 | (u64)(stride >> 4) << 32 | 1ull << 62;
}
// Byte of a piece of 16 in rows of 128 bytes that are swizzled so, for threads that read or write them.
RT_DEV int rt_swizzled_place(int row, int piece) { return row * 128 + (piece ^ row % 8) * 16; }
RT_DEV u64 rt_operand_on(u64 operand, u32 bytes) { return operand + (bytes >> 4); }
