// Tensor maps: matrices of two dimensions as the kernels here use them.
#include <cstdio>
#include "../tensor_map.h"
#include "state.h"

using namespace standin;

namespace {

// Bytes of an element of a CUtensorMapDataType that has a use here; 0 of others.
u32 element_bytes(int type) {
  constexpr int uint8 = 0, float16 = 6;
  return type == uint8 ? 1 : type == float16 ? 2 : 0;
}

}  // namespace

CU_ENTRY cuTensorMapEncodeTiled(rt_host::TensorMap* map, int type, u32 rank, void* base, const u64* size,
                                const u64* pitch, const u32* box, const u32* strides, int interleave, int swizzle,
                                int l2_promotion, int fill) {
  constexpr int no_swizzle = 0, swizzle_128 = 3;
  const char* cause = nullptr;
  if (rank != 2 || !element_bytes(type) || interleave || fill || (swizzle != no_swizzle && swizzle != swizzle_128)) {
    cause = "a kind of map that has no use here";
  } else if (strides[0] != 1 || strides[1] != 1 || l2_promotion < 0 || l2_promotion > 3) {
    cause = "strides or a promotion that do not exist";
  } else {
    cause = rt_host::encode(*map, element_bytes(type), base, {size[0], size[1]}, pitch[0], {box[0], box[1]},
                            swizzle == swizzle_128);
  }
  if (cause) std::fprintf(stderr, "stand-in driver: cuTensorMapEncodeTiled: %s\n", cause);
  return cause ? invalid_value : success;
}
