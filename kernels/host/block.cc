#include "block.h"
#include <algorithm>
#include <cstdio>
#include "async_units.h"
#include "cluster.h"
#include "failure.h"
#include "launch.h"
#include "warp.h"

namespace rt_host {

thread_local Thread* current __attribute__((tls_model("initial-exec"))) = nullptr;

Block::Block() = default;
Block::~Block() = default;

AsyncUnits& Block::async() {
  if (!units) units = std::make_unique<AsyncUnits>(*this);
  return *units;
}

void Block::check_end() {
  if (units) units->check_block();
  if (!error && !shared.intact()) {
    report(*this, nullptr, cuda_illegal_address, "shared memory was written past its %zu bytes", launch->shared_bytes);
  }
}

void Block::start(const Launch& of, Index3 at, Cluster& in, u32 rank_there) {
  launch = &of;
  index = at;
  cluster = &in;
  rank = rank_there;
  const Index3 shape = launch->block;
  live = (u32)shape.count();
  at_barrier = 0;
  barrier_phase = 0;
  error = 0;
  mmas = 0;
  shared.reset(launch->shared_bytes);
  units.reset();
  stacks.reserve(live);
  const u32 n_warps = (live + warp_lanes - 1) / warp_lanes;
  if (threads.size() != n_warps * warp_lanes) threads.resize(n_warps * warp_lanes);
  warps.assign(n_warps, Warp());
  order.resize(n_warps);
  for (u32 w = 0; w < n_warps; w++) {
    order[w] = w;
    const u32 present = std::min(live - w * warp_lanes, warp_lanes);
    warps[w].ready = present == warp_lanes ? ~0u : (1u << present) - 1;
    warps[w].absent = ~warps[w].ready;
    warps[w].threads = &threads[w * warp_lanes];
    warps[w].position = w;
  }
  for (u32 t = 0; t < live; t++) {
    Thread& thread = threads[t];
    thread.stack = stacks.prepare(t, thread_main);
    thread.warp = &warps[t / warp_lanes];
    thread.block = this;
    thread.lane = t % warp_lanes;
    thread.index = shape.at(t);
    thread.copies.clear();
  }
  const u64 seed = launch->options.seed;
  random = seed ? seed * 0x9e3779b97f4a7c15u + index.x + ((u64)index.y << 24) + ((u64)index.z << 44) + 1 : 0;
  if (seed) {
    for (u32 w = n_warps; w > 1; w--) std::swap(order[w - 1], order[next_random() % w]);
  }
}

u64 Block::next_random() {  // splitmix64
  u64 z = random += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

bool Block::turn() {
  bool progress = false;
  for (u32 w : order) {
    Warp& warp = warps[w];
    poll(warp);
    if (!warp.ready) continue;
    progress = true;
    resume(warp.threads[__builtin_ctz(warp.ready)]);
    if (error) break;
  }
  return progress;
}

void Block::poll(Warp& warp) {
  for (u32 rest = warp.waiting; rest; rest &= rest - 1) {
    const u32 lane = (u32)__builtin_ctz(rest);
    const Wait& wait = warp.threads[lane].wait;
    if (!wait.over(*this, wait.ticket)) continue;
    warp.waiting &= ~(1u << lane);
    warp.ready |= 1u << lane;
  }
}

void Block::resume(Thread& thread) {
  current = &thread;
  rt_host_switch(&scheduler, thread.stack);
  current = nullptr;
}

void Block::leave(Thread& thread) {
  const Warp& warp = *thread.warp;
  if (!warp.ready) {
    rt_host_switch(&thread.stack, scheduler);
    return;
  }
  // The next ready lane in the circle, so that each lane runs once for each operation.
  const u32 after = (thread.lane + 1) % warp_lanes;
  const u32 circle = after ? warp.ready >> after | warp.ready << (warp_lanes - after) : warp.ready;
  const u32 lane = (after + (u32)__builtin_ctz(circle)) % warp_lanes;
  current = &warp.threads[lane];
  rt_host_switch(&thread.stack, current->stack);
}

void Block::interrupt(Thread& thread) {
  if (random && next_random() % 4 == 0) rt_host_switch(&thread.stack, scheduler);
}

void Block::wait_until(const Wait& wait) {
  Thread& me = *current;
  const u32 bit = 1u << me.lane;
  me.wait = wait;
  me.warp->ready &= ~bit;
  me.warp->waiting |= bit;
  leave(me);
}

void Block::sync_threads() {
  const u64 phase = barrier_phase;
  if (++at_barrier == live) return open_barrier();
  wait_until({"__syncthreads", [](const Block& block, u64 ticket) { return block.barrier_phase != ticket; }, phase});
}

void Block::open_barrier() {
  at_barrier = 0;
  barrier_phase++;
}

void Block::thread_main() {
  Thread& me = *current;
  Block& block = *me.block;
  const Launch& launch = *block.launch;
  launch.kernel.call(launch.kernel, launch.arguments);
  Warp& warp = *me.warp;
  if (block.units) block.units->check_thread((u32)warp.position, (u32)(&me - block.threads.data()));
  if (warp.arrived) {
    fail(cuda_launch_failed, "returned while lanes %08x wait in %s", warp.arrived, warp.operation->name);
  }
  const u32 bit = 1u << me.lane;
  warp.ready &= ~bit;
  warp.absent |= bit;
  block.live--;
  if (block.live && block.at_barrier == block.live) block.open_barrier();  // a thread that returned does not count
  block.cluster->thread_returned();
  block.leave(me);
  __builtin_unreachable();
}

void Block::abandon() {
  void* dropped;
  rt_host_switch(&dropped, scheduler);
  __builtin_unreachable();
}

void Block::report_deadlock() {
  report(*this, nullptr, cuda_launch_failed, "deadlock: no thread can go on");
  u32 lines = 0;
  for (const Warp& warp : warps) {
    if (lines++ == 8) break;
    const char* wait = warp.waiting ? warp.threads[__builtin_ctz(warp.waiting)].wait.name : "a wait";
    std::fprintf(stderr, "  warp %llu: lanes %08x in %s, %08x in %s, %08x returned or absent\n", warp.position,
                 warp.arrived, warp.arrived ? warp.operation->name : "no operation", warp.waiting, wait, warp.absent);
  }
}

}  // namespace rt_host
