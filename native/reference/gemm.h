// The three products of a linear layer, plainly. Real: see embedding.h.
#pragma once
#include <cstdint>

namespace siri::reference {

// What a device rounds the operands of its products to; sums are of type Real.
enum class Operand { kExact, kBfloat16 };

// x as an operand: unchanged, or rounded to the nearest bfloat16 (ties to even, denormals to zero).
template <class Real>
Real as_operand(Real x, Operand operand);

// y [n, out] = x weight^T + bias? + residual?   x, dy: n rows with the given strides; y, dx and residual contiguous.
template <class Real>
void linear(const float* x, int64_t x_stride, const float* weight, const float* bias, const float* residual, int64_t n, int64_t in,
            int64_t out, Real* y, Operand operand = Operand::kExact);

// dx [n, in] = (accumulate ? dx : 0) + dy weight
template <class Real>
void linear_backward_input(const float* dy, int64_t dy_stride, const float* weight, int64_t n, int64_t in, int64_t out, Real* dx,
                           bool accumulate, Operand operand = Operand::kExact);

// dweight [out, in] += dy^T x;  dbias [out] += column sums of dy (may be null)
template <class Real>
void linear_backward_weight(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, int64_t n, int64_t in, int64_t out,
                            Real* dweight, Real* dbias, Operand operand = Operand::kExact);

}  // namespace siri::reference
