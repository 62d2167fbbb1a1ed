#include "fiber.h"
#include <sys/mman.h>
#include <cstdio>
#include <cstdlib>

// The six registers that a callee keeps, then the stack pointer.
asm(R"(
.text
.globl rt_host_switch, rt_host_resume
.hidden rt_host_switch, rt_host_resume
.type rt_host_switch,@function
rt_host_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
rt_host_resume:
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size rt_host_switch,.-rt_host_switch
)");

namespace rt_host {
namespace {

constexpr size_t guard_bytes = 64 << 10;  // wide: a frame of a large array must not step over it
constexpr size_t stack_bytes = 64 << 10;
constexpr size_t stride = guard_bytes + stack_bytes;

}  // namespace

Stacks::~Stacks() {
  if (base_) munmap(base_, stride * count_);
}

void Stacks::reserve(u32 count) {
  if (count <= count_) return;
  if (base_) munmap(base_, stride * count_);
  const int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* mapped = mmap(nullptr, stride * count, PROT_READ | PROT_WRITE, kind, -1, 0);
  if (mapped == MAP_FAILED) {
    std::perror("host shim: stacks");
    std::abort();
  }
  base_ = (unsigned char*)mapped;
  count_ = count;
  for (u32 i = 0; i < count; i++) mprotect(base_ + stride * i, guard_bytes, PROT_NONE);
}

void* Stacks::prepare(u32 i, void (*entry)()) {
  // Neighbours start at different cache sets: a warp's 32 stacks are in use at once.
  const size_t colour = i * 17 % 64 * 64;
  void** top = (void**)(base_ + stride * (i + 1) - colour);
  *--top = nullptr;  // the return address of `entry`, which also aligns its frame
  *--top = (void*)entry;
  for (int saved = 0; saved < 6; saved++) *--top = nullptr;
  return top;
}

bool Stacks::overflowed_at(const void* address) const {
  const unsigned char* p = (const unsigned char*)address;
  return p >= base_ && p < base_ + stride * count_ && (size_t)(p - base_) % stride < guard_bytes;
}

}  // namespace rt_host
