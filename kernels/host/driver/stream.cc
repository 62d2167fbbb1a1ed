#include "stream.h"
#include <set>

namespace standin {
namespace {

Stream default_stream;
std::set<Stream*> streams{&default_stream};

}  // namespace

int Stream::submit(Work work) {
  if (capture) {
    if (capture->error) return capture_invalidated;
    capture->graph.work.push_back(std::move(work));
    if (this != capture->origin) capture->joined[this] = false;
    submitted++;  // a position for events of the capture
    done++;
    return success;
  }
  if (this == &default_stream) {
    if (const int error = forbid_default_stream()) return error;
    if (const int error = drain_blocking()) return error;
  }
  queue.push_back(std::move(work));
  submitted++;
  return Settings::get().late_streams ? success : drain();
}

int Stream::run_to(u64 position) {
  while (done < position && !queue.empty()) {
    const Work work = std::move(queue.front());
    queue.pop_front();
    done++;
    if (stuck()) continue;
    if (const int error = work()) stick(error);
  }
  return stuck();
}

Stream& stream_of(Stream* handle) {
  const bool is_default = (u64)handle <= 2;  // null, CU_STREAM_LEGACY, CU_STREAM_PER_THREAD
  return is_default ? default_stream : *handle;
}

int drain_all() {
  for (Stream* stream : streams) stream->drain();
  return stuck();
}
int drain_blocking() {
  for (Stream* stream : streams) {
    if (stream->blocking && stream != &default_stream) stream->drain();
  }
  return stuck();
}

int forbid_default_stream() {
  int error = success;
  for (Stream* stream : streams) {
    if (!stream->capture || !stream->blocking) continue;
    invalidate(*stream->capture);
    error = capture_implicit;
  }
  return error;
}

void invalidate(Capture& capture) { capture.error = capture_invalidated; }

int forbid_unsafe() {
  int error = success;
  for (Stream* stream : streams) {
    if (!stream->capture) continue;
    const CaptureMode mode = stream->capture->mode;
    const bool own = stream->capture->thread == std::this_thread::get_id();
    if (mode == CaptureMode::relaxed || (mode == CaptureMode::thread_local_ && !own)) continue;
    invalidate(*stream->capture);
    error = capture_unsupported;
  }
  return error;
}

}  // namespace standin

using namespace standin;

CU_ENTRY cuStreamCreate(Stream** stream, unsigned flags) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  if (flags > 1) return invalid_value;
  *stream = new Stream;
  (*stream)->blocking = flags == 0;
  streams.insert(*stream);
  return success;
}
CU_ENTRY cuStreamCreateWithPriority(Stream** stream, unsigned flags, int) { return cuStreamCreate(stream, flags); }
CU_ENTRY cuStreamDestroy_v2(Stream* stream) {
  const Call call;
  if (streams.count(stream) == 0 || stream == &default_stream) return invalid_handle;
  const int error = stream->drain();
  streams.erase(stream);
  // Events may still name it; a stand-in for tests keeps the few bytes.
  return error;
}
CU_ENTRY cuStreamSynchronize(Stream* handle) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  Stream& stream = stream_of(handle);
  if (stream.capture) {
    invalidate(*stream.capture);
    return capture_unsupported;
  }
  if (&stream == &default_stream && drain_blocking()) return stuck();
  return stream.drain();
}
CU_ENTRY cuStreamQuery(Stream* handle) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  Stream& stream = stream_of(handle);
  if (stream.capture) {
    invalidate(*stream.capture);
    return capture_unsupported;
  }
  if (stream.done == stream.submitted) return success;
  const int error = stream.run_to(stream.done + 1);  // whoever polls sees progress
  return error ? error : not_ready;
}
CU_ENTRY cuCtxSynchronize() {
  const Call call;
  if (const int error = call.obstacle()) return error;
  for (Stream* stream : streams) {
    if (!stream->capture) continue;
    invalidate(*stream->capture);
    return capture_unsupported;
  }
  return drain_all();
}
CU_ENTRY cuLaunchHostFunc(Stream* stream, void (*function)(void*), void* data) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  return stream_of(stream).submit([=] {
    function(data);
    return (int)success;
  });
}
CU_ENTRY cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return success;
}
