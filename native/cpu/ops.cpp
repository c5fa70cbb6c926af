#include "cpu/ops.h"

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

#include "core/bfloat16.h"
#include "core/error.h"
#include "cpu/op_table.h"

namespace siri::cpu {
namespace {

// Elements a thread should have before it is worth waking.
constexpr int64_t kGrain = 16384;

int64_t row_grain(int64_t width) { return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width)); }

// A thread's scratch of at least `floats`, 64-byte aligned, contents undefined.
float* scratch(int64_t floats) {
  thread_local std::vector<float> memory;
  if (static_cast<int64_t>(memory.size()) < floats + 16) {
    memory.clear();
    memory.resize(floats + 16);
  }
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  return memory.data() + ((64 - address % 64) % 64) / sizeof(float);
}

}  // namespace

void embed(ThreadPool& pool, const KernelTable& kernels, const int32_t* tokens, int64_t n, const float* table, int64_t width, float* x) {
  pool.parallel_for(n, row_grain(width), [&](int64_t begin, int64_t end, int) { kernels.ops->embed(tokens, begin, end, table, width, x); });
}

void embed_backward(ThreadPool& pool, const KernelTable& kernels, const int32_t* tokens, int64_t n, const float* dx, int64_t width,
                    int64_t vocab, float* dtable) {
  for (int64_t i = 0; i < n; ++i)
    if (tokens[i] < 0 || tokens[i] >= vocab)
      throw ArgumentError("embed_backward: token " + std::to_string(tokens[i]) + " at row " + std::to_string(i) +
                          " is outside the vocabulary of " + std::to_string(vocab));
  // Whole cache lines of columns, so that no two threads write one.
  const int64_t lines = (width + 15) / 16;
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, 16 * n));
  pool.parallel_for(lines, std::max(grain, (lines + pool.size() - 1) / pool.size()), [&](int64_t begin, int64_t end, int) {
    kernels.ops->embed_backward(tokens, n, dx, width, begin * 16, std::min(width, end * 16), dtable);
  });
}

void gather_rows(ThreadPool& pool, const KernelTable& kernels, const float* x, const int32_t* index, int64_t n, int64_t width, float* y) {
  pool.parallel_for(n, row_grain(width),
                    [&](int64_t begin, int64_t end, int) { kernels.ops->gather_rows(x, index, begin, end, width, y); });
}

void scatter_add_rows(ThreadPool& pool, const KernelTable& kernels, const float* y, const int32_t* index, int64_t n, int64_t width,
                      float* x) {
  pool.parallel_for(n, row_grain(width),
                    [&](int64_t begin, int64_t end, int) { kernels.ops->scatter_add_rows(y, index, begin, end, width, x); });
}

void sum_rows(ThreadPool& pool, const KernelTable& kernels, const float* x, const int32_t* index, const int64_t* starts, int64_t n,
              int64_t width, float* y) {
  pool.parallel_for(n, row_grain(width),
                    [&](int64_t begin, int64_t end, int) { kernels.ops->sum_rows(x, index, starts, begin, end, width, y); });
}

void rms_norm(ThreadPool& pool, const KernelTable& kernels, const float* x, int64_t x_stride, const float* weight, int64_t rows,
              int64_t width, float eps, float* y, int64_t y_stride, float* rstd) {
  pool.parallel_for(rows, row_grain(width), [&](int64_t begin, int64_t end, int) {
    kernels.ops->rms_norm(x, x_stride, weight, begin, end, width, eps, y, y_stride, rstd);
  });
}

void rms_norm_backward(ThreadPool& pool, const KernelTable& kernels, const float* dy, int64_t dy_stride, const float* x, int64_t x_stride,
                       const float* weight, const float* rstd, int64_t rows, int64_t width, float* dx, int64_t dx_stride, bool accumulate,
                       float* dweight) {
  // One partial sum of dweight a block of kNormBlock rows, added in order of the blocks, in double: a sum of
  // short float32 sums is then closer to the truth than one long one.
  const int64_t blocks = (rows + kNormBlock - 1) / kNormBlock;
  thread_local std::vector<float> memory;
  memory.assign(static_cast<size_t>(blocks * width), 0.0f);
  float* part = memory.data();
  pool.parallel_for(blocks, std::max<int64_t>(1, row_grain(width) / kNormBlock), [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; ++b)
      kernels.ops->rms_norm_backward(dy, dy_stride, x, x_stride, weight, rstd, b * kNormBlock, std::min(rows, (b + 1) * kNormBlock), width,
                                     dx, dx_stride, accumulate, part + b * width);
  });
  for (int64_t c = 0; c < width; ++c) {
    double sum = dweight[c];
    for (int64_t b = 0; b < blocks; ++b) sum += part[b * width + c];
    dweight[c] = static_cast<float>(sum);
  }
}

void rope(ThreadPool& pool, const KernelTable& kernels, float* x, int64_t row_stride, int64_t n, int64_t heads, int64_t head_dim,
          const int32_t* positions, const float* cos, const float* sin, bool inverse) {
  pool.parallel_for(n, row_grain(heads * head_dim), [&](int64_t begin, int64_t end, int) {
    kernels.ops->rope(x, row_stride, begin, end, heads, head_dim, positions, cos, sin, inverse);
  });
}

void attention(ThreadPool& pool, const KernelTable& kernels, const float* q, int64_t q_stride, const AttentionSegment* segments,
               int64_t count, AttentionShape shape, float* out, int64_t out_stride, float* lse) {
  // Work items: (segment, chunk of queries, kv head). chunks[s] = chunks before segment s.
  thread_local std::vector<int64_t> memory;
  memory.assign(static_cast<size_t>(count + 1), 0);
  int64_t* chunks = memory.data();
  int64_t most_keys = 0, work = 0;
  for (int64_t s = 0; s < count; ++s) {
    chunks[s + 1] = chunks[s] + (segments[s].query_count + kQueryChunk - 1) / kQueryChunk;
    most_keys = std::max(most_keys, segments[s].key_count);
    work += segments[s].query_count * segments[s].key_count;
  }
  const int64_t items = chunks[count] * shape.kv_heads;
  if (items == 0) return;
  const int64_t floats = kernels.ops->attention_scratch(shape, most_keys);
  const int64_t average = std::max<int64_t>(1, work * shape.heads * shape.head_dim / items);
  pool.parallel_for(items, std::max<int64_t>(1, 4 * kGrain / average), [&](int64_t begin, int64_t end, int) {
    float* space = scratch(floats);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t chunk = i / shape.kv_heads, kv_head = i % shape.kv_heads;
      const int64_t s = std::upper_bound(chunks, chunks + count + 1, chunk) - chunks - 1;
      const int64_t first = (chunk - chunks[s]) * kQueryChunk;
      kernels.ops->attention(q, q_stride, segments[s], kv_head, first, std::min(segments[s].query_count, first + kQueryChunk), shape, out,
                             out_stride, lse, space);
    }
  });
}

void attention_backward(ThreadPool& pool, const KernelTable& kernels, const float* q, int64_t q_stride, const float* out, const float* dout,
                        int64_t out_stride, const float* /*lse*/, const AttentionSegment* segments, int64_t count, AttentionShape shape,
                        float* dq, int64_t dq_stride, const KvGradients* gradients, int64_t kv_stride) {
  // Work items: (segments with one first piece, kv head). trees: the first segment of each, and the end.
  thread_local std::vector<int64_t> memory;
  memory.clear();
  int64_t most_keys = 0;
  for (int64_t s = 0; s < count; ++s) {
    most_keys = std::max(most_keys, segments[s].key_count);
    const bool shares =
        s > 0 && segments[s].key_count > 0 && segments[s - 1].key_count > 0 && gradients[s].keys[0] == gradients[s - 1].keys[0];
    if (!shares) memory.push_back(s);
  }
  if (count == 0) return;
  const auto items = static_cast<int64_t>(memory.size());
  memory.push_back(count);
  const int64_t* trees = memory.data();
  const int64_t floats = kernels.ops->attention_backward_scratch(shape, most_keys);
  pool.parallel_for(items * shape.kv_heads, 1, [&](int64_t begin, int64_t end, int) {
    float* space = scratch(floats);
    for (int64_t i = begin; i < end; ++i)
      for (int64_t s = trees[i / shape.kv_heads]; s < trees[i / shape.kv_heads + 1]; ++s)
        if (segments[s].query_count > 0)
          kernels.ops->attention_backward(q, q_stride, out, dout, out_stride, segments[s], i % shape.kv_heads, shape, dq, dq_stride,
                                          gradients[s], kv_stride, space);
  });
}

void swiglu(ThreadPool& pool, const KernelTable& kernels, const float* gate_up, int64_t rows, int64_t width, float* h) {
  pool.parallel_for(rows, row_grain(2 * width),
                    [&](int64_t begin, int64_t end, int) { kernels.ops->swiglu(gate_up, begin, end, width, h); });
}

void swiglu_backward(ThreadPool& pool, const KernelTable& kernels, const float* gate_up, const float* dh, int64_t rows, int64_t width,
                     float* dgate_up) {
  pool.parallel_for(rows, row_grain(2 * width),
                    [&](int64_t begin, int64_t end, int) { kernels.ops->swiglu_backward(gate_up, dh, begin, end, width, dgate_up); });
}

double sum_of_squares(ThreadPool& pool, const KernelTable& kernels, const float* x, int64_t n) {
  const int64_t blocks = (n + kSquaresBlock - 1) / kSquaresBlock;
  thread_local std::vector<double> memory;
  memory.assign(static_cast<size_t>(blocks), 0.0);
  double* part = memory.data();
  pool.parallel_for(blocks, 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; ++b)
      part[b] = kernels.ops->sum_of_squares(x + b * kSquaresBlock, std::min(kSquaresBlock, n - b * kSquaresBlock));
  });
  double total = 0.0;
  for (int64_t b = 0; b < blocks; ++b) total += part[b];
  return total;
}

void adamw(ThreadPool& pool, const KernelTable& kernels, float* weight, const float* gradient, float* m, float* v, int64_t n,
           const AdamWStep& step) {
  // Cut at cache lines.
  pool.parallel_for((n + 15) / 16, kGrain / 16, [&](int64_t begin, int64_t end, int) {
    kernels.ops->adamw(weight, gradient, m, v, begin * 16, std::min(n, end * 16), step);
  });
}

// The moments of a few lines at a time as float32 in the first-level cache.
void adamw_bfloat16(ThreadPool& pool, const KernelTable& kernels, float* weight, const float* gradient, uint16_t* m, uint16_t* v,
                    int64_t first, int64_t n, const AdamWStep& step) {
  constexpr int64_t kPiece = 256;
  pool.parallel_for((n + kPiece - 1) / kPiece, kGrain / kPiece, [&](int64_t begin, int64_t end, int) {
    float wide_m[kPiece], wide_v[kPiece];
    for (int64_t at = begin * kPiece; at < std::min(n, end * kPiece); at += kPiece) {
      const int64_t count = std::min(kPiece, n - at);
      for (int64_t i = 0; i < count; ++i) {
        wide_m[i] = from_bfloat16(m[at + i]);
        wide_v[i] = from_bfloat16(v[at + i]);
      }
      kernels.ops->adamw(weight + at, gradient + at, wide_m, wide_v, 0, count, step);
      for (int64_t i = 0; i < count; ++i) {
        m[at + i] = to_bfloat16(wide_m[i]);
        v[at + i] = round_by_chance(std::bit_cast<uint32_t>(wide_v[i]),
                                    scramble(static_cast<uint64_t>(first + at + i), static_cast<uint64_t>(step.step)));
      }
    }
  });
}

}  // namespace siri::cpu
