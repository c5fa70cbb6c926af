// All kernels of one instruction set: compiled once per SIRI_ISA with that set's flags (CMakeLists.txt), dispatched by
// kernel_table.cpp.
// Nothing here or in the .inl files may instantiate a template or call an inline function from outside this namespace that
// the compiler could leave out of line: the linker keeps one copy of those for the whole program, and it could be the one
// compiled for an instruction set the machine does not have.
#include "backend.h"
#include "cpu/gemm_table.h"
#include "cpu/kernel_table.h"
#include "cpu/op_table.h"
#include "cpu/simd.h"

namespace siri::cpu::SIRI_ISA {

#include "cpu/adamw.inl"
#include "cpu/attention.inl"
#include "cpu/attention_backward.inl"
#include "cpu/embedding.inl"
#include "cpu/gemm.inl"
#include "cpu/head.inl"
#include "cpu/norm.inl"
#include "cpu/rope.inl"
#include "cpu/swiglu.inl"

namespace {
constexpr OpTable op_table = {
    embed,
    embed_backward,
    gather_rows,
    scatter_add_rows,
    sum_rows,
    rms_norm,
    rms_norm_backward,
    rope,
    attention_scratch,
    attention,
    attention_backward_scratch,
    attention_backward,
    swiglu,
    swiglu_backward,
    sum_of_squares,
    adamw,
};
}  // namespace

#define SIRI_NAME_OF(x) #x
#define SIRI_NAME(x) SIRI_NAME_OF(x)
extern const KernelTable table, table_bfloat16;
const KernelTable table = {SIRI_NAME(SIRI_ISA), &gemm_table<Float32>, &op_table};
const KernelTable table_bfloat16 = {SIRI_NAME(SIRI_ISA), &gemm_table<Bfloat16>, &op_table};

}  // namespace siri::cpu::SIRI_ISA
