#include "async_copy.h"
#include <cstring>
#include "block.h"
#include "failure.h"
#include "launch.h"

namespace rt_host {
namespace {

void deliver(void* shared, const void* global) {
  if (global) {
    std::memcpy(shared, global, 16);
  } else {
    std::memset(shared, 0, 16);
  }
}

}  // namespace

void CopyQueue::copy16(void* shared, const void* global, bool inside) {
  if ((uintptr_t)shared % 16 || (uintptr_t)global % 16) {
    fail(cuda_misaligned_address, "rt_copy_async16: %p <- %p is not 16-byte aligned", shared, global);
  }
  const void* source = inside ? global : nullptr;
  if (current->block->launch->options.late_copies) {
    std::memset(shared, 0xff, 16);  // nobody may look before the wait: NaN until then
    copies_.push_back({shared, source});
  } else {
    deliver(shared, source);
  }
}

void CopyQueue::commit() { group_ends_.push_back(copies_.size()); }

void CopyQueue::wait(u32 pending) {
  while (group_ends_.size() - waited_ > pending) {
    for (const size_t end = group_ends_[waited_++]; delivered_ < end; delivered_++) {
      deliver(copies_[delivered_].shared, copies_[delivered_].global);
    }
  }
  if (waited_ == group_ends_.size() && delivered_ == copies_.size()) clear();
}

void CopyQueue::clear() {
  copies_.clear();
  group_ends_.clear();
  delivered_ = waited_ = 0;
}

}  // namespace rt_host
