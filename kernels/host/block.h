// A block of threads and its turn-taking. Threads run one at a time, each up to its next synchronisation.
#pragma once
#include <memory>
#include <vector>
#include "async_copy.h"
#include "fiber.h"
#include "shared_memory.h"
#include "types.h"

namespace rt_host {

struct AsyncUnits;
struct Block;
class Cluster;
struct Launch;
struct Operation;

constexpr u32 warp_lanes = 32;

// What a thread waits for: over once `over(block, ticket)` says so. The scheduler asks.
struct Wait {
  const char* name = nullptr;
  bool (*over)(const Block&, u64 ticket) = nullptr;
  u64 ticket = 0;
};

struct Warp {
  // Bit l stands for lane l. A lane is ready, waits (Block::wait_until), has arrived at `operation`, or is absent.
  u32 ready = 0;
  u32 waiting = 0;
  u32 arrived = 0;
  u32 absent = 0;
  const Operation* operation = nullptr;
  void* operands[warp_lanes];
  struct Thread* threads = nullptr;  // of lane 0; the others follow
  u64 position = 0;                  // number of the warp in its block
};

struct Thread {
  void* stack = nullptr;
  Warp* warp = nullptr;
  Block* block = nullptr;
  u32 lane = 0;
  Index3 index;
  Wait wait;
  CopyQueue copies;
};

struct Block {
  Index3 index;
  const Launch* launch = nullptr;
  Cluster* cluster = nullptr;
  u32 rank = 0;            // in its cluster
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::vector<u32> order;  // of the warps
  u32 live = 0;            // threads that have not returned
  u32 at_barrier = 0;
  u64 barrier_phase = 0;
  u64 random = 0;          // 0: the natural order, without interruptions
  u64 mmas = 0;
  int error = 0;           // a CUDA error code once something is wrong; nothing runs any more
  void* scheduler = nullptr;
  SharedMemory shared;
  Stacks stacks;
  std::unique_ptr<AsyncUnits> units;  // of compute capability 9.0, once a kernel has used them

  Block();
  ~Block();
  AsyncUnits& async();
  // Makes ready to run block `at` of the launch.
  void start(const Launch& of, Index3 at, Cluster& in, u32 rank_there);
  // Lets each warp go on once that can, to the first error; false where none could.
  bool turn();
  // Complains of what should not be once every thread has returned.
  void check_end();
  void report_deadlock();
  // Called by a thread: sets it aside until the wait is over.
  void wait_until(const Wait& wait);
  // Called by a thread that may not go on: the next ready lane of its warp, or the scheduler, takes over.
  void leave(Thread& thread);
  // Called by a thread of a ready warp: lets other warps go first now and then, where a seed asks for it.
  void interrupt(Thread& thread);
  void sync_threads();
  // Ends the block from within a thread.
  [[noreturn]] void abandon();
  u64 next_random();

 private:
  void poll(Warp& warp);
  void resume(Thread& thread);
  void open_barrier();
  static void thread_main();
};

// The running thread of this thread of the operating system; null outside kernels.
extern thread_local Thread* current __attribute__((tls_model("initial-exec")));

}  // namespace rt_host
