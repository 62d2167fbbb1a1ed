// Barriers of 64 bits in shared memory (mbarrier): a phase ends when as many threads have arrived as were announced and
// as many bytes have come as were expected.
#pragma once
#include <vector>
#include "types.h"

namespace rt_host {

struct Block;

// Those of a block.
class Mbarriers {
 public:
  explicit Mbarriers(Block& block) : block_(block) {}
  void init(u64* word, u32 arrivals);
  // From here on the units that copy see what was initialised (fence.mbarrier_init).
  void fence();
  bool is_fenced(const u64* word) const;
  void arrive(u64* word, u32 expected_bytes);
  // `bytes` of a copy have come. Called by the units that copy, within a thread or by the scheduler.
  void complete(u64* word, u32 bytes);
  // Sets the thread aside until the phase of this parity is over.
  void wait(u64* word, u32 parity);
  // Complains of bytes that were expected or came in vain.
  void check_end() const;

 private:
  struct Barrier {
    u64* word;
    bool fenced;
  };
  Block& block_;
  std::vector<Barrier> barriers_;
};

}  // namespace rt_host
