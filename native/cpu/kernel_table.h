// Runtime dispatch. Each instruction set compiles isa.cpp once with its own flags and SIRI_ISA (a namespace name: avx512bf16,
// avx512, avx2, portable); the .inl files it includes hold single-threaded bodies over row ranges, collected in tables of function
// pointers. The CPU backend picks one table at start and does the threading around it.
#pragma once
namespace siri::cpu {

struct GemmTable;  // gemm_table.h: matrix products and the head's row statistics
struct OpTable;    // op_table.h: everything else

struct KernelTable {
  const char* isa;
  const GemmTable* gemm;
  const OpTable* ops;
};

// What the operands of matrix products are rounded to; sums and everything else stay float32.
enum class Compute { kFloat32, kBfloat16 };

// The best table this machine can run; `forced` (or null) names one of kInstructionSets for tests, and throws ArgumentError when the
// machine or the build lacks it.
const KernelTable& kernels(const char* forced = nullptr, Compute compute = Compute::kFloat32);
inline constexpr const char* kInstructionSets[] = {"avx512bf16", "avx512", "avx2", "portable"};

}  // namespace siri::cpu
