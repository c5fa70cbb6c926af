// The CPU operations other than matrix products and the head, threaded: the arguments of Backend's methods, behind a pool and a
// kernel table. Decides only how the work is cut; scratch memory is per thread, grows to the largest call and is kept.
#pragma once
#include <cstdint>

#include "backend.h"
#include "core/threads.h"
#include "cpu/kernel_table.h"

namespace siri::cpu {

void embed(ThreadPool& pool, const KernelTable& kernels, const int32_t* tokens, int64_t n, const float* table, int64_t width, float* x);
void embed_backward(ThreadPool& pool, const KernelTable& kernels, const int32_t* tokens, int64_t n, const float* dx, int64_t width,
                    int64_t vocab, float* dtable);
void gather_rows(ThreadPool& pool, const KernelTable& kernels, const float* x, const int32_t* index, int64_t n, int64_t width, float* y);
void scatter_add_rows(ThreadPool& pool, const KernelTable& kernels, const float* y, const int32_t* index, int64_t n, int64_t width,
                      float* x);
void sum_rows(ThreadPool& pool, const KernelTable& kernels, const float* x, const int32_t* index, const int64_t* starts, int64_t n,
              int64_t width, float* y);

void rms_norm(ThreadPool& pool, const KernelTable& kernels, const float* x, int64_t x_stride, const float* weight, int64_t rows,
              int64_t width, float eps, float* y, int64_t y_stride, float* rstd);
void rms_norm_backward(ThreadPool& pool, const KernelTable& kernels, const float* dy, int64_t dy_stride, const float* x, int64_t x_stride,
                       const float* weight, const float* rstd, int64_t rows, int64_t width, float* dx, int64_t dx_stride, bool accumulate,
                       float* dweight);

void rope(ThreadPool& pool, const KernelTable& kernels, float* x, int64_t row_stride, int64_t n, int64_t heads, int64_t head_dim,
          const int32_t* positions, const float* cos, const float* sin, bool inverse);

void attention(ThreadPool& pool, const KernelTable& kernels, const float* q, int64_t q_stride, const AttentionSegment* segments,
               int64_t count, AttentionShape shape, float* out, int64_t out_stride, float* lse);
void attention_backward(ThreadPool& pool, const KernelTable& kernels, const float* q, int64_t q_stride, const float* out, const float* dout,
                        int64_t out_stride, const float* lse, const AttentionSegment* segments, int64_t count, AttentionShape shape,
                        float* dq, int64_t dq_stride, const KvGradients* gradients, int64_t kv_stride);

void swiglu(ThreadPool& pool, const KernelTable& kernels, const float* gate_up, int64_t rows, int64_t width, float* h);
void swiglu_backward(ThreadPool& pool, const KernelTable& kernels, const float* gate_up, const float* dh, int64_t rows, int64_t width,
                     float* dgate_up);

double sum_of_squares(ThreadPool& pool, const KernelTable& kernels, const float* x, int64_t n);
void adamw(ThreadPool& pool, const KernelTable& kernels, float* weight, const float* gradient, float* m, float* v, int64_t n,
           const AdamWStep& step);
void adamw_bfloat16(ThreadPool& pool, const KernelTable& kernels, float* weight, const float* gradient, uint16_t* m, uint16_t* v,
                    int64_t first, int64_t n, const AdamWStep& step);

}  // namespace siri::cpu
