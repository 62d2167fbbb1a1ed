// What a test in the same process may ask of the stand-in, beyond what the environment says.
#include <algorithm>
#include "../launch.h"
#include "memory.h"
#include "state.h"

#define STANDIN_ENTRY extern "C" __attribute__((visibility("default"))) void

using namespace standin;

// Launches, blocks, mma operations, allocations so far, live allocations, live bytes, most bytes live at once, graph
// launches.
STANDIN_ENTRY standin_counters(u64* values) {
  const Call call;
  const rt_host::Counters kernels = rt_host::counters();
  const u64 now[8] = {kernels.launches,          kernels.blocks,      kernels.mmas,        counters.allocations,
                      counters.live_allocations, counters.live_bytes, counters.peak_bytes, counters.graph_launches};
  std::copy(now, now + 8, values);
}

// Makes the n-th allocation from now on fail, and with `onwards` those after it; n = 0 ends that.
STANDIN_ENTRY standin_fail_alloc_at(long n, int onwards) {
  const Call call;
  allocation_failure() = {n > 0 ? counters.allocations + (u64)n : 0, onwards != 0};
}

// Copies of kernels, and products of warpgroups, early (0) or late (1), the order of warps, streams early (0) or late (1).
STANDIN_ENTRY standin_configure(int late_copies, u32 seed, int late_streams) {
  const Call call;
  rt_host::Options& options = rt_host::Options::of_process();
  options.late_copies = options.late_products = late_copies != 0;
  options.seed = seed;
  Settings::get().late_streams = late_streams != 0;
}

// Forgets the error of an earlier kernel, as a new process would.
STANDIN_ENTRY standin_reset() {
  const Call call;
  unstick();
}
