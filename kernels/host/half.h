// Half precision: conversions that round to nearest even, in hardware where the compiler may use it.
#pragma once
#include <cstring>
#include "types.h"
#ifdef __F16C__
#include <immintrin.h>
#endif

namespace rt_host {

inline u32 float_bits(float f) {
  u32 bits;
  std::memcpy(&bits, &f, 4);
  return bits;
}
inline float bits_float(u32 bits) {
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

// The same without the instructions.
inline float soft_widen(u16 half) {
  const u32 sign = (u32)(half & 0x8000u) << 16, exponent = (half >> 10) & 31u, fraction = half & 0x3ffu;
  if (exponent == 31) return bits_float(sign | 0x7f800000u | fraction << 13 | (fraction ? 0x400000u : 0));
  if (exponent != 0) return bits_float(sign | (exponent + 112) << 23 | fraction << 13);
  const float magnitude = (float)fraction * 0x1p-24f;  // zero or subnormal, exact in f32
  return bits_float(sign | float_bits(magnitude));
}
inline u16 soft_narrow(float f) {
  const u32 bits = float_bits(f), magnitude = bits & 0x7fffffffu;
  const u16 sign = (u16)(bits >> 16 & 0x8000u);
  if (magnitude > 0x7f800000u) return sign | 0x7e00u | (u16)(magnitude >> 13 & 0x3ffu);  // NaN
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;                                   // rounds to infinity
  if (magnitude < 0x38800000u) {  // subnormal: an f32 sum rounds at the last place of f16, 2^-24
    return sign | (u16)(float_bits(bits_float(magnitude) + 0.5f) - float_bits(0.5f));
  }
  const u32 odd = magnitude >> 13 & 1u;
  return sign | (u16)((magnitude - 0x38000000u + 0xfffu + odd) >> 13);
}

#ifdef __F16C__
inline float widen(u16 half) { return _cvtsh_ss(half); }
inline u16 narrow(float f) { return _cvtss_sh(f, _MM_FROUND_TO_NEAREST_INT); }
inline void widen8(const u16* halves, float* floats) {
  _mm256_storeu_ps(floats, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)halves)));
}
#else
inline float widen(u16 half) { return soft_widen(half); }
inline u16 narrow(float f) { return soft_narrow(f); }
inline void widen8(const u16* halves, float* floats) {
  for (int i = 0; i < 8; i++) floats[i] = soft_widen(halves[i]);
}
#endif

}  // namespace rt_host
