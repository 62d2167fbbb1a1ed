// Copies and fills. Addresses are checked when a call is made and again when its work runs.
#include <cstring>
#include <memory>
#include <vector>
#include "memory.h"
#include "stream.h"

using namespace standin;

namespace {

// Work that first looks whether its places still are inside their allocations.
template <class F> Work checked(u64 a, u64 b, size_t bytes, F run) {
  return [=] {
    if (!on_device(a, bytes) || !on_device(b, bytes)) return (int)invalid_value;
    run();
    return (int)success;
  };
}

int copy_to_device(u64 to, const void* from, size_t bytes, Stream& stream) {
  if (!on_device(to, bytes)) return invalid_value;
  if (stream.capture || is_pinned(from)) {
    return stream.submit(checked(to, to, bytes, [=] { std::memcpy((void*)to, from, bytes); }));
  }
  // Pageable memory is read before the call returns.
  const auto staged = std::make_shared<std::vector<char>>((const char*)from, (const char*)from + bytes);
  return stream.submit(checked(to, to, bytes, [=] { std::memcpy((void*)to, staged->data(), bytes); }));
}

int copy_from_device(void* to, u64 from, size_t bytes, Stream& stream) {
  if (!on_device(from, bytes)) return invalid_value;
  const int error = stream.submit(checked(from, from, bytes, [=] { std::memcpy(to, (const void*)from, bytes); }));
  if (error || stream.capture || is_pinned(to)) return error;
  return stream.drain();  // pageable memory is written before the call returns
}

int copy_on_device(u64 to, u64 from, size_t bytes, Stream& stream) {
  if (!on_device(to, bytes) || !on_device(from, bytes)) return invalid_value;
  return stream.submit(checked(to, from, bytes, [=] { std::memmove((void*)to, (const void*)from, bytes); }));
}

template <class T> int fill(u64 to, T value, size_t count, Stream& stream) {
  const size_t bytes = count * sizeof(T);
  if (to % sizeof(T) || !on_device(to, bytes)) return invalid_value;
  return stream.submit(checked(to, to, bytes, [=] {
    for (size_t i = 0; i < count; i++) ((T*)to)[i] = value;
  }));
}

// A call on a stream, and the same on the default stream that returns once it is done.
template <class F> int on_stream(Stream* handle, F call_with) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  return call_with(stream_of(handle));
}
template <class F> int at_once(F call_with) {
  const Call call;
  if (const int error = call.obstacle()) return error;
  if (const int error = forbid_default_stream()) return error;
  if (const int error = forbid_unsafe()) return error;
  Stream& stream = stream_of(nullptr);
  const int error = call_with(stream);
  return error ? error : stream.drain();
}

}  // namespace

CU_ENTRY cuMemcpyHtoDAsync_v2(u64 to, const void* from, size_t bytes, Stream* stream) {
  return on_stream(stream, [=](Stream& s) { return copy_to_device(to, from, bytes, s); });
}
CU_ENTRY cuMemcpyDtoHAsync_v2(void* to, u64 from, size_t bytes, Stream* stream) {
  return on_stream(stream, [=](Stream& s) { return copy_from_device(to, from, bytes, s); });
}
CU_ENTRY cuMemcpyDtoDAsync_v2(u64 to, u64 from, size_t bytes, Stream* stream) {
  return on_stream(stream, [=](Stream& s) { return copy_on_device(to, from, bytes, s); });
}
CU_ENTRY cuMemsetD8Async(u64 to, unsigned char value, size_t count, Stream* stream) {
  return on_stream(stream, [=](Stream& s) { return fill(to, value, count, s); });
}
CU_ENTRY cuMemsetD32Async(u64 to, u32 value, size_t count, Stream* stream) {
  return on_stream(stream, [=](Stream& s) { return fill(to, value, count, s); });
}
CU_ENTRY cuMemcpyHtoD_v2(u64 to, const void* from, size_t bytes) {
  return at_once([=](Stream& s) { return copy_to_device(to, from, bytes, s); });
}
CU_ENTRY cuMemcpyDtoH_v2(void* to, u64 from, size_t bytes) {
  return at_once([=](Stream& s) { return copy_from_device(to, from, bytes, s); });
}
CU_ENTRY cuMemcpyDtoD_v2(u64 to, u64 from, size_t bytes) {
  return at_once([=](Stream& s) { return copy_on_device(to, from, bytes, s); });
}
CU_ENTRY cuMemsetD8_v2(u64 to, unsigned char value, size_t count) {
  return at_once([=](Stream& s) { return fill(to, value, count, s); });
}
CU_ENTRY cuMemsetD32_v2(u64 to, u32 value, size_t count) {
  return at_once([=](Stream& s) { return fill(to, value, count, s); });
}
