// Sums over a warp or a block in a fixed order, and rows that are moved 16 bytes a thread.
#pragma once
#include <cstdint>
#include <type_traits>

#include "device.cuh"

namespace siri::SIRI_DEVICE {

constexpr uint32_t kAllLanes = 0xffffffffu;

struct Plus {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Larger {  // NaN is what it is not
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};

// Every lane gets the sum (or what `join` makes of two); a butterfly, the same for any input.
template <class T, class Join = Plus>
__device__ T warp_sum(T x, Join join = {}) {
  for (int lanes = 16; lanes > 0; lanes /= 2) x = join(x, __shfl_xor_sync(kAllLanes, x, lanes));
  return x;
}
template <class T>
__device__ T warp_max(T x) {
  return warp_sum(x, Larger());
}

// Every thread of a block of kThreads (a multiple of 32) gets the sum: warps first, then their sums in order. `nothing` + x == x.
template <int kThreads, class T, class Join = Plus>
__device__ T block_sum(T x, T nothing = 0, Join join = {}) {
  x = warp_sum(x, join);
  if constexpr (kThreads > 32) {
    SIRI_SHARED(T, part, kThreads / 32);
    const int lane = threadIdx.x % 32;
    if (lane == 0) part[threadIdx.x / 32] = x;
    __syncthreads();
    x = nothing;
    if (lane < kThreads / 32) x = part[lane];
    x = warp_sum(x, join);
    __syncthreads();  // `part` is used again by the next sum
  }
  return x;
}
// The same for the largest; nothing is below `least`.
template <int kThreads, class T>
__device__ T block_max(T x, T least) {
  return block_sum<kThreads>(x, least, Larger());
}

// Elements of T that one thread moves at once.
template <class T>
constexpr int kChunk = 16 / sizeof(T);

// Elements [i, i + N) of a view as float, zeros from the n-th on. `aligned`: i lies at a multiple of 16 bytes.
template <int N, class V>
__device__ void load_floats(const V& view, int64_t i, int64_t n, bool aligned, float (&to)[N]) {
  using T = std::remove_cv_t<std::remove_pointer_t<decltype(view.data())>>;
  constexpr int K = kChunk<T> < N ? kChunk<T> : N;
  if (aligned && n >= N) {
    for (int j = 0; j < N; j += K) {
      const Vec<T, K> v = load<K>(view, i + j);
      for (int k = 0; k < K; ++k) to[j + k] = to_float(v[k]);
    }
  } else {
    for (int j = 0; j < N; ++j) {
      to[j] = 0;
      if (j < n) to[j] = to_float(view[i + j]);
    }
  }
}

template <class T>
__device__ T from_float(float x) {
  if constexpr (std::is_same_v<T, float>)
    return x;
  else
    return to_bf16(x);
}

// The first n of N values to elements [i, i + n).
template <int N, class V>
__device__ void store_floats(const V& view, int64_t i, int64_t n, bool aligned, const float (&from)[N]) {
  using T = std::remove_pointer_t<decltype(view.data())>;
  constexpr int K = kChunk<T> < N ? kChunk<T> : N;
  if (aligned && n >= N) {
    for (int j = 0; j < N; j += K) {
      Vec<T, K> v;
      for (int k = 0; k < K; ++k) v[k] = from_float<T>(from[j + k]);
      store(view, i + j, v);
    }
  } else {
    for (int j = 0; j < N; ++j)
      if (j < n) view[i + j] = from_float<T>(from[j]);
  }
}

// Whether rows of T at p, `stride` elements apart, all begin at multiples of 16 bytes. For the host.
template <class T>
bool rows_aligned(const T* p, int64_t stride) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0 && stride % kChunk<T> == 0;
}

// Elements from the first of row 0 to the last of row rows - 1: the extent of a view of rows inside a wider buffer.
inline int64_t extent(int64_t rows, int64_t stride, int64_t width) { return rows == 0 ? 0 : (rows - 1) * stride + width; }

inline uint32_t blocks_for(int64_t n, int64_t each) { return static_cast<uint32_t>((n + each - 1) / each); }

}  // namespace siri::SIRI_DEVICE
