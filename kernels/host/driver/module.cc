// Modules, functions and launches. Any image loads: the kernels are those linked into this library.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>
#include "../launch.h"
#include "stream.h"

using namespace standin;

namespace {

constexpr size_t shared_without_opt_in = 48 << 10;
constexpr size_t shared_limit = 227 << 10;
constexpr size_t shared_of_multiprocessor = 228 << 10, shared_reserved = 1 << 10;

struct Function {
  const rt_host::Kernel* kernel;
  size_t max_shared = shared_without_opt_in;  // dynamic shared memory, raised by cuFuncSetAttribute
};
struct Module {
  std::map<std::string, Function> functions;
};

// The values of the arguments, copied at the launch as the driver does.
struct Arguments {
  struct alignas(128) Value {
    char bytes[256];
  };
  std::vector<Value> values;

  Arguments(const rt_host::Kernel& kernel, void** from) : values(kernel.n_arguments) {
    for (u32 i = 0; i < kernel.n_arguments; i++) std::memcpy(values[i].bytes, from[i], kernel.argument_bytes[i]);
  }
  std::vector<void*> pointers() {
    std::vector<void*> all;
    for (Value& value : values) all.push_back(value.bytes);
    return all;
  }
};

using rt_host::Index3;

// BIOLLMNET_STANDIN_FAIL_LAUNCH=n: the device is lost at the n-th kernel that runs, counted over graphs too.
bool device_is_lost() {
  static const char* value = std::getenv("BIOLLMNET_STANDIN_FAIL_LAUNCH");
  static const u64 at = value ? std::strtoull(value, nullptr, 10) : 0;
  static std::atomic<u64> number{0};
  return at != 0 && ++number == at;
}
constexpr int launch_failed = 719;

int launch(Function* function, Index3 grid, Index3 block, u32 shared, Stream* handle, void** arguments) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  if (!function) return invalid_handle;
  const rt_host::Kernel& kernel = *function->kernel;
  if (shared > function->max_shared) {
    std::fprintf(stderr, "stand-in driver: %s: %u bytes of dynamic shared memory, %zu allowed\n", kernel.name, shared,
                 function->max_shared);
    return invalid_value;
  }
  if (!rt_host::fits(kernel, grid, block, shared)) return invalid_value;
  const auto values = std::make_shared<Arguments>(kernel, arguments);
  return stream_of(handle).submit([=, &kernel] {
    if (device_is_lost()) return launch_failed;
    std::vector<void*> pointers = values->pointers();
    return rt_host::run({kernel, grid, block, shared, pointers.data(), rt_host::Options::of_process()});
  });
}

// Blocks of the function that fit a multiprocessor with 2048 threads.
int occupancy(const Function& function, int threads, size_t shared) {
  if (threads <= 0 || (u32)threads > function.kernel->max_threads || shared > function.max_shared) return 0;
  const size_t by_shared = shared_of_multiprocessor / (shared + shared_reserved);
  return (int)std::min({(size_t)(2048 / threads), by_shared, (size_t)32});
}

}  // namespace

CU_ENTRY cuModuleLoadData(Module** module, const void* image) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  if (const int error = forbid_unsafe()) return error;
  if (!image) return invalid_value;
  *module = new Module;
  return success;
}
CU_ENTRY cuModuleLoadDataEx(Module** module, const void* image, unsigned, void*, void*) {
  return cuModuleLoadData(module, image);
}
CU_ENTRY cuModuleUnload(Module* module) {
  const Call call;
  const int error = drain_all();
  delete module;
  return error;
}
CU_ENTRY cuModuleGetFunction(Function** function, Module* module, const char* name) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  const rt_host::Kernel* kernel = rt_host::Kernel::find(name);
  if (!kernel) return not_found;
  *function = &module->functions.emplace(name, Function{kernel}).first->second;
  return success;
}
CU_ENTRY cuFuncSetAttribute(Function* function, int attribute, int value) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  if (attribute == 9) return value >= -1 && value <= 100 ? success : invalid_value;  // preferred carve-out
  if (attribute != 8 || value < 0 || (size_t)value > shared_limit) return invalid_value;
  function->max_shared = (size_t)value;
  return success;
}
CU_ENTRY cuFuncGetAttribute(int* value, int attribute, Function* function) {
  const Call call;
  const Settings& settings = Settings::get();
  switch (attribute) {
    case 0: *value = (int)function->kernel->max_threads; break;
    case 1: case 2: case 3: *value = 0; break;  // static shared memory, constants, local memory
    case 4: *value = (int)std::min(65536 / function->kernel->max_threads, 255u); break;  // registers
    case 5: case 6: *value = settings.major * 10 + settings.minor; break;
    case 8: *value = (int)function->max_shared; break;
    default: return invalid_value;
  }
  return success;
}
CU_ENTRY cuFuncSetCacheConfig(Function*, int) { return success; }
CU_ENTRY cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, Function* f, int threads, size_t shared,
                                                              unsigned) {
  *blocks = occupancy(*f, threads, shared);
  return success;
}
CU_ENTRY cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Function* f, int threads, size_t shared) {
  *blocks = occupancy(*f, threads, shared);
  return success;
}
CU_ENTRY cuLaunchKernel(Function* function, u32 gx, u32 gy, u32 gz, u32 bx, u32 by, u32 bz, u32 shared, Stream* stream,
                        void** arguments, void** extra) {
  if (extra) return not_supported;
  return launch(function, {gx, gy, gz}, {bx, by, bz}, shared, stream, arguments);
}
// CUlaunchConfig; attributes are hints here, but for clusters.
struct LaunchConfig {
  u32 grid[3], block[3], shared;
  Stream* stream;
  const struct { int id; int pad; u32 value[16]; }* attributes;
  u32 n_attributes;
};
CU_ENTRY cuLaunchKernelEx(const LaunchConfig* config, Function* function, void** arguments, void** extra) {
  if (extra) return not_supported;
  for (u32 i = 0; i < config->n_attributes; i++) {
    if (config->attributes[i].id == 4) return not_supported;  // CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
  }
  const u32 *g = config->grid, *b = config->block;
  return launch(function, {g[0], g[1], g[2]}, {b[0], b[1], b[2]}, config->shared, config->stream, arguments);
}
