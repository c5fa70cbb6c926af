#include "reference/gemm.h"

#include <bit>
#include <cmath>

namespace siri::reference {

template <class Real>
Real as_operand(Real x, Operand operand) {
  if (operand == Operand::kExact || !std::isfinite(x)) return x;
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(x));
  if ((bits & 0x7f800000u) == 0) return Real(0);
  return Real(std::bit_cast<float>((bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u));
}

template <class Real>
void linear(const float* x, int64_t x_stride, const float* weight, const float* bias, const float* residual, int64_t n, int64_t in,
            int64_t out, Real* y, Operand operand) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t o = 0; o < out; ++o) {
      Real sum = 0;
      for (int64_t k = 0; k < in; ++k)
        sum += as_operand(Real(x[i * x_stride + k]), operand) * as_operand(Real(weight[o * in + k]), operand);
      if (bias) sum += Real(bias[o]);
      if (residual) sum += Real(residual[i * out + o]);
      y[i * out + o] = sum;
    }
}

template <class Real>
void linear_backward_input(const float* dy, int64_t dy_stride, const float* weight, int64_t n, int64_t in, int64_t out, Real* dx,
                           bool accumulate, Operand operand) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < in; ++k) {
      Real sum = 0;
      for (int64_t o = 0; o < out; ++o)
        sum += as_operand(Real(dy[i * dy_stride + o]), operand) * as_operand(Real(weight[o * in + k]), operand);
      dx[i * in + k] = (accumulate ? dx[i * in + k] : Real(0)) + sum;
    }
}

template <class Real>
void linear_backward_weight(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, int64_t n, int64_t in, int64_t out,
                            Real* dweight, Real* dbias, Operand operand) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t o = 0; o < out; ++o) {
      const Real d = dy[i * dy_stride + o];
      for (int64_t k = 0; k < in; ++k) dweight[o * in + k] += as_operand(d, operand) * as_operand(Real(x[i * x_stride + k]), operand);
      if (dbias) dbias[o] += d;
    }
}

#define SIRI_INSTANTIATE(Real)                                                                                                      \
  template Real as_operand(Real, Operand);                                                                                          \
  template void linear(const float*, int64_t, const float*, const float*, const float*, int64_t, int64_t, int64_t, Real*, Operand); \
  template void linear_backward_input(const float*, int64_t, const float*, int64_t, int64_t, int64_t, Real*, bool, Operand);        \
  template void linear_backward_weight(const float*, int64_t, const float*, int64_t, int64_t, int64_t, int64_t, Real*, Real*, Operand);
SIRI_INSTANTIATE(double)
SIRI_INSTANTIATE(float)

}  // namespace siri::reference
