// Events: positions in streams.
#include "stream.h"

using namespace standin;

CU_ENTRY cuEventCreate(Event** event, unsigned flags) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  *event = new Event;
  (*event)->timed = (flags & 2) == 0;  // CU_EVENT_DISABLE_TIMING
  return success;
}
CU_ENTRY cuEventDestroy_v2(Event* event) {
  const Call call;
  if (!event) return invalid_handle;
  if (event->stream && !event->capture) event->stream->run_to(event->position);
  delete event;
  return success;
}
CU_ENTRY cuEventRecord(Event* event, Stream* handle) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  Stream& stream = stream_of(handle);
  if (stream.capture && stream.capture->error) return capture_invalidated;
  event->stream = &stream;
  event->capture = stream.capture;
  if (stream.capture) {
    event->position = stream.submitted;
    return success;
  }
  event->position = stream.submitted + 1;
  return stream.submit([event] {
    event->time = std::chrono::steady_clock::now();
    return (int)success;
  });
}
CU_ENTRY cuEventSynchronize(Event* event) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  if (event->capture) return captured_event;
  return event->stream ? event->stream->run_to(event->position) : success;
}
CU_ENTRY cuEventQuery(Event* event) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  if (event->capture) return captured_event;
  if (!event->stream || event->stream->done >= event->position) return success;
  const int error = event->stream->run_to(event->stream->done + 1);
  return error ? error : not_ready;
}
CU_ENTRY cuEventElapsedTime_v2(float* milliseconds, Event* from, Event* to) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  for (const Event* event : {from, to}) {
    if (!event->timed || !event->stream || event->capture) return invalid_handle;
    if (event->stream->done < event->position) return not_ready;
  }
  *milliseconds = std::chrono::duration<float, std::milli>(to->time - from->time).count();
  return success;
}
CU_ENTRY cuEventElapsedTime(float* milliseconds, Event* from, Event* to) {
  return cuEventElapsedTime_v2(milliseconds, from, to);
}

namespace {

// A wait inside a capture joins two of its streams, or brings a stream into it.
int wait_captured(Stream& stream, const Event& event) {
  const std::shared_ptr<Capture> capture = event.capture;
  if (!capture) {  // recorded outside, waited for inside
    invalidate(*stream.capture);
    return capture_isolation;
  }
  if (stream.capture && stream.capture != capture) {
    invalidate(*stream.capture);
    return capture_merge;
  }
  if (!event.stream->capture) return capture_isolation;  // the capture has ended
  if (!stream.capture) {
    stream.capture = capture;
    capture->joined[&stream] = false;
  }
  const bool covers_all = event.position == event.stream->submitted;
  if (event.stream != capture->origin && covers_all) capture->joined[event.stream] = true;
  return success;
}

}  // namespace

CU_ENTRY cuStreamWaitEvent(Stream* handle, Event* event, unsigned) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  Stream& stream = stream_of(handle);
  if (stream.capture || event->capture) return wait_captured(stream, *event);
  if (!event->stream || event->stream == &stream) return success;
  Stream* other = event->stream;
  const u64 position = event->position;
  return stream.submit([=] { return other->run_to(position); });
}
