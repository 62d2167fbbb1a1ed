#include "memory.h"
#include <sys/mman.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include "state.h"
#include "stream.h"

namespace standin {
namespace {

constexpr size_t page = 4096;
constexpr size_t quarantine = 4096;  // freed mappings that stay inaccessible, so that a late use faults

struct Allocation {
  unsigned char* mapped;  // inaccessible page, slack, data, inaccessible page
  size_t mapped_bytes;
  size_t bytes;
  int device;
};
std::map<u64, Allocation> allocations;
std::deque<Allocation> freed;
u64 used[max_devices];

std::map<const void*, size_t> pinned;

AllocationFailure read_failure() {
  AllocationFailure failure;
  if (const char* value = std::getenv("BIOLLMNET_STANDIN_FAIL_ALLOC")) {
    char* end;
    failure.at = std::strtoull(value, &end, 10);
    failure.onwards = *end == '+';
  }
  return failure;
}

bool must_fail(u64 number) {
  const AllocationFailure& f = allocation_failure();
  return f.at != 0 && (number == f.at || (f.onwards && number > f.at));
}

}  // namespace

AllocationFailure& allocation_failure() {
  static AllocationFailure setting = read_failure();
  return setting;
}

bool on_device(u64 address, size_t bytes) {
  auto after = allocations.upper_bound(address);
  if (after == allocations.begin()) return false;
  const auto& [start, allocation] = *std::prev(after);
  const u64 offset = address - start;
  return offset <= allocation.bytes && bytes <= allocation.bytes - offset;
}

bool is_pinned(const void* address) {
  auto after = pinned.upper_bound(address);
  if (after == pinned.begin()) return false;
  const auto& [start, bytes] = *std::prev(after);
  return (const char*)address < (const char*)start + bytes;
}

int allocate(u64* address, size_t bytes) {
  const int device = current_device();
  if (must_fail(++counters.allocations)) return out_of_memory;
  const u64 free_bytes = Settings::get().memory - std::min(used[device], Settings::get().memory);
  if (bytes > free_bytes) return out_of_memory;
  const size_t data = std::max((bytes + 15) / 16 * 16, (size_t)16), room = (data + page - 1) / page * page;
  void* mapped = mmap(nullptr, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return out_of_memory;
  unsigned char* start = (unsigned char*)mapped + page;
  if (mprotect(start, room, PROT_READ | PROT_WRITE) != 0) return out_of_memory;
  std::memset(start, 0xff, room);
  *address = (u64)(start + room - data);
  allocations[*address] = {(unsigned char*)mapped, room + 2 * page, bytes, device};
  used[device] += bytes;
  counters.live_allocations++;
  counters.live_bytes += bytes;
  counters.peak_bytes = std::max(counters.peak_bytes, counters.live_bytes);
  return success;
}

int release(u64 address) {
  if (address == 0) return success;
  const auto found = allocations.find(address);
  if (found == allocations.end()) return invalid_value;
  const Allocation gone = found->second;
  allocations.erase(found);
  used[gone.device] -= gone.bytes;
  counters.live_allocations--;
  counters.live_bytes -= gone.bytes;
  const unsigned char* slack = gone.mapped + page;
  if (std::any_of(slack, (const unsigned char*)address, [](unsigned char byte) { return byte != 0xff; })) {
    std::fprintf(stderr, "stand-in driver: memory before an allocation of %zu bytes was written\n", gone.bytes);
    stick(700);
  }
  // A fresh inaccessible mapping over the old one gives its memory back.
  mmap(gone.mapped, gone.mapped_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  freed.push_back(gone);
  if (freed.size() > quarantine) {
    munmap(freed.front().mapped, freed.front().mapped_bytes);
    freed.pop_front();
  }
  return success;
}

}  // namespace standin

using namespace standin;

CU_ENTRY cuMemGetInfo_v2(size_t* free, size_t* total) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  *total = Settings::get().memory;
  *free = *total - std::min((u64)*total, used[current_device()]);
  return success;
}
CU_ENTRY cuMemAlloc_v2(u64* address, size_t bytes) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  if (const int error = forbid_unsafe()) return error;
  return bytes == 0 ? invalid_value : allocate(address, bytes);
}
CU_ENTRY cuMemFree_v2(u64 address) {
  const Call call;
  if (const int error = forbid_unsafe()) return error;
  const int error = drain_all();
  const int released = release(address);
  return error ? error : released;
}
CU_ENTRY cuMemAllocAsync(u64* address, size_t bytes, Stream* stream) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  if (stream_of(stream).capture) return not_supported;  // allocations inside graphs are not emulated
  return allocate(address, bytes);
}
CU_ENTRY cuMemFreeAsync(u64 address, Stream* stream) {
  const Call call;
  if (stream_of(stream).capture) return invalid_value;
  if (stuck()) return release(address) ? invalid_value : stuck();
  if (!on_device(address, 0)) return address ? invalid_value : success;
  return stream_of(stream).submit([=] { return release(address); });
}
CU_ENTRY cuMemHostAlloc(void** address, size_t bytes, unsigned flags) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  if (const int error = forbid_unsafe()) return error;
  if (bytes == 0 || flags > 7) return invalid_value;
  *address = std::aligned_alloc(page, (bytes + page - 1) / page * page);
  if (!*address) return out_of_memory;
  pinned[*address] = bytes;
  return success;
}
CU_ENTRY cuMemFreeHost(void* address) {
  const Call call;
  if (const int error = forbid_unsafe()) return error;
  const int error = drain_all();
  if (pinned.erase(address) == 0) return invalid_value;
  std::free(address);
  return error;
}
