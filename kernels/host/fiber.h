// Fibers: stacks that take turns on one thread of the operating system (x86-64, System V).
#pragma once
#include <cstddef>
#include "types.h"

#if !defined(__x86_64__)
#error "the host shim switches stacks on x86-64 only"
#endif

// Saves the running stack in `*save` and goes on with the stack `to`.
extern "C" void rt_host_switch(void** save, void* to);

namespace rt_host {

// Stacks of one size, each below an inaccessible page; made on demand and kept.
class Stacks {
 public:
  Stacks() = default;
  Stacks(const Stacks&) = delete;
  ~Stacks();
  void reserve(u32 count);
  // Prepares stack `i` so that the first switch to it calls `entry`, which never returns.
  void* prepare(u32 i, void (*entry)());
  // Whether `address` lies in the page that ends one of the stacks.
  bool overflowed_at(const void* address) const;

 private:
  unsigned char* base_ = nullptr;
  u32 count_ = 0;
};

}  // namespace rt_host
