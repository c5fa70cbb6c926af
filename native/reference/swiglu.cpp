#include "reference/swiglu.h"

#include <cmath>

namespace siri::reference {
namespace {

template <class Real>
Real sigmoid(Real x) {
  return Real(1) / (Real(1) + std::exp(-x));
}

}  // namespace

template <class Real>
void swiglu(const float* gate_up, int64_t rows, int64_t width, Real* h) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < width; ++c) {
      const Real gate = gate_up[r * 2 * width + c], up = gate_up[r * 2 * width + width + c];
      h[r * width + c] = gate * sigmoid(gate) * up;
    }
}

template <class Real>
void swiglu_backward(const float* gate_up, const float* dh, int64_t rows, int64_t width, Real* dgate_up) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < width; ++c) {
      const Real gate = gate_up[r * 2 * width + c], up = gate_up[r * 2 * width + width + c], d = dh[r * width + c];
      const Real s = sigmoid(gate);
      dgate_up[r * 2 * width + c] = d * up * s * (Real(1) + gate * (Real(1) - s));
      dgate_up[r * 2 * width + width + c] = d * gate * s;
    }
}

#define SIRI_INSTANTIATE(Real)                                 \
  template void swiglu(const float*, int64_t, int64_t, Real*); \
  template void swiglu_backward(const float*, const float*, int64_t, int64_t, Real*);
SIRI_INSTANTIATE(double)
SIRI_INSTANTIATE(float)

}  // namespace siri::reference
