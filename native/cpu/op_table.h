// The CPU operations other than matrix products and the head, as single-threaded functions over a range. Shapes and strides
// are those of backend.h; what the range counts is said at each line. ops.h puts threads around them.
//
// An element of the output never depends on where the ranges were cut, nor on what else is in the range.
#pragma once
#include <cstdint>

#include "backend.h"

namespace siri::cpu {

// Rows of a norm whose weight gradients are summed before they are added to the total, elements of a block of sum_of_squares:
// fixed, so that no sum depends on the number of threads. Query rows of one attention work item: no sum depends on those.
constexpr int64_t kNormBlock = 64;
constexpr int64_t kSquaresBlock = 16384;
constexpr int64_t kQueryChunk = 64;

struct OpTable {
  // Rows [begin, end) of x.
  void (*embed)(const int32_t* tokens, int64_t begin, int64_t end, const float* table, int64_t width, float* x);
  // Columns [begin, end) of dtable, all n rows in order.
  void (*embed_backward)(const int32_t* tokens, int64_t n, const float* dx, int64_t width, int64_t begin, int64_t end, float* dtable);
  // Rows [begin, end) of y.
  void (*gather_rows)(const float* x, const int32_t* index, int64_t begin, int64_t end, int64_t width, float* y);
  void (*scatter_add_rows)(const float* y, const int32_t* index, int64_t begin, int64_t end, int64_t width, float* x);
  void (*sum_rows)(const float* x, const int32_t* index, const int64_t* starts, int64_t begin, int64_t end, int64_t width, float* y);

  // Rows [begin, end).
  void (*rms_norm)(const float* x, int64_t x_stride, const float* weight, int64_t begin, int64_t end, int64_t width, float eps, float* y,
                   int64_t y_stride, float* rstd);
  // Rows [begin, end); dweight [width] is accumulated row by row.
  void (*rms_norm_backward)(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, const float* weight, const float* rstd,
                            int64_t begin, int64_t end, int64_t width, float* dx, int64_t dx_stride, bool accumulate, float* dweight);

  // Rows [begin, end).
  void (*rope)(float* x, int64_t row_stride, int64_t begin, int64_t end, int64_t heads, int64_t head_dim, const int32_t* positions,
               const float* cos, const float* sin, bool inverse);

  // Floats of scratch, 64-byte aligned, that one call of the next function needs for that many keys.
  int64_t (*attention_scratch)(AttentionShape shape, int64_t keys);
  // Queries [begin, end) of one segment (counted inside the segment), the query heads of one kv head.
  void (*attention)(const float* q, int64_t q_stride, const AttentionSegment& segment, int64_t kv_head, int64_t begin, int64_t end,
                    AttentionShape shape, float* out, int64_t out_stride, float* lse, float* scratch);
  int64_t (*attention_backward_scratch)(AttentionShape shape, int64_t keys);
  // One segment of at least one query, the query heads of one kv head.
  void (*attention_backward)(const float* q, int64_t q_stride, const float* out, const float* dout, int64_t out_stride,
                             const AttentionSegment& segment, int64_t kv_head, AttentionShape shape, float* dq, int64_t dq_stride,
                             const KvGradients& gradients, int64_t kv_stride, float* scratch);

  // Rows [begin, end).
  void (*swiglu)(const float* gate_up, int64_t begin, int64_t end, int64_t width, float* h);
  void (*swiglu_backward)(const float* gate_up, const float* dh, int64_t begin, int64_t end, int64_t width, float* dgate_up);

  // Elements [0, n) of one block, n <= kSquaresBlock.
  double (*sum_of_squares)(const float* x, int64_t n);
  // Elements [begin, end).
  void (*adamw)(float* weight, const float* gradient, float* m, float* v, int64_t begin, int64_t end, const AdamWStep& step);
};

}  // namespace siri::cpu
