#include "failure.h"
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include "block.h"
#include "launch.h"

namespace rt_host {
namespace {

void print(Block& block, const Thread* thread, const char* format, va_list arguments) {
  char cause[512], where[96] = "";
  std::vsnprintf(cause, sizeof cause, format, arguments);
  if (thread) {
    const Index3& t = thread->index;
    std::snprintf(where, sizeof where, " thread (%u,%u,%u)", t.x, t.y, t.z);
  }
  const Index3& b = block.index;
  const char* kernel = block.launch->kernel.name;
  std::fprintf(stderr, "host shim: %s: block (%u,%u,%u)%s: %s\n", kernel, b.x, b.y, b.z, where, cause);
}

constexpr size_t signal_stack_bytes = 64 << 10;
struct sigaction previous_segv, previous_bus, previous_ill;

struct sigaction& previous_of(int signal) {
  return signal == SIGSEGV ? previous_segv : signal == SIGBUS ? previous_bus : previous_ill;
}

// Reports the fault, then goes on with the scheduler of the block instead of where the thread faulted.
void on_fault(int signal, siginfo_t* info, void* context) {
  if (!current) {
    sigaction(signal, &previous_of(signal), nullptr);  // not ours: the access repeats and meets the old handler
    return;
  }
  Block& block = *current->block;
  const void* at = info->si_addr;
  if (signal == SIGILL) {
    report(block, current, cuda_misaligned_address, "access through a misaligned pointer or index out of its array");
  } else if (info->si_code == SI_KERNEL) {
    report(block, current, cuda_misaligned_address, "misaligned 16-byte access");
  } else if (block.shared.is_guard(at)) {
    const ptrdiff_t offset = (const char*)at - (const char*)block.shared.data();
    const size_t bytes = block.launch->shared_bytes;
    report(block, current, cuda_illegal_address, "access %td bytes from the start of %zu bytes of shared memory",
           offset, bytes);
  } else if (block.stacks.overflowed_at(at)) {
    report(block, current, cuda_launch_failed, "local variables overflow the stack");
  } else {
    report(block, current, cuda_illegal_address, "access to %p, outside of every allocation", at);
  }
  greg_t* registers = ((ucontext_t*)context)->uc_mcontext.gregs;
  registers[REG_RSP] = (greg_t)block.scheduler;
  registers[REG_RIP] = (greg_t)rt_host_resume;
}

void install_handlers() {
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (int signal : {SIGSEGV, SIGBUS, SIGILL}) sigaction(signal, &action, &previous_of(signal));
}

}  // namespace

void report(Block& block, const Thread* thread, int code, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print(block, thread, format, arguments);
  va_end(arguments);
  block.error = code;
}

void fail(int code, const char* format, ...) {
  Block& block = *current->block;
  va_list arguments;
  va_start(arguments, format);
  print(block, current, format, arguments);
  va_end(arguments);
  block.error = code;
  block.abandon();
}

FaultGuard::FaultGuard() {
  static std::once_flag once;
  std::call_once(once, install_handlers);
  stack_ = mmap(nullptr, signal_stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack_t own = {}, previous = {};
  own.ss_sp = stack_;
  own.ss_size = signal_stack_bytes;
  sigaltstack(&own, &previous);
  previous_base_ = previous.ss_sp;
  previous_size_ = previous.ss_size;
  previous_flags_ = previous.ss_flags;
}

FaultGuard::~FaultGuard() {
  stack_t previous = {};
  previous.ss_sp = previous_base_;
  previous.ss_size = previous_size_;
  previous.ss_flags = previous_flags_;
  sigaltstack(&previous, nullptr);
  munmap(stack_, signal_stack_bytes);
}

}  // namespace rt_host
