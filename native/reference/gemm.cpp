#include "reference/gemm.h"

namespace siri::reference {

template <class Real>
void linear(const float* x, int64_t x_stride, const float* weight, const float* bias, const float* residual, int64_t n, int64_t in,
            int64_t out, Real* y) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t o = 0; o < out; ++o) {
      Real sum = 0;
      for (int64_t k = 0; k < in; ++k) sum += Real(x[i * x_stride + k]) * Real(weight[o * in + k]);
      if (bias) sum += Real(bias[o]);
      if (residual) sum += Real(residual[i * out + o]);
      y[i * out + o] = sum;
    }
}

template <class Real>
void linear_backward_input(const float* dy, int64_t dy_stride, const float* weight, int64_t n, int64_t in, int64_t out, Real* dx,
                           bool accumulate) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < in; ++k) {
      Real sum = 0;
      for (int64_t o = 0; o < out; ++o) sum += Real(dy[i * dy_stride + o]) * Real(weight[o * in + k]);
      dx[i * in + k] = (accumulate ? dx[i * in + k] : Real(0)) + sum;
    }
}

template <class Real>
void linear_backward_weight(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, int64_t n, int64_t in, int64_t out,
                            Real* dweight, Real* dbias) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t o = 0; o < out; ++o) {
      const Real d = dy[i * dy_stride + o];
      for (int64_t k = 0; k < in; ++k) dweight[o * in + k] += d * Real(x[i * x_stride + k]);
      if (dbias) dbias[o] += d;
    }
}

#define SIRI_INSTANTIATE(Real)                                                                                             \
  template void linear(const float*, int64_t, const float*, const float*, const float*, int64_t, int64_t, int64_t, Real*); \
  template void linear_backward_input(const float*, int64_t, const float*, int64_t, int64_t, int64_t, Real*, bool);        \
  template void linear_backward_weight(const float*, int64_t, const float*, int64_t, int64_t, int64_t, int64_t, Real*, Real*);
SIRI_INSTANTIATE(double)
SIRI_INSTANTIATE(float)

}  // namespace siri::reference
