#include "async_proxy.h"
#include <algorithm>
#include <cstring>
#include "block.h"
#include "failure.h"
#include "launch.h"

namespace rt_host {
namespace {

constexpr u32 first_address = 1024;

}  // namespace

AsyncProxy::AsyncProxy(Block& block)
    : block_(block), shared_((unsigned char*)block.shared.data()), seen_(block.launch->shared_bytes, 0xff) {}

u32 AsyncProxy::address_of(const void* place) const {
  return (u32)((const unsigned char*)place - shared_) + first_address;
}

void* AsyncProxy::counterpart(const AsyncProxy& other, const void* place) const {
  return shared_ + ((const unsigned char*)place - other.shared_);
}

unsigned char* AsyncProxy::place_of(u32 address) {
  if (address >= first_address && address - first_address + 16 <= seen_.size()) {
    return shared_ + (address - first_address);
  }
  report(block_, nullptr, cuda_illegal_address, "an asynchronous access %d bytes from the start of %zu of shared memory",
         (int)address - (int)first_address, seen_.size());
  return nullptr;
}

void AsyncProxy::publish(const void* from, u32 bytes) {
  const size_t start = (size_t)((const unsigned char*)from - shared_);
  if (start > seen_.size() || bytes > seen_.size() - start) {
    fail(cuda_illegal_address, "a fence for %u bytes that lie outside of shared memory", bytes);
  }
  std::memcpy(&seen_[start], from, bytes);
}

const unsigned char* AsyncProxy::read16(u32 address) {
  const unsigned char* place = place_of(address);
  if (!place) return nullptr;
  if (std::memcmp(place, &seen_[(size_t)(place - shared_)], 16) == 0) return place;
  report(block_, nullptr, cuda_launch_failed,
         "an asynchronous read of shared memory that a thread wrote without rt_fence_async after it");
  return nullptr;
}

bool AsyncProxy::write16(u32 address, const void* from) {
  unsigned char* place = place_of(address);
  if (!place) return false;
  std::memcpy(place, from, 16);
  std::memcpy(&seen_[(size_t)(place - shared_)], from, 16);
  return true;
}

}  // namespace rt_host
