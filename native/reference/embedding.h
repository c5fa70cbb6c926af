// Row copies, plainly. In this folder Real = double is the twin of an operation of backend.h, Real = float the straightforward
// same-precision formula that tolerances are measured by; inputs are float32 in the layout of backend.h.
#pragma once
#include <cstdint>

namespace siri::reference {

// x[i, :] = table[tokens[i], :]
template <class Real>
void embed(const int32_t* tokens, int64_t n, const float* table, int64_t width, Real* x);

// dtable[tokens[i], :] += dx[i, :]
template <class Real>
void embed_backward(const int32_t* tokens, int64_t n, const float* dx, int64_t width, Real* dtable);

// y[i, :] = x[index[i], :]
template <class Real>
void gather_rows(const float* x, const int32_t* index, int64_t n, int64_t width, Real* y);

// x[index[i], :] += y[i, :]
template <class Real>
void scatter_add_rows(const float* y, const int32_t* index, int64_t n, int64_t width, Real* x);

// y [n, width]: row i is the sum of rows index[k] of x, k in [starts[i], starts[i + 1]).
template <class Real>
void sum_rows(const float* x, const int32_t* index, const int64_t* starts, int64_t n, int64_t width, Real* y);

}  // namespace siri::reference
