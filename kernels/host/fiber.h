// Fibers: stacks that take turns on one thread of the operating system (x86-64, System V).
#pragma once
#include <cstddef>
#include "types.h"

#if !defined(__x86_64__)
#error "the host shim switches stacks on x86-64 only"
#endif

// Saves the running stack in `*save` and goes on with the stack `to`.
extern "C" void rt_host_switch(void** save, void* to);
// The second half of a switch, for a signal handler: an address to go on at, with the stack pointer already set.
extern "C" void rt_host_resume();

namespace rt_host {

// Stacks of one size, each above an inaccessible stretch; made on demand and kept.
class Stacks {
 public:
  Stacks() = default;
  Stacks(const Stacks&) = delete;
  ~Stacks();
  void reserve(u32 count);
  // Prepares stack `i` so that the first switch to it calls `entry`, which never returns.
  void* prepare(u32 i, void (*entry)());
  // Whether `address` lies in the stretch that ends one of the stacks.
  bool overflowed_at(const void* address) const;

 private:
  unsigned char* base_ = nullptr;
  u32 count_ = 0;
};

}  // namespace rt_host
