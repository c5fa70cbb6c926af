#include "reference/embedding.h"

namespace siri::reference {

template <class Real>
void embed(const int32_t* tokens, int64_t n, const float* table, int64_t width, Real* x) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t c = 0; c < width; ++c) x[i * width + c] = table[tokens[i] * width + c];
}

template <class Real>
void embed_backward(const int32_t* tokens, int64_t n, const float* dx, int64_t width, Real* dtable) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t c = 0; c < width; ++c) dtable[tokens[i] * width + c] += dx[i * width + c];
}

template <class Real>
void gather_rows(const float* x, const int32_t* index, int64_t n, int64_t width, Real* y) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t c = 0; c < width; ++c) y[i * width + c] = x[index[i] * width + c];
}

template <class Real>
void scatter_add_rows(const float* y, const int32_t* index, int64_t n, int64_t width, Real* x) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t c = 0; c < width; ++c) x[index[i] * width + c] += y[i * width + c];
}

template <class Real>
void sum_rows(const float* x, const int32_t* index, const int64_t* starts, int64_t n, int64_t width, Real* y) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t c = 0; c < width; ++c) {
      Real sum = 0;
      for (int64_t k = starts[i]; k < starts[i + 1]; ++k) sum += x[index[k] * width + c];
      y[i * width + c] = sum;
    }
}

#define SIRI_INSTANTIATE(Real)                                                           \
  template void embed(const int32_t*, int64_t, const float*, int64_t, Real*);            \
  template void embed_backward(const int32_t*, int64_t, const float*, int64_t, Real*);   \
  template void gather_rows(const float*, const int32_t*, int64_t, int64_t, Real*);      \
  template void scatter_add_rows(const float*, const int32_t*, int64_t, int64_t, Real*); \
  template void sum_rows(const float*, const int32_t*, const int64_t*, int64_t, int64_t, Real*);
SIRI_INSTANTIATE(double)
SIRI_INSTANTIATE(float)

}  // namespace siri::reference
