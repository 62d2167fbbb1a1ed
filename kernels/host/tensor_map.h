// What the copying unit knows of a matrix in device memory (CUtensorMap): two dimensions, boxes of them, the pattern in
// which a box lies in shared memory.
#pragma once
#include "types.h"

namespace rt_host {

struct alignas(64) TensorMap {
  u64 magic;
  unsigned char* base;
  u64 width, height;  // elements, rows
  u64 pitch;          // bytes from row to row
  u32 box_width, box_height;
  u32 element_bytes;
  u32 swizzled;       // 1: by swizzled128
  u64 rest[7];

  bool is_sound() const;
};
static_assert(sizeof(TensorMap) == 128, "as large as the driver's");

// Fills `map`; returns null, or what is wrong with the numbers, by the rules of cuTensorMapEncodeTiled and those of the
// kernels here.
const char* encode(TensorMap& map, u32 element_bytes, void* base, const u64 (&size)[2], u64 pitch, const u32 (&box)[2],
                   bool swizzled);

}  // namespace rt_host
