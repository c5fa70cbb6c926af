// Chooses the kernels at run time: what the build has (SIRI_HAVE_*, from CMake) and what the machine can run.
#include "cpu/kernel_table.h"

#include <string>

#include "core/error.h"
#if defined(__x86_64__) || defined(__i386__)
#include "cpu/x86_features.h"
#endif

namespace siri::cpu {

#ifdef SIRI_HAVE_AVX512BF16
namespace avx512bf16 {
extern const KernelTable table, table_bfloat16;
}
#endif
#ifdef SIRI_HAVE_AVX512
namespace avx512 {
extern const KernelTable table, table_bfloat16;
}
#endif
#ifdef SIRI_HAVE_AVX2
namespace avx2 {
extern const KernelTable table, table_bfloat16;
}
#endif
namespace portable {
extern const KernelTable table, table_bfloat16;
}

namespace {

struct Candidate {
  const KernelTable* tables[2];  // by Compute; null: not in this build
  const char* name;
  const char* missing;  // null: the machine can run it; else the first feature it lacks
};

#if defined(__x86_64__) || defined(__i386__)
const X86Features machine = x86_features();
const char* missing_avx512() {
  if (!machine.avx512f) return "avx512f";
  if (!machine.avx512vl) return "avx512vl";
  if (!machine.avx512bw) return "avx512bw";
  if (!machine.avx512dq) return "avx512dq";
  if (!machine.fma) return "fma";
  return nullptr;
}
const char* missing_avx512bf16() {
  if (const char* missing = missing_avx512()) return missing;
  return machine.avx512bf16 ? nullptr : "avx512bf16";
}
const char* missing_avx2() {
  if (!machine.avx2) return "avx2";
  if (!machine.fma) return "fma";
  return nullptr;
}
#else
const char* missing_avx512bf16() { return "an x86 processor"; }
const char* missing_avx512() { return "an x86 processor"; }
const char* missing_avx2() { return "an x86 processor"; }
#endif

}  // namespace

const KernelTable& kernels(const char* forced, Compute compute) {
  const Candidate candidates[] = {
#ifdef SIRI_HAVE_AVX512BF16
      {{&avx512bf16::table, &avx512bf16::table_bfloat16}, "avx512bf16", missing_avx512bf16()},
#else
      {{}, "avx512bf16", missing_avx512bf16()},
#endif
#ifdef SIRI_HAVE_AVX512
      {{&avx512::table, &avx512::table_bfloat16}, "avx512", missing_avx512()},
#else
      {{}, "avx512", missing_avx512()},
#endif
#ifdef SIRI_HAVE_AVX2
      {{&avx2::table, &avx2::table_bfloat16}, "avx2", missing_avx2()},
#else
      {{}, "avx2", missing_avx2()},
#endif
      {{&portable::table, &portable::table_bfloat16}, "portable", nullptr},
  };
  for (const Candidate& c : candidates) {
    const KernelTable* table = c.tables[static_cast<int>(compute)];
    if (forced == nullptr) {
      if (table != nullptr && c.missing == nullptr) return *table;
      continue;
    }
    if (std::string(forced) != c.name) continue;
    if (c.missing != nullptr)
      throw ArgumentError(std::string("instruction set \"") + c.name + "\": this machine lacks " + c.missing +
                          "; leave the choice to the library or name \"portable\"");
    if (table == nullptr)
      throw ArgumentError(std::string("instruction set \"") + c.name +
                          "\" is not in this build; rebuild the addon on this machine or name \"portable\"");
    return *table;
  }
  throw ArgumentError(std::string("unknown instruction set \"") + forced + "\"; known are avx512bf16, avx512, avx2, portable");
}

}  // namespace siri::cpu
