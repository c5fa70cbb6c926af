// The three products of a linear layer, plainly. Real: see embedding.h.
#pragma once
#include <cstdint>

namespace siri::reference {

// y [n, out] = x weight^T + bias? + residual?   x, dy: n rows with the given strides; y, dx and residual contiguous.
template <class Real>
void linear(const float* x, int64_t x_stride, const float* weight, const float* bias, const float* residual, int64_t n, int64_t in,
            int64_t out, Real* y);

// dx [n, in] = (accumulate ? dx : 0) + dy weight
template <class Real>
void linear_backward_input(const float* dy, int64_t dy_stride, const float* weight, int64_t n, int64_t in, int64_t out, Real* dx,
                           bool accumulate);

// dweight [out, in] += dy^T x;  dbias [out] += column sums of dy (may be null)
template <class Real>
void linear_backward_weight(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, int64_t n, int64_t in, int64_t out,
                            Real* dweight, Real* dbias);

}  // namespace siri::reference
