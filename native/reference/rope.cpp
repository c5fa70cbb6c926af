#include "reference/rope.h"

namespace siri::reference {

template <class Real>
void rope(const float* x, int64_t row_stride, int64_t n, int64_t heads, int64_t head_dim, const int32_t* positions, const float* cos,
          const float* sin, bool inverse, Real* y) {
  const int64_t half = head_dim / 2;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t d = 0; d < half; ++d) {
        const float* from = x + i * row_stride + h * head_dim + d;
        Real* to = y + (i * heads + h) * head_dim + d;
        const Real c = cos[positions[i] * half + d];
        const Real s = inverse ? -Real(sin[positions[i] * half + d]) : Real(sin[positions[i] * half + d]);
        to[0] = Real(from[0]) * c - Real(from[half]) * s;
        to[half] = Real(from[half]) * c + Real(from[0]) * s;
      }
}

#define SIRI_INSTANTIATE(Real) \
  template void rope(const float*, int64_t, int64_t, int64_t, int64_t, const int32_t*, const float*, const float*, bool, Real*);
SIRI_INSTANTIATE(double)
SIRI_INSTANTIATE(float)

}  // namespace siri::reference
