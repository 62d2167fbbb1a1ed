#include "named_barrier.h"
#include "async_units.h"
#include "block.h"
#include "failure.h"

namespace rt_host {

void NamedBarriers::arrive(u32 id, u32 threads, bool waits) {
  if (id == 0 || id > 15 || threads == 0 || threads % warp_lanes) {
    fail(cuda_launch_failed, "barrier %u of %u threads", id, threads);
  }
  if (arrived_[id] && expected_[id] != threads) {
    fail(cuda_launch_failed, "barrier %u: %u threads here, %u there", id, threads, expected_[id]);
  }
  expected_[id] = threads;
  const u64 phase = phases_[id];
  if (++arrived_[id] == threads) {
    arrived_[id] = 0;
    phases_[id]++;
    return;
  }
  if (!waits) return;
  block_.wait_until({"a named barrier",
                     [](const Block& block, u64 ticket) { return block.units->named.is_over(ticket); },
                     phase << 4 | id});
}

}  // namespace rt_host
