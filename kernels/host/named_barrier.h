// Barriers of some of the warps of a block, by number (bar.sync, bar.arrive).
#pragma once
#include "types.h"

namespace rt_host {

struct Block;

class NamedBarriers {
 public:
  explicit NamedBarriers(Block& block) : block_(block) {}
  // One of `threads` threads has come to barrier `id`, 1 to 15; waits for the others if `waits`.
  void arrive(u32 id, u32 threads, bool waits);
  // Whether the phase `ticket >> 4` of barrier `ticket & 15` is over.
  bool is_over(u64 ticket) const { return phases_[ticket & 15] != ticket >> 4; }

 private:
  Block& block_;
  u32 arrived_[16] = {}, expected_[16] = {};
  u64 phases_[16] = {};
};

}  // namespace rt_host
