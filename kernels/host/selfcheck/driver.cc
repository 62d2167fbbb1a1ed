// Checks the stand-in driver's own rules: `driver GROUP`. Prints each broken rule; the exit code counts them.
#include <cstdio>
#include <string>
#include <vector>
#include "cuda.h"

namespace {

int broken = 0;
#define CHECK(condition)                                                   \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::printf("line %d: %s does not hold\n", __LINE__, #condition);    \
      broken++;                                                            \
    }                                                                      \
  } while (false)

constexpr u32 non_blocking = 1, global_mode = 0, relaxed_mode = 2;

void start() {
  void* context;
  CHECK(cuMemAlloc_v2(nullptr, 16) == 3);
  CHECK(cuInit(0) == 0);
  CHECK(cuMemAlloc_v2(nullptr, 16) == 201);
  CHECK(cuDevicePrimaryCtxRetain(&context, 0) == 0 && cuCtxSetCurrent(context) == 0);
  CHECK(cuDevicePrimaryCtxRetain(&context, 99) == 101);
}

void* stream_of(u32 flags) {
  void* stream = nullptr;
  CHECK(cuStreamCreate(&stream, flags) == 0);
  return stream;
}
void* function_of(const char* name) {
  void *module = nullptr, *function = nullptr;
  CHECK(cuModuleLoadData(&module, "any image") == 0);
  CHECK(cuModuleGetFunction(&function, module, "no_such_kernel") == 500);
  CHECK(cuModuleGetFunction(&function, module, name) == 0);
  return function;
}
u64 allocate(size_t bytes) {
  u64 address = 0;
  CHECK(cuMemAlloc_v2(&address, bytes) == 0);
  return address;
}

// Expects BIOLLMNET_STANDIN_MEMORY=1000000.
void memory() {
  size_t free = 0, total = 0;
  CHECK(cuMemGetInfo_v2(&free, &total) == 0 && free == 1000000 && total == 1000000);
  const u64 a = allocate(400000);
  u64 b = 0;
  CHECK(cuMemAlloc_v2(&b, 600001) == 2 && cuMemAllocAsync(&b, 600001, nullptr) == 2);
  CHECK(cuMemGetInfo_v2(&free, &total) == 0 && free == 600000);
  CHECK(cuMemAlloc_v2(&b, 0) == 1);
  std::vector<u32> words(100001);
  CHECK(cuMemcpyDtoH_v2(words.data(), a, 400000) == 0 && words[0] == ~0u && words[99999] == ~0u);
  CHECK(cuMemcpyDtoH_v2(words.data(), a, 400001) == 1 && cuMemcpyHtoD_v2(a + 4, words.data(), 400000) == 1);
  CHECK(cuMemFree_v2(a) == 0 && cuMemFree_v2(a) == 1 && cuMemFree_v2(0) == 0);
  CHECK(cuMemcpyDtoH_v2(words.data(), a, 4) == 1);
  standin_fail_alloc_at(2, 0);
  CHECK(cuMemAlloc_v2(&b, 16) == 0 && cuMemAlloc_v2(&b, 16) == 2 && cuMemAlloc_v2(&b, 16) == 0);
  standin_fail_alloc_at(1, 1);
  CHECK(cuMemAlloc_v2(&b, 16) == 2 && cuMemAlloc_v2(&b, 16) == 2);
  standin_fail_alloc_at(0, 0);
  CHECK(cuMemAlloc_v2(&b, 16) == 0);
}

// Expects BIOLLMNET_STANDIN_FAIL_ALLOC=2.
void failing() {
  u64 a = 0;
  CHECK(cuMemAlloc_v2(&a, 16) == 0 && cuMemAlloc_v2(&a, 16) == 2 && cuMemAlloc_v2(&a, 16) == 0);
}

int write_global(u64 address, int at, void* stream) {
  static void* function = function_of("write_global");
  void* arguments[] = {&address, &at};
  return cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, stream, arguments, nullptr);
}

void launches() {
  const u64 y = allocate(1000);  // 250 floats; the allocation ends at 252
  CHECK(write_global(y, 249, nullptr) == 0);
  CHECK(write_global(y, 252, nullptr) == 700);
  CHECK(write_global(y, 0, nullptr) == 700 && cuCtxSynchronize() == 700);  // the error sticks
  standin_reset();
  CHECK(write_global(y, 0, nullptr) == 0);
  CHECK(write_global(y, -1, nullptr) == 0 && cuMemFree_v2(y) == 0 && cuCtxSynchronize() == 700);  // seen when freed
  standin_reset();
  CHECK(write_global(y, 0, nullptr) == 700);  // after the free
  standin_reset();

  void* reverse = function_of("reverse");
  u64 x = allocate(1024), out = allocate(1024);
  void* arguments[] = {&x, &out};
  const auto launch = [&](u32 threads, u32 shared) {
    return cuLaunchKernel(reverse, 1, 1, 1, threads, 1, 1, shared, nullptr, arguments, nullptr);
  };
  CHECK(launch(256, 1024) == 0 && launch(257, 2048) == 1 && launch(0, 1024) == 1);
  CHECK(launch(256, 48 << 10) == 0 && launch(256, (48 << 10) + 1) == 1);
  CHECK(cuFuncSetAttribute(reverse, 8, (227 << 10) + 1) == 1 && cuFuncSetAttribute(reverse, 8, 227 << 10) == 0);
  CHECK(launch(256, 227 << 10) == 0);
}

void capture() {
  void *s = stream_of(non_blocking), *t = stream_of(non_blocking), *graph, *executable, *event, *other, *module;
  CHECK(cuEventCreate(&event, 2) == 0 && cuEventCreate(&other, 2) == 0);
  const u64 y = allocate(16);
  u32 words[4];
  u64 scratch;
  const auto read = [&] { return cuMemcpyDtoH_v2(words, y, 16) == 0 ? words[0] : 12345; };

  // Recorded work runs at the launch of the graph, fork and join included.
  CHECK(cuStreamBeginCapture_v2(s, global_mode) == 0 && cuStreamBeginCapture_v2(s, global_mode) == 401);
  CHECK(cuMemsetD32Async(y, 1, 4, s) == 0 && cuEventRecord(event, s) == 0 && cuStreamWaitEvent(t, event, 0) == 0);
  CHECK(cuMemsetD32Async(y, 2, 4, t) == 0 && cuEventRecord(other, t) == 0 && cuStreamWaitEvent(s, other, 0) == 0);
  CHECK(cuEventQuery(event) == 907 && cuEventSynchronize(event) == 907);
  CHECK(cuStreamEndCapture(t, &graph) == 903 && cuStreamEndCapture(s, &graph) == 0);
  CHECK(read() == ~0u && cuGraphInstantiateWithFlags(&executable, graph, 0) == 0 && read() == ~0u);
  CHECK(cuGraphLaunch(executable, s) == 0 && cuStreamSynchronize(s) == 0 && read() == 2);

  // What a capture refuses also spoils it.
  const auto refused = [&](int expected, auto call) {
    int status = 0;
    CHECK(cuStreamBeginCapture_v2(s, global_mode) == 0);
    CHECK(call() == expected);
    CHECK(cuStreamIsCapturing(s, &status) == 0 && status == 2);
    CHECK(cuMemsetD32Async(y, 1, 4, s) == 901 && cuStreamEndCapture(s, &graph) == 901 && graph == nullptr);
  };
  refused(900, [&] { return cuStreamSynchronize(s); });
  refused(900, [&] { return cuStreamQuery(s); });
  refused(900, [&] { return cuCtxSynchronize(); });
  refused(900, [&] { return cuMemAlloc_v2(&scratch, 16); });
  refused(900, [&] { return cuMemFree_v2(y); });
  refused(900, [&] { return cuMemcpyDtoH_v2(words, y, 16); });
  refused(900, [&] { return cuModuleLoadData(&module, "image"); });
  CHECK(cuEventRecord(event, t) == 0);
  refused(905, [&] { return cuStreamWaitEvent(s, event, 0); });

  // Relaxed captures allow allocations; unjoined work and blocking streams are noticed.
  CHECK(cuStreamBeginCapture_v2(s, relaxed_mode) == 0 && cuMemAlloc_v2(&scratch, 16) == 0);
  CHECK(cuEventRecord(event, s) == 0 && cuStreamWaitEvent(t, event, 0) == 0 && cuMemsetD32Async(y, 3, 4, t) == 0);
  CHECK(cuStreamEndCapture(s, &graph) == 904);
  void* blocking = stream_of(0);
  CHECK(cuStreamBeginCapture_v2(blocking, relaxed_mode) == 0 && cuMemcpyDtoH_v2(words, y, 16) == 906);
  CHECK(cuMemsetD32Async(y, 3, 4, nullptr) == 906 && cuStreamBeginCapture_v2(nullptr, 0) == 900);
  CHECK(cuStreamEndCapture(blocking, &graph) == 901);
}

// Late streams: nothing happens before somebody waits, and pinned memory is read late.
void late() {
  standin_configure(0, 0, 1);
  void *s = stream_of(non_blocking), *t = stream_of(non_blocking), *event, *host;
  CHECK(cuEventCreate(&event, 0) == 0 && cuMemHostAlloc(&host, 16, 0) == 0);
  const u64 y = allocate(16), z = allocate(16);
  u32 word = 0;
  *(u32*)host = 5;
  CHECK(cuMemcpyHtoDAsync_v2(y, host, 4, s) == 0 && cuEventRecord(event, s) == 0);
  *(u32*)host = 6;  // too early: the copy has not run
  CHECK(cuEventQuery(event) == 600 && cuEventSynchronize(event) == 0 && cuEventQuery(event) == 0);
  CHECK(cuMemcpyDtoH_v2(&word, y, 4) == 0 && word == 6);
  word = 7;
  CHECK(cuMemcpyHtoDAsync_v2(y, &word, 4, s) == 0);
  word = 8;  // allowed: pageable memory was read by the call
  CHECK(cuMemcpyDtoH_v2(&word, y, 4) == 0 && word == 6);  // the default stream does not wait for such a stream
  CHECK(cuMemcpyDtoHAsync_v2(host, y, 4, s) == 0 && *(u32*)host == 6);
  CHECK(cuStreamSynchronize(s) == 0 && *(u32*)host == 7);

  // A wait orders streams; without it the second sees the old value.
  CHECK(cuMemsetD32Async(z, 1, 4, s) == 0 && cuEventRecord(event, s) == 0 && cuStreamWaitEvent(t, event, 0) == 0);
  CHECK(cuMemcpyDtoHAsync_v2(host, z, 4, t) == 0 && cuStreamSynchronize(t) == 0 && *(u32*)host == 1);
  CHECK(write_global(z, 1000000, s) == 0 && cuStreamSynchronize(s) == 700);  // errors come with the wait
  standin_reset();
  CHECK(cuMemFreeHost(host) == 0 && cuMemFreeHost(host) == 1);
}

}  // namespace

int main(int, char** arguments) {
  const std::string group = arguments[1];
  start();
  if (group == "memory") memory();
  if (group == "failing") failing();
  if (group == "launches") launches();
  if (group == "capture") capture();
  if (group == "late") late();
  return broken;
}
