// The types of the device half of rt.cuh, as g++ sees them.
#pragma once
#include <cstddef>
#include <cstdint>

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct f16 {
  u16 bits;
};
struct alignas(16) v128 {
  u32 x, y, z, w;
};

namespace rt_host {

// threadIdx, blockIdx, blockDim and gridDim.
struct Index3 {
  u32 x = 1, y = 1, z = 1;
  u64 count() const { return (u64)x * y * z; }
  // The i-th place of so many along each axis, x first.
  Index3 at(u64 i) const { return {(u32)(i % x), (u32)(i / x % y), (u32)(i / x / y)}; }
};

}  // namespace rt_host
