#include "async_units.h"
#include "block.h"
#include "failure.h"

namespace rt_host {

AsyncUnits::AsyncUnits(Block& block)
    : proxy(block),
      barriers(block),
      copies(block),
      named(block),
      products(block.warps.size()),
      stores(block.threads.size()),
      issues((block.warps.size() + warpgroup_warps - 1) / warpgroup_warps),
      block_(block) {}

void AsyncUnits::check_thread(u32 warp, u32 thread) const {
  if (!products[warp].idle()) fail(cuda_launch_failed, "returned with products under way: rt_wgmma_wait<0> is missing");
  if (!stores[thread].idle()) fail(cuda_launch_failed, "returned with bulk stores that nobody waited for");
}

void AsyncUnits::check_block() const {
  if (!copies.idle()) report(block_, nullptr, cuda_launch_failed, "bulk copies are under way at the end of the block");
  barriers.check_end();
}

}  // namespace rt_host
