#include "tensor_map.h"

namespace rt_host {
namespace {

constexpr u64 magic_number = 0x70616d726f736e74;

}  // namespace

bool TensorMap::is_sound() const { return magic == magic_number && (uintptr_t)this % 64 == 0; }

const char* encode(TensorMap& map, u32 element_bytes, void* base, const u64 (&size)[2], u64 pitch, const u32 (&box)[2],
                   bool swizzled) {
  if ((uintptr_t)&map % 64) return "the map is not 64-byte aligned";
  if (!base || (uintptr_t)base % 16) return "the matrix is not 16-byte aligned";
  if (size[0] == 0 || size[1] == 0 || size[0] >> 32 || size[1] >> 32) return "a size is 0 or beyond 2^32";
  if (pitch % 16 || pitch >> 40 || pitch < size[0] * element_bytes) return "rows are not whole pieces of 16 bytes apart";
  if (box[0] == 0 || box[1] == 0 || box[0] > 256 || box[1] > 256) return "a box of 0 or more than 256";
  if (box[0] * element_bytes % 16) return "rows of a box are not whole pieces of 16 bytes";
  if (swizzled && box[0] * element_bytes != 128) return "rows of a swizzled box are not 128 bytes";
  map = {magic_number, (unsigned char*)base, size[0], size[1], pitch, box[0], box[1], element_bytes, swizzled, {}};
  return nullptr;
}

}  // namespace rt_host
