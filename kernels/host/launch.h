// Kernels by name and their launch.
#pragma once
#include <initializer_list>
#include "types.h"

namespace rt_host {

struct Options {
  bool late_copies = false;  // deliver asynchronous copies when a wait covers them, not at issue
  bool late_products = false;  // carry out products of warpgroups when a wait covers them, not at issue
  u32 seed = 0;              // 0: warps in their natural order; else permuted and interrupted
  u32 threads = 2;           // of the operating system

  // BIOLLMNET_STANDIN_COPY=early|late (products too), BIOLLMNET_STANDIN_PRODUCTS=early|late, BIOLLMNET_STANDIN_SEED,
  // BIOLLMNET_STANDIN_THREADS
  static Options from_environment();
  // Those of the environment, read once; tests may change them.
  static Options& of_process();
};

// A kernel as RT_EXPORT lists it.
struct Kernel {
  const char* name;
  u32 max_threads;   // of a block
  u32 n_arguments;
  const u32* argument_bytes;
  void (*call)(const Kernel&, void** arguments);  // one thread's run
  void (*function)();
  u32 cluster = 1;   // blocks along x
  const Kernel* next = nullptr;

  static const Kernel* find(const char* name);
};

// One launch in progress.
struct Launch {
  const Kernel& kernel;
  Index3 grid, block;
  size_t shared_bytes;
  void** arguments;
  Options options;
};

// Whether the device would take such a launch; stderr tells why not.
bool fits(const Kernel& kernel, Index3 grid, Index3 block, size_t shared_bytes);
// Runs a grid. 0 or a CUDA error code, in which case stderr tells why.
int run(const Launch& launch);

// The same from C++: run(host_layer_norm_f32, {rows}, {256}, shared bytes, options, arguments...).
template <class... A>
int run(const Kernel& kernel, Index3 grid, Index3 block, size_t shared_bytes, const Options& options, A... arguments) {
  bool fits = sizeof...(A) == kernel.n_arguments;
  u32 i = 0;
  for (size_t bytes : std::initializer_list<size_t>{sizeof(A)...}) fits = fits && kernel.argument_bytes[i++] == bytes;
  if (!fits) return 1;
  void* pointers[] = {(void*)&arguments..., nullptr};
  return run(Launch{kernel, grid, block, shared_bytes, pointers, options});
}

struct Counters {
  u64 launches, blocks, mmas;
};
Counters counters();

}  // namespace rt_host
