// Memory of the device and pinned memory of the host.
#pragma once
#include <cstddef>
#include "../types.h"

namespace standin {

// Whether `bytes` bytes at `address` lie in one allocation of a device.
bool on_device(u64 address, size_t bytes);
bool is_pinned(const void* address);
int allocate(u64* address, size_t bytes);
int release(u64 address);

// Which allocation of the process fails: the n-th (0: none), or all from it on. BIOLLMNET_STANDIN_FAIL_ALLOC=n or n+.
struct AllocationFailure {
  u64 at = 0;
  bool onwards = false;
};
AllocationFailure& allocation_failure();

}  // namespace standin
