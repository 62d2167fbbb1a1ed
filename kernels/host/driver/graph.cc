// Capturing streams into graphs and running them.
#include "stream.h"

using namespace standin;

CU_ENTRY cuStreamBeginCapture_v2(Stream* handle, unsigned mode) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  Stream& stream = stream_of(handle);
  if (&stream == &stream_of(nullptr)) return capture_unsupported;
  if (stream.capture) return illegal_state;
  if (mode > 2) return invalid_value;
  // What waits in the stream is done now: positions in a capture are counted from there.
  if (const int error = stream.drain()) return error;
  stream.capture = std::make_shared<Capture>();
  stream.capture->origin = &stream;
  stream.capture->mode = (CaptureMode)mode;
  stream.capture->thread = std::this_thread::get_id();
  return success;
}
CU_ENTRY cuStreamEndCapture(Stream* handle, Graph** graph) {
  const Call call;
  *graph = nullptr;
  Stream& stream = stream_of(handle);
  const std::shared_ptr<Capture> capture = stream.capture;
  if (!capture) return illegal_state;
  if (capture->origin != &stream) return capture_unmatched;
  const bool own_thread = capture->thread == std::this_thread::get_id();
  if (capture->mode != CaptureMode::relaxed && !own_thread) return capture_wrong_thread;
  stream.capture.reset();
  bool all_joined = true;
  for (const auto& [other, joined] : capture->joined) {
    other->capture.reset();
    all_joined = all_joined && joined;
  }
  if (capture->error) return capture->error;
  if (!all_joined) return capture_unjoined;
  *graph = new Graph(std::move(capture->graph));
  return success;
}
CU_ENTRY cuStreamIsCapturing(Stream* stream, int* status) {
  const Call call;
  const Capture* capture = stream_of(stream).capture.get();
  *status = !capture ? 0 : capture->error ? 2 : 1;
  return success;
}
CU_ENTRY cuGraphInstantiateWithFlags(Graph** executable, Graph* graph, u64 flags) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  if (!graph || flags & ~(u64)0xf || (flags & 4 && flags & 1)) return invalid_value;
  *executable = new Graph(*graph);
  return success;
}
CU_ENTRY cuGraphExecUpdate_v2(Graph* executable, Graph* graph, void*) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  if (executable->work.size() != graph->work.size()) return graph_update_failure;
  executable->work = graph->work;
  return success;
}
CU_ENTRY cuGraphUpload(Graph* executable, Stream*) {
  const Call call;
  const int error = call.obstacle();
  return error ? error : executable ? success : invalid_value;
}
CU_ENTRY cuGraphLaunch(Graph* executable, Stream* handle) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  Stream& stream = stream_of(handle);
  if (stream.capture) return not_supported;  // graphs inside graphs are not emulated
  counters.graph_launches++;
  const std::vector<Work> work = executable->work;
  return stream.submit([work] {
    for (const Work& one : work) {
      if (const int error = one()) return error;
    }
    return (int)success;
  });
}
CU_ENTRY cuGraphGetNodes(Graph* graph, void**, size_t* count) {
  *count = graph->work.size();
  return success;
}
CU_ENTRY cuGraphDestroy(Graph* graph) {
  delete graph;
  return success;
}
CU_ENTRY cuGraphExecDestroy(Graph* executable) {
  delete executable;
  return success;
}
