// RMS norm (Zhang and Sennrich 2019) and its gradient, plainly. Real: see embedding.h.
#pragma once
#include <cstdint>

namespace siri::reference {

// y = x * rstd * weight, rstd = 1 / sqrt(mean(x^2) + eps), over rows of `width`. y [rows, width] contiguous, rstd [rows].
template <class Real>
void rms_norm(const float* x, int64_t x_stride, const float* weight, int64_t rows, int64_t width, float eps, Real* y, Real* rstd);

// From x alone (rstd is computed again): dx [rows, width] contiguous is written, dweight [width] is +=.
template <class Real>
void rms_norm_backward(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, const float* weight, int64_t rows,
                       int64_t width, float eps, Real* dx, Real* dweight);

}  // namespace siri::reference
