// The copying unit (TMA): boxes of a matrix to shared memory and back.
#pragma once
#include <vector>
#include "tensor_map.h"
#include "types.h"

namespace rt_host {

struct Block;

// Boxes of the matrices of a block.
class BulkCopies {
 public:
  explicit BulkCopies(Block& block) : block_(block) {}
  // The box whose first element is column x of row y; what lies outside of the matrix is 0. Its bytes count at `barrier`.
  void load(void* shared, const TensorMap& map, u64* barrier, int x, int y);
  // The same for every block of the cluster whose bit is set: to the same place there, counted at the same barrier there.
  void load_multicast(void* shared, const TensorMap& map, u64* barrier, int x, int y, u32 ranks);
  // Delivers one of the loads that are under way; false where there is none. Called when every thread waits.
  bool deliver_one();
  bool idle() const { return loads_.empty(); }

 private:
  struct Load {
    Block* to;
    TensorMap map;
    u32 address;
    u64* barrier;
    int x, y;
  };
  void issue(const Load& load);
  void deliver(const Load& load);
  void poison(const Load& load);

  Block& block_;
  std::vector<Load> loads_;
};

// Boxes that one thread stores: groups of them are waited for.
class BulkStores {
 public:
  // What lies outside of the matrix is not written.
  void store(const TensorMap& map, const void* shared, int x, int y);
  void commit();
  // Delivers the oldest groups until at most `pending` are left.
  void wait(u32 pending);
  bool idle() const { return stores_.empty(); }
  void clear();

 private:
  struct Store {
    TensorMap map;
    u32 address;
    int x, y;
  };
  void deliver(const Store& store);

  std::vector<Store> stores_;  // in order of issue
  std::vector<size_t> group_ends_;
};

}  // namespace rt_host
