#include "reference/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace siri::reference {
namespace {

const float* row_of(const KvRows& rows, int64_t position) {
  int64_t piece = 0, first = 0;
  while (position >= rows.ends[piece]) first = rows.ends[piece++];
  return rows.pieces[piece] + (position - first) * rows.row_stride;
}

template <class Real>
Real dot(const float* a, const float* b, int64_t n) {
  Real sum = 0;
  for (int64_t d = 0; d < n; ++d) sum += Real(a[d]) * Real(b[d]);
  return sum;
}

// Probabilities of one query over keys [0, n); returns the log-sum-exp of the scaled scores.
template <class Real>
Real probabilities(const float* query, const AttentionSegment& segment, int64_t offset, int64_t n, const AttentionShape& shape, Real* p) {
  Real top = -std::numeric_limits<Real>::infinity(), sum = 0;
  for (int64_t j = 0; j < n; ++j) {
    p[j] = dot<Real>(query, row_of(segment.keys, j) + offset, shape.head_dim) * Real(shape.scale);
    top = std::max(top, p[j]);
  }
  for (int64_t j = 0; j < n; ++j) sum += p[j] = std::exp(p[j] - top);
  for (int64_t j = 0; j < n; ++j) p[j] /= sum;
  return top + std::log(sum);
}

}  // namespace

template <class Real>
void attention(const float* q, int64_t q_stride, const AttentionSegment* segments, int64_t count, AttentionShape shape, Real* out,
               Real* lse) {
  const int64_t dim = shape.head_dim, group = shape.heads / shape.kv_heads;
  std::vector<Real> p;
  for (int64_t s = 0; s < count; ++s) {
    const AttentionSegment& segment = segments[s];
    p.resize(segment.key_count);
    for (int64_t i = 0; i < segment.query_count; ++i)
      for (int64_t h = 0; h < shape.heads; ++h) {
        const int64_t row = segment.query_row + i, n = segment.key_count - segment.query_count + i + 1, offset = h / group * dim;
        lse[row * shape.heads + h] = probabilities(q + row * q_stride + h * dim, segment, offset, n, shape, p.data());
        for (int64_t d = 0; d < dim; ++d) {
          Real sum = 0;
          for (int64_t j = 0; j < n; ++j) sum += p[j] * Real(row_of(segment.values, j)[offset + d]);
          out[(row * shape.heads + h) * dim + d] = sum;
        }
      }
  }
}

template <class Real>
void attention_backward(const float* q, int64_t q_stride, const float* dout, int64_t dout_stride, const AttentionSegment* segments,
                        int64_t count, AttentionShape shape, Real* dq, Real* const* dk, Real* const* dv) {
  const int64_t dim = shape.head_dim, group = shape.heads / shape.kv_heads, kv_width = shape.kv_heads * dim;
  std::vector<Real> p, dp;
  for (int64_t s = 0; s < count; ++s) {
    const AttentionSegment& segment = segments[s];
    p.resize(segment.key_count);
    dp.resize(segment.key_count);
    for (int64_t i = 0; i < segment.query_count; ++i)
      for (int64_t h = 0; h < shape.heads; ++h) {
        const int64_t row = segment.query_row + i, n = segment.key_count - segment.query_count + i + 1, offset = h / group * dim;
        const float* query = q + row * q_stride + h * dim;
        const float* d_out = dout + row * dout_stride + h * dim;
        Real* d_query = dq + (row * shape.heads + h) * dim;
        probabilities(query, segment, offset, n, shape, p.data());
        Real mean = 0;  // of dp under p
        for (int64_t j = 0; j < n; ++j) {
          dp[j] = dot<Real>(d_out, row_of(segment.values, j) + offset, dim);
          mean += p[j] * dp[j];
        }
        for (int64_t d = 0; d < dim; ++d) d_query[d] = 0;
        for (int64_t j = 0; j < n; ++j) {
          const Real ds = p[j] * (dp[j] - mean) * Real(shape.scale);
          const float* key = row_of(segment.keys, j) + offset;
          for (int64_t d = 0; d < dim; ++d) {
            d_query[d] += ds * Real(key[d]);
            dk[s][j * kv_width + offset + d] += ds * Real(query[d]);
            dv[s][j * kv_width + offset + d] += p[j] * Real(d_out[d]);
          }
        }
      }
  }
}

#define SIRI_INSTANTIATE(Real)                                                                                                            \
  template void attention(const float*, int64_t, const AttentionSegment*, int64_t, AttentionShape, Real*, Real*);                         \
  template void attention_backward(const float*, int64_t, const float*, int64_t, const AttentionSegment*, int64_t, AttentionShape, Real*, \
                                   Real* const*, Real* const*);
SIRI_INSTANTIATE(double)
SIRI_INSTANTIATE(float)

}  // namespace siri::reference
