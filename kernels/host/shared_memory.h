// A block's dynamic shared memory: starts as NaN, ends at an inaccessible page.
#pragma once
#include <cstddef>

namespace rt_host {

class SharedMemory {
 public:
  SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  ~SharedMemory();
  // Fresh contents of `bytes` bytes, 128-byte aligned.
  void reset(size_t bytes);
  void* data() const { return data_; }
  // Whether the bytes between the end and the inaccessible page were left alone.
  bool intact() const;
  bool is_guard(const void* address) const;

  static constexpr size_t limit = 227 << 10;  // what a block may ask for

 private:
  unsigned char* mapped_;
  unsigned char* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace rt_host
