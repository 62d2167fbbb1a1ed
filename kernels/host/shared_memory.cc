#include "shared_memory.h"
#include <sys/mman.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace rt_host {
namespace {

constexpr size_t page = 4096;
constexpr size_t alignment = 128;
constexpr unsigned char poison = 0xff;  // a NaN in every float format
constexpr size_t room = (SharedMemory::limit + page - 1) / page * page;

}  // namespace

SharedMemory::SharedMemory() {
  void* mapped = mmap(nullptr, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED || mprotect((char*)mapped + page, room, PROT_READ | PROT_WRITE) != 0) {
    std::perror("host shim: shared memory");
    std::abort();
  }
  mapped_ = (unsigned char*)mapped;
}

SharedMemory::~SharedMemory() { munmap(mapped_, room + 2 * page); }

void SharedMemory::reset(size_t bytes) {
  unsigned char* guard = mapped_ + page + room;
  bytes_ = bytes;
  data_ = (unsigned char*)((uintptr_t)(guard - bytes) / alignment * alignment);
  std::memset(data_, poison, (size_t)(guard - data_));
}

bool SharedMemory::intact() const {
  for (const unsigned char* p = data_ + bytes_; p < mapped_ + page + room; p++) {
    if (*p != poison) return false;
  }
  return true;
}

bool SharedMemory::is_guard(const void* address) const {
  const unsigned char* p = (const unsigned char*)address;
  return (p >= mapped_ && p < mapped_ + page) || (p >= mapped_ + page + room && p < mapped_ + room + 2 * page);
}

}  // namespace rt_host
