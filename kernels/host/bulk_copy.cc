#include "bulk_copy.h"
#include <cstring>
#include "async_units.h"
#include "block.h"
#include "cluster.h"
#include "failure.h"
#include "launch.h"

namespace rt_host {
namespace {

// Calls `each(address, row, x, y)` for every 16-byte piece of a box: its place in shared memory, the row of the matrix or
// null where that lies outside, the column of its first element.
template <class F> void for_each_piece(const TensorMap& map, u32 address, int x, int y, F each) {
  const u32 bytes = map.box_width * map.element_bytes, step = 16 / map.element_bytes;
  for (u32 r = 0; r < map.box_height; r++) {
    const long long at = (long long)y + r;
    unsigned char* row = at >= 0 && at < (long long)map.height ? map.base + (u64)at * map.pitch : nullptr;
    for (u32 piece = 0; piece < bytes / 16; piece++) {
      const u32 plain = address + r * bytes + piece * 16;
      if (!each(map.swizzled ? swizzled128(plain) : plain, row, (long long)x + piece * step)) return;
    }
  }
}

// Bytes [from, to) of a piece that lie within the row.
struct Inside {
  u32 from, to;
};
Inside inside_of(const TensorMap& map, const unsigned char* row, long long x) {
  const long long step = 16 / map.element_bytes, width = (long long)map.width;
  const long long from = x < 0 ? -x : 0, to = x + step > width ? width - x : step;
  if (!row || to <= from) return {0, 0};
  return {(u32)from * map.element_bytes, (u32)to * map.element_bytes};
}

void check(const TensorMap& map, const void* shared) {
  if (!map.is_sound()) fail(cuda_launch_failed, "a bulk copy by something that is no tensor map");
  const u32 address = current->block->async().proxy.address_of(shared);
  if (address % (map.swizzled ? 1024 : 128)) {
    fail(cuda_misaligned_address, "a bulk copy to address %u of shared memory", address);
  }
}

}  // namespace

void BulkCopies::load(void* shared, const TensorMap& map, u64* barrier, int x, int y) {
  check(map, shared);
  issue({&block_, map, block_.async().proxy.address_of(shared), barrier, x, y});
}

void BulkCopies::load_multicast(void* shared, const TensorMap& map, u64* barrier, int x, int y, u32 ranks) {
  check(map, shared);
  const AsyncProxy& here = block_.async().proxy;
  const u32 address = here.address_of(shared);
  for (u32 rank = 0; ranks >> rank; rank++) {
    if (!(ranks >> rank & 1)) continue;
    Block& to = block_.cluster->reachable(rank, "a bulk copy to");
    issue({&to, map, address, (u64*)to.async().proxy.counterpart(here, barrier), x, y});
  }
}

void BulkCopies::issue(const Load& load) {
  if (!load.to->async().barriers.is_fenced(load.barrier)) {
    fail(cuda_launch_failed, "a bulk copy for an mbarrier without rt_mbarrier_fence after its initialisation");
  }
  if (!block_.launch->options.late_copies) return deliver(load);
  poison(load);
  loads_.push_back(load);
}

void BulkCopies::poison(const Load& load) {
  unsigned char nan[16];
  std::memset(nan, 0xff, sizeof nan);
  AsyncProxy& proxy = load.to->async().proxy;
  for_each_piece(load.map, load.address, 0, 0, [&](u32 at, unsigned char*, long long) { return proxy.write16(at, nan); });
}

void BulkCopies::deliver(const Load& load) {
  if (!load.to->live) {
    return report(block_, nullptr, cuda_illegal_address, "a bulk copy comes to block %u of the cluster, which has returned",
                  load.to->rank);
  }
  AsyncUnits& units = load.to->async();
  for_each_piece(load.map, load.address, load.x, load.y, [&](u32 at, const unsigned char* row, long long x) {
    unsigned char piece[16] = {};
    const Inside inside = inside_of(load.map, row, x);
    if (inside.to > inside.from) {
      std::memcpy(piece + inside.from, row + x * load.map.element_bytes + inside.from, inside.to - inside.from);
    }
    return units.proxy.write16(at, piece);
  });
  units.barriers.complete(load.barrier, load.map.box_width * load.map.box_height * load.map.element_bytes);
}

bool BulkCopies::deliver_one() {
  if (loads_.empty()) return false;
  const size_t i = block_.random ? block_.next_random() % loads_.size() : 0;
  const Load load = loads_[i];
  loads_.erase(loads_.begin() + (long)i);
  deliver(load);
  return true;
}

void BulkStores::store(const TensorMap& map, const void* shared, int x, int y) {
  check(map, shared);
  const Store store = {map, current->block->async().proxy.address_of(shared), x, y};
  stores_.push_back(store);
  if (!current->block->launch->options.late_copies) deliver(store);
}

void BulkStores::commit() { group_ends_.push_back(stores_.size()); }

void BulkStores::wait(u32 pending) {
  while (group_ends_.size() > pending) {
    const size_t n = group_ends_.front();
    if (current->block->launch->options.late_copies) {
      for (size_t i = 0; i < n; i++) deliver(stores_[i]);
    }
    stores_.erase(stores_.begin(), stores_.begin() + (long)n);
    group_ends_.erase(group_ends_.begin());
    for (size_t& end : group_ends_) end -= n;
  }
}

void BulkStores::deliver(const Store& store) {
  AsyncProxy& proxy = current->block->async().proxy;
  for_each_piece(store.map, store.address, store.x, store.y, [&](u32 at, unsigned char* row, long long x) {
    const unsigned char* piece = proxy.read16(at);
    if (!piece) return false;
    const Inside inside = inside_of(store.map, row, x);
    if (inside.to > inside.from) {
      std::memcpy(row + x * store.map.element_bytes + inside.from, piece + inside.from, inside.to - inside.from);
    }
    return true;
  });
  if (current->block->error) current->block->abandon();
}

void BulkStores::clear() {
  stores_.clear();
  group_ends_.clear();
}

}  // namespace rt_host
