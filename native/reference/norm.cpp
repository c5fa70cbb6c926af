#include "reference/norm.h"

#include <cmath>

namespace siri::reference {
namespace {

template <class Real>
Real inverse_root(const float* x, int64_t width, float eps) {
  Real squares = 0;
  for (int64_t c = 0; c < width; ++c) squares += Real(x[c]) * Real(x[c]);
  return Real(1) / std::sqrt(squares / Real(width) + Real(eps));
}

}  // namespace

template <class Real>
void rms_norm(const float* x, int64_t x_stride, const float* weight, int64_t rows, int64_t width, float eps, Real* y, Real* rstd) {
  for (int64_t r = 0; r < rows; ++r) {
    rstd[r] = inverse_root<Real>(x + r * x_stride, width, eps);
    for (int64_t c = 0; c < width; ++c) y[r * width + c] = Real(x[r * x_stride + c]) * rstd[r] * Real(weight[c]);
  }
}

template <class Real>
void rms_norm_backward(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, const float* weight, int64_t rows,
                       int64_t width, float eps, Real* dx, Real* dweight) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* xr = x + r * x_stride;
    const float* dyr = dy + r * dy_stride;
    const Real rstd = inverse_root<Real>(xr, width, eps);
    Real mean = 0;  // of dy * weight * x * rstd
    for (int64_t c = 0; c < width; ++c) mean += Real(dyr[c]) * Real(weight[c]) * (Real(xr[c]) * rstd);
    mean /= Real(width);
    for (int64_t c = 0; c < width; ++c) {
      const Real unit = Real(xr[c]) * rstd;
      dx[r * width + c] = rstd * (Real(dyr[c]) * Real(weight[c]) - unit * mean);
      dweight[c] += Real(dyr[c]) * unit;
    }
  }
}

#define SIRI_INSTANTIATE(Real)                                                                        \
  template void rms_norm(const float*, int64_t, const float*, int64_t, int64_t, float, Real*, Real*); \
  template void rms_norm_backward(const float*, int64_t, const float*, int64_t, const float*, int64_t, int64_t, float, Real*, Real*);
SIRI_INSTANTIATE(double)
SIRI_INSTANTIATE(float)

}  // namespace siri::reference
