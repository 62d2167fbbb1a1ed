// Shared memory as the units see it that copy and multiply on their own (the async proxy): what threads store reaches
// them by a fence only.
#pragma once
#include <vector>
#include "types.h"

namespace rt_host {

struct Block;

class AsyncProxy {
 public:
  explicit AsyncProxy(Block& block);
  // The number that kernels know a place of dynamic shared memory by: it begins at 1024, behind what the system has.
  u32 address_of(const void* place) const;
  // What lies at the same place in this block as `place` in the block of `other`.
  void* counterpart(const AsyncProxy& other, const void* place) const;
  // Makes what threads stored in these bytes visible (fence.proxy.async).
  void publish(const void* from, u32 bytes);
  // The 16 bytes at an address; null, and a report, where it lies outside or a store there was not published.
  const unsigned char* read16(u32 address);
  // Writes 16 bytes for both to see; false, and a report, where the address lies outside.
  bool write16(u32 address, const void* from);

 private:
  unsigned char* place_of(u32 address);

  Block& block_;
  unsigned char* shared_;
  std::vector<unsigned char> seen_;
};

// Where the 16-byte piece of an address lies when the 128 bytes around it are swizzled: bits 4 to 6 are changed by bits
// 7 to 9. Other patterns are not used here.
inline u32 swizzled128(u32 address) { return address ^ (address >> 7 & 7) << 4; }

}  // namespace rt_host
