// Blocks that run together and reach each other's shared memory (compute capability 9.0). Every block is in a cluster; of
// most kernels it is alone there.
#pragma once
#include <memory>
#include <vector>
#include "types.h"

namespace rt_host {

struct Block;
struct Launch;

class Cluster {
 public:
  Cluster();
  ~Cluster();
  // Runs the cluster of the launch that begins at this block, to its end or to its first error.
  void run(const Launch& of, u64 first_block);
  int error() const;
  u64 mmas() const;
  // For a thread that reaches for a block: ends the kernel where that one is not there, or is no more.
  Block& reachable(u32 rank, const char* what);
  // Called by a thread: waits until every thread of the cluster that has not returned is here.
  void sync();
  // Called when a thread returns: it does not count any more.
  void thread_returned();

 private:
  u32 live() const;
  bool turn();
  bool deliver_one();
  void report_deadlock();
  void open_barrier();

  std::vector<std::unique_ptr<Block>> blocks_;  // by rank, `size_` of them in use: they keep their stacks and memory
  u32 size_ = 0;
  u32 at_barrier_ = 0;
  u64 barrier_phase_ = 0;
};

}  // namespace rt_host
