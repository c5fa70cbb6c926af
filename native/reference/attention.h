// Causal grouped-query attention and its gradient, plainly. Real: see embedding.h.
#pragma once
#include <cstdint>

#include "backend.h"

namespace siri::reference {

// out [rows, heads * head_dim] contiguous, rows as numbered by the segments; lse [rows, heads].
template <class Real>
void attention(const float* q, int64_t q_stride, const AttentionSegment* segments, int64_t count, AttentionShape shape, Real* out,
               Real* lse);

// From q, keys, values and dout alone. dq [rows, heads * head_dim] contiguous is written; dk[s], dv[s]
// [key_count, kv_heads * head_dim] contiguous are +=.
template <class Real>
void attention_backward(const float* q, int64_t q_stride, const float* dout, int64_t dout_stride, const AttentionSegment* segments,
                        int64_t count, AttentionShape shape, Real* dq, Real* const* dk, Real* const* dv);

}  // namespace siri::reference
