#include "launch.h"
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>
#include "cluster.h"
#include "export.h"
#include "failure.h"
#include "shared_memory.h"

namespace rt_host {
namespace {

const Kernel* first_kernel = nullptr;
u32 pending_bound = 0, pending_cluster = 0;

std::atomic<u64> n_launches{0}, n_blocks{0}, n_mmas{0};

// Clusters keep the stacks and shared memory of their blocks from launch to launch.
std::mutex spare_lock;
std::vector<std::unique_ptr<Cluster>> spare_clusters;

std::unique_ptr<Cluster> take_cluster() {
  std::lock_guard<std::mutex> hold(spare_lock);
  if (spare_clusters.empty()) return std::make_unique<Cluster>();
  std::unique_ptr<Cluster> cluster = std::move(spare_clusters.back());
  spare_clusters.pop_back();
  return cluster;
}

void give_cluster(std::unique_ptr<Cluster> cluster) {
  std::lock_guard<std::mutex> hold(spare_lock);
  spare_clusters.push_back(std::move(cluster));
}

// Runs clusters of the grid until none is left or one has failed.
void work(const Launch& launch, std::atomic<u64>& next, std::atomic<int>& error) {
  const FaultGuard guard;
  std::unique_ptr<Cluster> cluster = take_cluster();
  const u64 count = launch.grid.count();
  const u32 size = launch.kernel.cluster;
  for (u64 first; !error && (first = next.fetch_add(size)) < count;) {
    cluster->run(launch, first);
    n_blocks += size;
    n_mmas += cluster->mmas();
    if (cluster->error()) error = cluster->error();
  }
  give_cluster(std::move(cluster));
}

u32 number(const char* name, u32 otherwise) {
  const char* value = std::getenv(name);
  return value ? (u32)std::strtoul(value, nullptr, 10) : otherwise;
}

bool is_late(const char* name, bool otherwise) {
  const char* value = std::getenv(name);
  return value ? std::strcmp(value, "late") == 0 : otherwise;
}

}  // namespace

Options Options::from_environment() {
  Options options;
  options.late_copies = is_late("BIOLLMNET_STANDIN_COPY", false);
  options.late_products = is_late("BIOLLMNET_STANDIN_PRODUCTS", options.late_copies);
  options.seed = number("BIOLLMNET_STANDIN_SEED", 0);
  options.threads = number("BIOLLMNET_STANDIN_THREADS", 2);
  return options;
}

Options& Options::of_process() {
  static Options options = from_environment();
  return options;
}

Bounds::Bounds(u32 threads, u32, u32 cluster) {
  pending_bound = threads;
  pending_cluster = cluster;
}

Kernel add_kernel(Kernel kernel, const Kernel* place) {
  if (pending_bound == 0) {
    std::fprintf(stderr, "host shim: RT_EXPORT(%s) does not follow its RT_KERNEL\n", kernel.name);
    std::abort();
  }
  kernel.max_threads = std::exchange(pending_bound, 0);
  kernel.cluster = pending_cluster;
  kernel.next = std::exchange(first_kernel, place);
  return kernel;
}

const Kernel* Kernel::find(const char* name) {
  const Kernel* kernel = first_kernel;
  while (kernel && std::strcmp(kernel->name, name) != 0) kernel = kernel->next;
  return kernel;
}

bool fits(const Kernel& kernel, Index3 grid, Index3 block, size_t shared_bytes) {
  const char* cause = nullptr;
  if (grid.count() == 0 || block.count() == 0) cause = "an empty grid or block";
  if (grid.y > 65535 || grid.z > 65535) cause = "more than 65535 blocks along y or z";
  if (block.count() > kernel.max_threads) cause = "more threads than RT_KERNEL allows";
  if (grid.x % kernel.cluster) cause = "a grid that is no multiple of the kernel's clusters";
  if (shared_bytes > SharedMemory::limit) cause = "more than 227 KiB of shared memory";
  if (cause) std::fprintf(stderr, "host shim: %s: launch refused: %s\n", kernel.name, cause);
  return !cause;
}

int run(const Launch& launch) {
  if (!fits(launch.kernel, launch.grid, launch.block, launch.shared_bytes)) return cuda_invalid_value;
  n_launches++;
  std::atomic<u64> next{0};
  std::atomic<int> error{0};
  std::vector<std::thread> helpers;
  for (u64 i = 1; i < launch.options.threads && i < launch.grid.count() / launch.kernel.cluster; i++) {
    helpers.emplace_back([&] { work(launch, next, error); });
  }
  work(launch, next, error);
  for (std::thread& helper : helpers) helper.join();
  return error;
}

Counters counters() { return {n_launches, n_blocks, n_mmas}; }

}  // namespace rt_host
