// Host half of hopper.cuh.
#pragma once
#include "async_units.h"
#include "cluster.h"
#include "e4m3.h"
#include "shim.h"

#define RT_GRID_CONSTANT
#define RT_DYNAMIC_SHARED_1024(type, name) RT_DYNAMIC_SHARED(type, name)

using rt_host::TensorMap;

template <int n> struct Columns {};

namespace rt_host {

inline AsyncUnits& units() { return current->block->async(); }
inline BulkStores& stores() { return units().stores[(size_t)(current - current->block->threads.data())]; }

}  // namespace rt_host

RT_DEV u32 rt_shared_address(const void* p) { return rt_host::units().proxy.address_of(p); }

RT_DEV void rt_mbarrier_init(u64* barrier, u32 arrivals) { rt_host::units().barriers.init(barrier, arrivals); }
RT_DEV void rt_mbarrier_fence() { rt_host::units().barriers.fence(); }
RT_DEV void rt_mbarrier_arrive(u64* barrier) { rt_host::units().barriers.arrive(barrier, 0); }
RT_DEV void rt_mbarrier_expect(u64* barrier, u32 bytes) { rt_host::units().barriers.arrive(barrier, bytes); }
RT_DEV void rt_mbarrier_arrive_at(u64* barrier, u32 rank) {
  rt_host::AsyncUnits& there = rt_host::current->block->cluster->reachable(rank, "an arrival in").async();
  there.barriers.arrive((u64*)there.proxy.counterpart(rt_host::units().proxy, barrier), 0);
}
RT_DEV void rt_mbarrier_wait(u64* barrier, u32 parity) { rt_host::units().barriers.wait(barrier, parity); }

RT_DEV void rt_bulk_load(void* shared, const TensorMap* map, u64* barrier, int x, int y) {
  rt_host::units().copies.load(shared, *map, barrier, x, y);
}
RT_DEV void rt_bulk_load_multicast(void* shared, const TensorMap* map, u64* barrier, int x, int y, u32 ranks) {
  rt_host::units().copies.load_multicast(shared, *map, barrier, x, y, ranks);
}
RT_DEV void rt_bulk_store(const TensorMap* map, const void* shared, int x, int y) {
  rt_host::stores().store(*map, shared, x, y);
}
RT_DEV void rt_bulk_commit() { rt_host::stores().commit(); }
template <int pending> RT_DEV void rt_bulk_wait_read() { rt_host::stores().wait(pending); }
RT_DEV void rt_prefetch(const TensorMap*) {}
RT_DEV void rt_fence_async(const void* shared, u32 bytes) { rt_host::units().proxy.publish(shared, bytes); }

RT_DEV u32 rt_cluster_rank() { return rt_host::current->block->rank; }
RT_DEV void rt_cluster_sync() { rt_host::current->block->cluster->sync(); }

RT_DEV void rt_barrier(int id, int threads) { rt_host::units().named.arrive((u32)id, (u32)threads, true); }
RT_DEV void rt_barrier_arrive(int id, int threads) { rt_host::units().named.arrive((u32)id, (u32)threads, false); }
template <int n> RT_DEV void rt_fewer_registers() { static_assert(n % 8 == 0 && n >= 24 && n <= 256, ""); }
template <int n> RT_DEV void rt_more_registers() { rt_fewer_registers<n>(); }
RT_DEV int rt_uniform(int value) { return value; }

RT_DEV void rt_wgmma_fence() { rt_host::collective(rt_host::wgmma_fence, nullptr); }
RT_DEV void rt_wgmma_commit() { rt_host::collective(rt_host::wgmma_commit, nullptr); }
template <int pending> RT_DEV void rt_wgmma_wait() {
  rt_host::WgmmaWait operands{pending};
  rt_host::collective(rt_host::wgmma_wait, &operands);
}
template <int n> RT_DEV void rt_hold(float (&)[n]) {}
template <int columns, int n>
RT_DEV void rt_wgmma(Columns<columns>, float (&sums)[n], u64 a_place, u64 b_place, bool accumulate) {
  static_assert(2 * n == columns, "two columns for each register");
  rt_host::Wgmma operands{sums, nullptr, a_place, b_place, columns, accumulate, false, false};
  rt_host::collective(rt_host::wgmma, &operands);
}
template <int columns, int n>
RT_DEV void rt_wgmma_e4m3(Columns<columns>, float (&sums)[n], u64 a_place, u64 b_place, bool accumulate) {
  static_assert(2 * n == columns, "two columns for each register");
  rt_host::Wgmma operands{sums, nullptr, a_place, b_place, columns, accumulate, false, true};
  rt_host::collective(rt_host::wgmma, &operands);
}
template <int columns, int n>
RT_DEV void rt_wgmma_transposed(Columns<columns>, float (&sums)[n], const u32 (&a)[4], u64 b_place, bool accumulate) {
  static_assert(2 * n == columns, "two columns for each register");
  rt_host::Wgmma operands{sums, a, 0, b_place, columns, accumulate, true, false};
  rt_host::collective(rt_host::wgmma, &operands);
}

RT_DEV u32 rt_pack_e4m3(float a, float b, float c, float d) {
  const float numbers[4] = {a, b, c, d};
  u32 packed = 0;
  for (int i = 0; i < 4; i++) packed |= (u32)rt_host::narrow_e4m3(numbers[i]) << 8 * i;
  return packed;
}
