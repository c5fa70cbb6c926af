// What the processor and the system it runs under can do, from CPUID and XGETBV themselves: the compilers' __builtin_cpu_supports needs
// a run-time library that not every one of them links. Source: Intel's manual, volume 1, chapters 14.3 and 15.2.
#pragma once
#include <cpuid.h>

#include <cstdint>

namespace siri::cpu {

struct X86Features {
  bool fma = false, avx2 = false;
  bool avx512f = false, avx512vl = false, avx512bw = false, avx512dq = false, avx512bf16 = false;
};

inline X86Features x86_features() {
  X86Features has;
  unsigned a = 0, b = 0, c = 0, d = 0;
  const auto bit = [](unsigned word, int n) { return (word >> n & 1u) != 0; };
  // Vectors are of use only where the system saves their registers: bit 27 says that it tells, XCR0 for which.
  if (!__get_cpuid(1, &a, &b, &c, &d) || !bit(c, 27) || !bit(c, 28)) return has;
  const bool fma = bit(c, 12);
  uint32_t saved, high;
  asm volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
  if ((saved & 0x06u) != 0x06u) return has;  // the registers of SSE and AVX
  has.fma = fma;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return has;
  const unsigned leaves = a;
  has.avx2 = bit(b, 5);
  if ((saved & 0xE0u) != 0xE0u) return has;  // masks and the registers of AVX-512
  has.avx512f = bit(b, 16);
  has.avx512dq = bit(b, 17);
  has.avx512bw = bit(b, 30);
  has.avx512vl = bit(b, 31);
  if (leaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) has.avx512bf16 = bit(a, 5);
  return has;
}

}  // namespace siri::cpu
