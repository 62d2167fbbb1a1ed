// Numbers of eight bits with four of exponent and three of fraction (e4m3): no infinities, NaN is 0x7f and 0xff.
#pragma once
#include <cmath>
#include "half.h"
#include "types.h"

namespace rt_host {

constexpr float largest_e4m3 = 448.0f;

inline float widen_e4m3(unsigned char bits) {
  const u32 exponent = bits >> 3 & 15, fraction = bits & 7, sign = (u32)(bits & 0x80) << 24;
  if ((bits & 0x7f) == 0x7f) return bits_float(sign | 0x7fc00000u);
  if (exponent == 0) return bits_float(sign | float_bits((float)fraction * 0x1p-9f));
  return bits_float(sign | (exponent + 120) << 23 | fraction << 20);
}
// To the nearest, ties to even; what is beyond the largest becomes the largest.
inline unsigned char narrow_e4m3(float f) {
  const u32 bits = float_bits(f), magnitude = bits & 0x7fffffffu;
  const unsigned char sign = (unsigned char)(bits >> 24 & 0x80);
  if (magnitude > 0x7f800000u) return sign | 0x7f;
  const float size = bits_float(magnitude);
  if (size >= largest_e4m3) return sign | 0x7e;
  if (size < 0x1p-6f) return sign | (unsigned char)std::nearbyintf(size * 0x1p9f);  // 8 of them are the least normal number
  const u32 rounded = magnitude + 0x7ffffu + (magnitude >> 20 & 1);
  return sign | (unsigned char)((rounded >> 20) - (120u << 3));
}

}  // namespace rt_host
