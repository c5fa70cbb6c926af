// The vector type of the instruction set this file is compiled for, on GCC/Clang vector extensions. Included by isa.cpp only.
// Compiled with -ffp-contract=off: a fused multiply-add happens exactly where `fma` is written, so that a vector lane, a masked
// tail and a scalar remainder of one operation give the same bits.
#pragma once
#include <cstdint>
#include <cstring>
#include <limits>
#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#ifndef SIRI_ISA
#error "simd.h needs SIRI_ISA"
#endif

namespace siri::cpu::SIRI_ISA {

#if defined(__AVX512F__)
constexpr int W = 16;
#elif defined(__AVX2__)
constexpr int W = 8;
#else
constexpr int W = 4;
#endif

typedef float vf __attribute__((vector_size(W * 4)));
typedef int32_t vi __attribute__((vector_size(W * 4)));

inline vf set1(float x) { return x - vf{}; }
inline vf zero() { return vf{}; }
inline vf load(const float* p) {
  vf v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void store(float* p, vf v) { std::memcpy(p, &v, sizeof v); }

// First n lanes (0 <= n <= W); the rest read as `fill` and are not written.
inline vf load_n(const float* p, int64_t n, float fill = 0.0f) {
#if defined(__AVX512F__)
  return (vf)_mm512_mask_loadu_ps((__m512)set1(fill), (__mmask16)((1u << n) - 1u), p);
#else
  alignas(64) float t[W];
  for (int i = 0; i < W; ++i) t[i] = i < n ? p[i] : fill;
  return load(t);
#endif
}
inline void store_n(float* p, vf v, int64_t n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1u), (__m512)v);
#else
  alignas(64) float t[W];
  store(t, v);
  for (int64_t i = 0; i < n; ++i) p[i] = t[i];
#endif
}

// a * b + c, one rounding where the machine has it (two in the portable build: consistent inside one build, not across builds).
inline vf fma(vf a, vf b, vf c) {
#if defined(__AVX512F__)
  return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
  return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__ARM_NEON)
  return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}
inline float fma1(float a, float b, float c) {
#if defined(__AVX2__) || defined(__AVX512F__) || defined(__ARM_NEON)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

inline vf max(vf a, vf b) { return a > b ? a : b; }
inline vf min(vf a, vf b) { return a < b ? a : b; }
inline vf sqrt(vf v) {
#if defined(__AVX512F__)
  return (vf)_mm512_maskz_sqrt_ps((__mmask16)-1, (__m512)v);
#elif defined(__AVX2__)
  return (vf)_mm256_sqrt_ps((__m256)v);
#else
  for (int i = 0; i < W; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
#endif
}

// Lane l of the result is lane L[l] of a, or lane L[l] - W of b.
template <int... L>
inline vf shuffle(vf a, vf b) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, L...);
#else
  return __builtin_shuffle(a, b, vi{L...});
#endif
}
template <int... L>
struct Lanes {};
template <int N, int... L>
struct CountLanes : CountLanes<N - 1, N - 1, L...> {};
template <int... L>
struct CountLanes<0, L...> {
  typedef Lanes<L...> type;
};
typedef CountLanes<W>::type AllLanes;  // 0, 1, ... W - 1

template <int By, int... L>
inline vf rotate(vf v, Lanes<L...>) {
  return shuffle<((L + By) % W)...>(v, v);
}

// Lane sums and maxima in a fixed tree: lane i with lane i + W/2, and so on.
inline float sum(vf v) {
  if constexpr (W >= 16) v = v + rotate<8>(v, AllLanes());
  if constexpr (W >= 8) v = v + rotate<4>(v, AllLanes());
  v = v + rotate<2>(v, AllLanes());
  v = v + rotate<1>(v, AllLanes());
  return v[0];
}
inline float max_lane(vf v) {
  if constexpr (W >= 16) v = max(v, rotate<8>(v, AllLanes()));
  if constexpr (W >= 8) v = max(v, rotate<4>(v, AllLanes()));
  v = max(v, rotate<2>(v, AllLanes()));
  v = max(v, rotate<1>(v, AllLanes()));
  return v[0];
}

// exp(x) / 2^n for x in [-87.4, 88.8], with the whole number n nearest to x / ln 2.
inline vf exp_fraction(vf x, vi* whole) {
  const vf magic = set1(12582912.0f);  // 1.5 * 2^23: adding it rounds to the nearest integer
  const vf t = fma(x, set1(1.44269504088896341f), magic);
  const vf n = t - magic;
  vf r = fma(n, set1(-0.693359375f), x);
  r = fma(n, set1(2.12194440054690583e-4f), r);
  vf p = set1(1.9875691500e-4f);
  p = fma(p, r, set1(1.3981999507e-3f));
  p = fma(p, r, set1(8.3334519073e-3f));
  p = fma(p, r, set1(4.1665795894e-2f));
  p = fma(p, r, set1(1.6666665459e-1f));
  p = fma(p, r, set1(5.0000001201e-1f));
  *whole = __builtin_convertvector(n, vi);
  return fma(p, r * r, r) + set1(1.0f);
}
inline vf power_of_two(vi n) {  // n in [-126, 127]
  const vi bits = (n + 127) << 23;
  vf v;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}

// exp to about 1 ulp on [-87.3, 88.7]; exactly 0 below (so exp(-inf) = 0), +inf above; NaN stays NaN.
inline vf exp(vf x) {
  const vf lo = set1(-87.33654f), hi = set1(88.72283f);
  vi n;
  vf p = exp_fraction(min(max(x, lo), hi), &n);
  // 2^n in two factors, so that n = 128 does not overflow the exponent field.
  const vi half = n >> 1;
  p = p * power_of_two(half) * power_of_two(n - half);
  p = x < lo ? zero() : p;
  return x <= hi ? p : x + set1(std::numeric_limits<float>::infinity());
}
inline float exp1(float x) { return exp(set1(x))[0]; }

// The same where x <= 0 is known, in two thirds of the instructions.
inline vf exp_nonpositive(vf x) {
  const vf lo = set1(-87.33654f);
  vi n;
  const vf p = exp_fraction(x < lo ? lo : x, &n) * power_of_two(n);
  return x < lo ? zero() : p;
}

}  // namespace siri::cpu::SIRI_ISA
