// Streams, events and captures.
#pragma once
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>
#include "../types.h"
#include "state.h"

namespace standin {

using Work = std::function<int()>;  // returns a CUDA error code

// Work in an order that respects its dependencies: the order in which it was captured.
struct Graph {
  std::vector<Work> work;
};

enum class CaptureMode { global, thread_local_, relaxed };

struct Capture {
  Graph graph;
  struct Stream* origin;
  CaptureMode mode;
  std::thread::id thread;
  int error = success;
  std::map<struct Stream*, bool> joined;  // the other streams: whether the origin has waited for all their work
};

struct Stream {
  bool blocking = true;  // ordered with the default stream
  std::shared_ptr<Capture> capture;
  std::deque<Work> queue;
  u64 submitted = 0, done = 0;

  // Captures the work, runs it, or (late streams) keeps it until somebody waits.
  int submit(Work work);
  // Runs what is queued, up to the position if one is given.
  int run_to(u64 position);
  int drain() { return run_to(submitted); }
};

struct Event {
  Stream* stream = nullptr;  // of the last record
  u64 position = 0;
  std::shared_ptr<Capture> capture;
  bool timed = true;
  std::chrono::steady_clock::time_point time;
};

// The default stream for a null handle.
Stream& stream_of(Stream* handle);
// Runs everything that was submitted anywhere.
int drain_all();
// Before work on the default stream: what blocking streams have queued.
int drain_blocking();
// The error of a call that no capture in progress allows (allocating, synchronising); it also spoils the captures.
int forbid_unsafe();
// The same for work on the default stream while a stream that orders itself with it is captured.
int forbid_default_stream();
void invalidate(Capture& capture);

}  // namespace standin
