// Asynchronous copies (cp.async) of one thread, delivered as early or as late as the device may deliver them.
#pragma once
#include <vector>
#include "types.h"

namespace rt_host {

class CopyQueue {
 public:
  // Sixteen bytes, zeros where `inside` is false.
  void copy16(void* shared, const void* global, bool inside);
  void commit();
  // Delivers the oldest groups until at most `pending` are left.
  void wait(u32 pending);
  // Drops what was never waited for.
  void clear();

 private:
  struct Copy {
    void* shared;
    const void* global;  // null: zeros
  };
  std::vector<Copy> copies_;     // in order of issue
  std::vector<size_t> group_ends_;
  size_t delivered_ = 0;         // copies
  size_t waited_ = 0;            // groups
};

}  // namespace rt_host
