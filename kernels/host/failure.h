// Errors of a kernel: a line on stderr that names kernel, block, thread and cause; the launch then returns the code.
#pragma once

namespace rt_host {

constexpr int cuda_invalid_value = 1;
constexpr int cuda_illegal_address = 700;
constexpr int cuda_misaligned_address = 716;
constexpr int cuda_launch_failed = 719;

struct Block;
struct Thread;

// Called by a kernel's thread: reports and ends its block.
[[noreturn]] void fail(int code, const char* format, ...) __attribute__((format(printf, 2, 3)));
// The same outside of a thread (`thread` null) or without ending anything.
void report(Block& block, const Thread* thread, int code, const char* format, ...)
    __attribute__((format(printf, 4, 5)));

// Turns faults of kernels into reports while it lives; one for each thread of the operating system that runs blocks.
class FaultGuard {
 public:
  FaultGuard();
  FaultGuard(const FaultGuard&) = delete;
  ~FaultGuard();

 private:
  void* stack_;
  void* previous_base_;
  unsigned long previous_size_;
  int previous_flags_;
};

}  // namespace rt_host
