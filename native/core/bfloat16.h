// bfloat16 as the upper half of a float32's bits, and two ways of getting there. For host and device code.
#pragma once
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define SIRI_ANYWHERE __host__ __device__
#else
#define SIRI_ANYWHERE
#endif

namespace siri {

// To nearest, ties to even; NaN stays NaN.
inline uint16_t to_bfloat16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

inline float from_bfloat16(uint16_t x) {
  const uint32_t bits = uint32_t{x} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Up or down with the probability of what is cut off, so that many small changes add up: `random` decides. Bits of a finite float32.
SIRI_ANYWHERE inline uint16_t round_by_chance(uint32_t bits, uint32_t random) {
  return static_cast<uint16_t>((bits + (random & 0xffffu)) >> 16);
}

// Thirty-two bits that look random, a function of both numbers (the finaliser of MurmurHash3, Appleby).
SIRI_ANYWHERE inline uint32_t scramble(uint64_t a, uint64_t b) {
  uint32_t h =
      static_cast<uint32_t>(a) * 0x9E3779B9u ^ static_cast<uint32_t>(a >> 32) * 0x7FEB352Du ^ static_cast<uint32_t>(b) * 0x85EBCA6Bu;
  h ^= h >> 16;
  h *= 0x85EBCA6Bu;
  h ^= h >> 13;
  h *= 0xC2B2AE35u;
  return h ^ h >> 16;
}

}  // namespace siri
