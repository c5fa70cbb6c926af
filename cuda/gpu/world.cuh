// The GPU's side of device.cuh: views are bare pointers (their counts are for the emulator), everything else is one instruction or
// CUDA's own function.
#pragma once
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "core/error.h"

#define SIRI_DEVICE cuda
#define SIRI_DEVICE_NAME "cuda"
#define SIRI_UNROLL _Pragma("unroll")
#define SIRI_NO_UNROLL _Pragma("unroll 1")

namespace siri::cuda {

// Throws Error SIRI_CUDA (or MemoryError) naming `what`, unless the status is success.
void check(cudaError_t status, const char* what);

struct Stream {
  cudaStream_t handle = nullptr;
};

struct Extent {
  uint32_t x = 1, y = 1, z = 1;
  constexpr Extent(uint32_t x = 1, uint32_t y = 1, uint32_t z = 1) : x(x), y(y), z(z) {}
};

struct Launch {
  Extent blocks, threads;
  size_t shared_bytes = 0;
};

template <class... P, class... A>
void launch(const Stream& stream, const char* name, const Launch& size, void (*kernel)(P...), const A&... arguments) {
  if (size.blocks.x == 0 || size.blocks.y == 0 || size.blocks.z == 0) return;
  if (size.shared_bytes > 49152)
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(size.shared_bytes)),
          name);
  kernel<<<dim3(size.blocks.x, size.blocks.y, size.blocks.z), dim3(size.threads.x, size.threads.y, size.threads.z), size.shared_bytes,
           stream.handle>>>(static_cast<P>(arguments)...);
  check(cudaGetLastError(), name);
}

// ---- types

using bf16 = __nv_bfloat16;
__host__ __device__ inline float to_float(bf16 x) { return __bfloat162float(x); }
__host__ __device__ inline float to_float(float x) { return x; }
__host__ __device__ inline bf16 to_bf16(float x) { return __float2bfloat16_rn(x); }

template <class T, int N>
struct alignas(sizeof(T) * N) Vec {
  T v[N];
  __host__ __device__ T& operator[](int i) { return v[i]; }
  __host__ __device__ const T& operator[](int i) const { return v[i]; }
};

template <class To, class From>
__host__ __device__ To bit_cast(const From& x) {
  static_assert(sizeof(To) == sizeof(From));
  To y;
  memcpy(&y, &x, sizeof y);
  return y;
}

// ---- views

namespace detail {

template <size_t kBytes>
struct Word;
template <>
struct Word<1> {
  using Type = unsigned char;
};
template <>
struct Word<2> {
  using Type = unsigned short;
};
template <>
struct Word<4> {
  using Type = unsigned int;
};
template <>
struct Word<8> {
  using Type = uint2;
};
template <>
struct Word<16> {
  using Type = uint4;
};

// Through the read-only path.
template <class T>
__device__ T load_constant(const T* p) {
  return bit_cast<T>(__ldg(reinterpret_cast<const typename Word<sizeof(T)>::Type*>(p)));
}
template <class T>
__device__ T load_plain(const T* p) {
  return bit_cast<T>(*reinterpret_cast<const typename Word<sizeof(T)>::Type*>(p));
}

}  // namespace detail

template <class T>
class In {
 public:
  __host__ __device__ In() : p_(nullptr) {}
  __host__ __device__ In(const T* p, int64_t) : p_(p) {}
  __device__ T operator[](int64_t i) const { return detail::load_constant(p_ + i); }
  template <int N>
  __device__ Vec<T, N> read(int64_t i) const {
    return detail::load_constant(reinterpret_cast<const Vec<T, N>*>(p_ + i));
  }
  __device__ In slice(int64_t begin, int64_t) const { return In(p_ + begin, 0); }
  __device__ const T* data() const { return p_; }

 private:
  const T* p_;
};

template <class T>
class Ref {
 public:
  using Element = std::remove_const_t<T>;
  __host__ __device__ Ref() : p_(nullptr) {}
  __host__ __device__ Ref(T* p, int64_t) : p_(p) {}
  template <class U, class = std::enable_if_t<std::is_same_v<const U, T>>>
  __host__ __device__ Ref(const Ref<U>& other) : p_(other.data()) {}
  __device__ T& operator[](int64_t i) const { return p_[i]; }
  template <int N>
  __device__ Vec<Element, N> read(int64_t i) const {
    return detail::load_plain(reinterpret_cast<const Vec<Element, N>*>(p_ + i));
  }
  template <int N>
  __device__ void write(int64_t i, const Vec<T, N>& v) const {
    using Word = typename detail::Word<sizeof v>::Type;
    *reinterpret_cast<Word*>(p_ + i) = bit_cast<Word>(v);
  }
  __device__ Ref slice(int64_t begin, int64_t) const { return Ref(p_ + begin, 0); }
  __host__ __device__ T* data() const { return p_; }

 protected:
  T* p_;
};

template <class T>
class Out : public Ref<T> {
 public:
  using Ref<T>::Ref;
  __device__ Out slice(int64_t begin, int64_t) const { return Out(this->p_ + begin, 0); }
};

template <class T>
class Shared : public Ref<T> {
 public:
  using Ref<T>::Ref;
  __device__ Shared slice(int64_t begin, int64_t) const { return Shared(this->p_ + begin, 0); }
};

template <int N, class V>
__device__ auto load(const V& view, int64_t i) {
  return view.template read<N>(i);
}
template <class V, class T, int N>
__device__ void store(const V& view, int64_t i, const Vec<T, N>& v) {
  view.write(i, v);
}

template <class T>
__device__ Shared<T> dynamic_shared(int64_t offset, int64_t count) {
  extern __shared__ __align__(128) unsigned char siri_dynamic_shared[];
  return Shared<T>(reinterpret_cast<T*>(siri_dynamic_shared + offset), count);
}

// ---- arithmetic

__device__ inline float fast_exp(float x) { return __expf(x); }
__device__ inline float fast_exp2(float x) { return exp2f(x); }
__device__ inline float fast_log(float x) { return __logf(x); }
__device__ inline float fast_divide(float a, float b) { return __fdividef(a, b); }
__device__ inline uint32_t high_product(uint32_t a, uint32_t b) { return __umulhi(a, b); }

// ---- atomics

template <class T>
__device__ T atomic_add(const Ref<T>& view, int64_t i, T value) {
  return atomicAdd(view.data() + i, value);
}
template <class T>
__device__ T atomic_max(const Ref<T>& view, int64_t i, T value) {
  return atomicMax(view.data() + i, value);
}
template <class T>
__device__ T atomic_min(const Ref<T>& view, int64_t i, T value) {
  return atomicMin(view.data() + i, value);
}
template <class T>
__device__ T atomic_exchange(const Ref<T>& view, int64_t i, T value) {
  return atomicExch(view.data() + i, value);
}
template <class T>
__device__ T atomic_compare_exchange(const Ref<T>& view, int64_t i, T expected, T value) {
  return atomicCAS(view.data() + i, expected, value);
}

__device__ inline bool arrive_last(const Ref<uint32_t>& counter, int64_t i, uint32_t blocks) {
  __threadfence();
  const bool last = atomicAdd(counter.data() + i, 1u) == blocks - 1;
  if (last) counter.data()[i] = 0;
  __threadfence();
  return last;
}

}  // namespace siri::cuda

#define SIRI_SHARED(type, name, count) \
  __shared__ type name##_array[count]; \
  const ::siri::cuda::Shared<type> name(name##_array, count)

#include "gpu/tile.cuh"
