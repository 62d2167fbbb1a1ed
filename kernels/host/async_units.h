// The units of a block that work on their own (compute capability 9.0): made when a kernel first uses one of them.
#pragma once
#include <vector>
#include "async_proxy.h"
#include "bulk_copy.h"
#include "mbarrier.h"
#include "named_barrier.h"
#include "wgmma.h"

namespace rt_host {

struct AsyncUnits {
  explicit AsyncUnits(Block& block);
  AsyncProxy proxy;
  Mbarriers barriers;
  BulkCopies copies;
  NamedBarriers named;
  std::vector<Products> products;   // of each warp
  std::vector<BulkStores> stores;   // of each thread
  std::vector<Issues> issues;       // of each warpgroup
  WgmmaNumbers operands;            // of the product that is carried out

  // Called when a thread returns: nothing of it may be under way.
  void check_thread(u32 warp, u32 thread) const;
  void check_block() const;

 private:
  Block& block_;
};

}  // namespace rt_host
