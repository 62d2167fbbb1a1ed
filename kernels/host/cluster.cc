#include "cluster.h"
#include "async_units.h"
#include "block.h"
#include "failure.h"
#include "launch.h"

namespace rt_host {

Cluster::Cluster() = default;
Cluster::~Cluster() = default;

void Cluster::run(const Launch& of, u64 first_block) {
  size_ = of.kernel.cluster;
  while (blocks_.size() < size_) blocks_.push_back(std::make_unique<Block>());
  at_barrier_ = 0;
  barrier_phase_ = 0;
  for (u32 rank = 0; rank < size_; rank++) blocks_[rank]->start(of, of.grid.at(first_block + rank), *this, rank);
  while (live()) {
    if (!turn()) {
      // Copies come as late as they may: when no thread can go on without them.
      if (!error() && !deliver_one()) report_deadlock();
    }
    if (error()) return;
  }
  for (u32 rank = 0; rank < size_; rank++) blocks_[rank]->check_end();
}

// Without a seed the first block goes as far as it can before the next, with an odd one the last; with an even one they take
// turns.
bool Cluster::turn() {
  const u32 seed = blocks_[0]->launch->options.seed;
  const bool alone = seed == 0 || seed % 2;
  bool progress = false;
  for (u32 i = 0; i < size_; i++) {
    Block& block = *blocks_[seed % 2 ? size_ - 1 - i : i];
    while (block.turn()) {
      progress = true;
      if (error() || !alone) break;
    }
    if (error()) break;
  }
  return progress;
}

int Cluster::error() const {
  for (u32 rank = 0; rank < size_; rank++) {
    if (blocks_[rank]->error) return blocks_[rank]->error;
  }
  return 0;
}

u64 Cluster::mmas() const {
  u64 sum = 0;
  for (u32 rank = 0; rank < size_; rank++) sum += blocks_[rank]->mmas;
  return sum;
}

u32 Cluster::live() const {
  u32 sum = 0;
  for (u32 rank = 0; rank < size_; rank++) sum += blocks_[rank]->live;
  return sum;
}

Block& Cluster::reachable(u32 rank, const char* what) {
  if (rank >= size_) fail(cuda_illegal_address, "%s block %u of a cluster of %u", what, rank, size_);
  Block& block = *blocks_[rank];
  if (!block.live) fail(cuda_illegal_address, "%s block %u of the cluster, which has returned", what, rank);
  return block;
}

void Cluster::sync() {
  const u64 phase = barrier_phase_;
  if (++at_barrier_ == live()) return open_barrier();
  current->block->wait_until({"rt_cluster_sync",
                              [](const Block& block, u64 ticket) { return block.cluster->barrier_phase_ != ticket; },
                              phase});
}

void Cluster::thread_returned() {
  if (at_barrier_ && at_barrier_ == live()) open_barrier();
}

void Cluster::open_barrier() {
  at_barrier_ = 0;
  barrier_phase_++;
}

bool Cluster::deliver_one() {
  const u32 first = (u32)(blocks_[0]->random ? blocks_[0]->next_random() % size_ : 0);
  for (u32 i = 0; i < size_; i++) {
    Block& block = *blocks_[(first + i) % size_];
    if (block.units && block.units->copies.deliver_one()) return true;
  }
  return false;
}

void Cluster::report_deadlock() {
  for (u32 rank = 0; rank < size_; rank++) blocks_[rank]->report_deadlock();
}

}  // namespace rt_host
