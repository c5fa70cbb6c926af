// Asynchronous copies and tensor-core fragments as PTX. Layout and meaning: emulator/tile.h. Everything here is sm_80's.
#pragma once
#include <cstdint>

namespace siri::cuda {

struct FragmentA {
  uint32_t r[4];
};
struct FragmentB {
  uint32_t r[2];
};
struct FragmentC {
  float r[4];
};

__device__ inline uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
  return bit_cast<uint32_t>(both);
}

__device__ inline void mma(FragmentC& c, const FragmentA& a, const FragmentB& b) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c.r[0]), "+f"(c.r[1]), "+f"(c.r[2]), "+f"(c.r[3])
               : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]));
}

namespace detail {

template <class T>
__device__ uint32_t shared_address(const Shared<T>& tile, int64_t i) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(tile.data() + i));
}

}  // namespace detail

__device__ inline FragmentA load_fragment_a(const Shared<bf16>& tile, int64_t i) {
  FragmentA f;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f.r[0]), "=r"(f.r[1]), "=r"(f.r[2]), "=r"(f.r[3])
               : "r"(detail::shared_address(tile, i))
               : "memory");
  return f;
}
__device__ inline FragmentB load_fragment_b(const Shared<bf16>& tile, int64_t i) {
  FragmentB f;
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(f.r[0]), "=r"(f.r[1])
               : "r"(detail::shared_address(tile, i))
               : "memory");
  return f;
}
__device__ inline FragmentA load_fragment_a_transposed(const Shared<bf16>& tile, int64_t i) {
  FragmentA f;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f.r[0]), "=r"(f.r[1]), "=r"(f.r[2]), "=r"(f.r[3])
               : "r"(detail::shared_address(tile, i))
               : "memory");
  return f;
}
__device__ inline FragmentB load_fragment_b_transposed(const Shared<bf16>& tile, int64_t i) {
  FragmentB f;
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(f.r[0]), "=r"(f.r[1])
               : "r"(detail::shared_address(tile, i))
               : "memory");
  return f;
}

template <int N, class T, class Source>
__device__ void copy_async(const Shared<T>& to, int64_t i, const Source& from, int64_t j, bool present = true) {
  constexpr int kBytes = sizeof(T) * N;
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  const int bytes = present ? kBytes : 0;
  if constexpr (kBytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(detail::shared_address(to, i)), "l"(from.data() + j), "r"(bytes)
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(detail::shared_address(to, i)), "l"(from.data() + j), "n"(kBytes),
                 "r"(bytes)
                 : "memory");
}
__device__ inline void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kGroups>
__device__ void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroups) : "memory");
}

}  // namespace siri::cuda
