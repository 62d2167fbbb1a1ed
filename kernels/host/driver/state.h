// What the whole stand-in driver shares: settings, the lock, the error that sticks to the context, counters.
#pragma once
#include <mutex>
#include "../types.h"

// An entry point of libcuda.so.
#define CU_ENTRY extern "C" __attribute__((visibility("default"))) int

namespace standin {

enum Code : int {
  success = 0,
  invalid_value = 1,
  out_of_memory = 2,
  not_initialized = 3,
  no_device = 100,
  invalid_device = 101,
  invalid_context = 201,
  invalid_handle = 400,
  illegal_state = 401,
  not_found = 500,
  not_ready = 600,
  not_supported = 801,
  capture_unsupported = 900,
  capture_invalidated = 901,
  capture_merge = 902,
  capture_unmatched = 903,
  capture_unjoined = 904,
  capture_isolation = 905,
  capture_implicit = 906,
  captured_event = 907,
  capture_wrong_thread = 908,
  graph_update_failure = 910,
};

// From the environment, BIOLLMNET_STANDIN_*, read once.
struct Settings {
  int devices;        // DEVICES, default 1
  u64 memory;         // MEMORY: bytes of each device, default 8 GiB
  int major, minor;   // CAPABILITY, default 9.0
  bool late_streams;  // STREAM=late: work runs when somebody waits for it, not when it is submitted
  static Settings& get();
};
constexpr int max_devices = 16;

struct Counters {
  u64 allocations, live_allocations, live_bytes, peak_bytes, graph_launches;
};
extern Counters counters;

// Holds the driver's lock during a call.
struct Call {
  std::lock_guard<std::recursive_mutex> hold;
  Call();
  // What keeps the call from its work: no cuInit, no current context, or an earlier error of a kernel.
  int obstacle() const;
};

// An error of a kernel stays until `unstick`.
void stick(int error);
int stuck();
void unstick();

// The device of the calling thread's context; negative without one.
int current_device();
void initialize();

}  // namespace standin
