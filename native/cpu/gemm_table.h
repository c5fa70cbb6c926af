// The single-threaded bodies of the matrix products and of the head, one table per instruction set (kernel_table.h).
// gemm.h and head.h put the threads, the scratch and the packed-weight cache around them. Bodies only compute: no allocation,
// no checks, no threads. All arrays are float32; a table of bfloat16 rounds the operands of its products as it packs them.
//
// The rule all products obey: an output element is one chain of fused multiply-adds over the summed index, ascending (bfloat16: pair
// by pair). Blocking stores a chain and takes it up again, which is exact, so the bits depend on nothing but the two rows that are
// multiplied.
#pragma once
#include <cstdint>

namespace siri::cpu {

// y [rows, columns] = x [rows, k] * B [k, columns] (+ bias [columns]) (+ residual [rows, columns]), B in panels (pack_* below).
struct RowsBlock {
  const float* x;
  int64_t x_stride, rows, k;
  const float* panels;  // first panel; panel p holds columns [p * panel, (p + 1) * panel) as [words(k), panel], zero beyond
  int64_t columns;
  const float* bias;      // or null
  const float* residual;  // or null; may be y
  int64_t residual_stride;
  float* y;
  int64_t y_stride;
  bool continued;  // the chains go on from what y holds; without a residual
  float* scratch;  // rows_scratch(rows, k, columns) floats, 64-byte aligned
};

// c [rows, columns] += sum over i in [0, n) of a[i, row] * b[i, column].
struct OuterBlock {
  const float* a;  // [n, rows]
  const float* b;  // [n, columns]
  int64_t a_stride, b_stride, n, rows, columns;
  float* c;
  int64_t c_stride;
  float* scratch;  // outer_scratch(rows) floats, 64-byte aligned
};

// What the head needs to know of one row of logits z / temperature: log-sum-exp in two parts, and sum of p * (z - max).
struct RowStatistics {
  float max;
  double log_sum;     // log of sum exp(z - max)
  double mean_shift;  // sum p * (z - max)
  double sum;         // sum exp(z - max)
  double log_sum_exp() const { return static_cast<double>(max) + log_sum; }
  double entropy() const { return log_sum - mean_shift; }
};

enum class Divergence { forward_kl, reverse_kl, jsd };

struct GemmTable {
  int64_t tile_rows;  // rows of the register tile
  int64_t panel;      // columns of a packed panel

  // Words of 32 bits that k elements of an operand take (gemm_format.inl).
  int64_t (*words)(int64_t k);
  // One panel [words(k), panel] of B from weight rows: B[i, j] = w[j * stride + i]  (j < columns), or B[i, j] = w[i * stride + j].
  void (*pack_transposed)(const float* w, int64_t stride, int64_t k, int64_t columns, float* out);
  void (*pack_straight)(const float* w, int64_t stride, int64_t k, int64_t columns, float* out);

  int64_t (*rows_scratch)(int64_t rows, int64_t k, int64_t columns);
  void (*rows_product)(const RowsBlock&);
  int64_t (*outer_scratch)(int64_t rows);
  void (*outer_product)(const OuterBlock&);
  // out [columns] += sum over rows of a[i, column], rows in order.
  void (*column_sums)(const float* a, int64_t stride, int64_t n, int64_t columns, float* out);

  // The head, one row of `vocab` logits at a time (head.inl). -inf marks a token that is not kept.
  void (*divide_row)(float* z, int64_t vocab, float temperature);
  RowStatistics (*row_statistics)(const float* z, int64_t vocab);
  // z <- scale * (dlogprob * (onehot(target) - p) - dentropy * p * (log p + entropy)); target outside [0, count): no one-hot term. z: a
  // piece of `count` logits of the row, target counted from its first.
  void (*row_gradient)(float* z, int64_t count, const RowStatistics&, int64_t target, double dlogprob, double dentropy, double scale);
  // First token whose cumulative probability exceeds u, in order of id.
  int64_t (*row_draw)(const float* z, int64_t vocab, const RowStatistics&, double u);
  int64_t (*row_arg_max)(const float* z, int64_t vocab);
  // Divergence of student z to teacher q (both already divided by the temperature); with `gradient`, z <- scale * d divergence / d z.
  double (*row_divergence)(float* z, const float* q, int64_t vocab, Divergence kind, double beta, bool gradient, double scale);
};

}  // namespace siri::cpu
