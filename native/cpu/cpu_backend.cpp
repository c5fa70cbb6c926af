#include "cpu/cpu_backend.h"

#include <cstring>
#include <map>
#include <string>

#include "core/error.h"
#include "core/system.h"
#include "core/threads.h"
#include "cpu/gemm.h"
#include "cpu/head.h"
#include "cpu/losses.h"
#include "cpu/ops.h"

namespace siri {
namespace {

class CpuBackend final : public Backend {
 public:
  CpuBackend(int threads, const char* isa, cpu::Compute compute)
      : pool_(threads), kernels_(cpu::kernels(isa && *isa ? isa : nullptr, compute)) {}
  ~CpuBackend() override {
    for (const auto& [p, bytes] : regions_) give_pages_back(p, bytes);
  }

  const char* name() const override { return kernels_.isa; }

  // Fresh pages of the system: zeroed, and without cost until they are touched.
  void* allocate(size_t bytes) override {
    const size_t length = bytes > 0 ? bytes : 1;
    void* p = take_pages(length);
    if (!p)
      throw MemoryError("cannot get " + std::to_string(length >> 20) + " MiB (" + std::to_string(length) +
                        " bytes) of memory; lower maxBatchTokens or kvCacheMiB, or use a smaller model");
    regions_[p] = length;
    return p;
  }
  void release(void* p) override {
    const auto it = regions_.find(p);
    give_pages_back(p, it->second);
    regions_.erase(it);
  }
  void upload(void* device, const void* host, size_t bytes) override { std::memcpy(device, host, bytes); }
  void download(void* host, const void* device, size_t bytes) override { std::memcpy(host, device, bytes); }
  void zero(void* device, size_t bytes) override {
    pool_.parallel_for(static_cast<int64_t>(bytes), int64_t{1} << 18, [device](int64_t begin, int64_t end, int) {
      std::memset(static_cast<char*>(device) + begin, 0, static_cast<size_t>(end - begin));
    });
  }
  size_t packed_bytes(int64_t rows, int64_t columns, bool backward) const override {
    using Order = cpu::PackedWeights::Order;
    return cpu::PackedWeights::packed_bytes(kernels_, rows, columns, backward ? Order::straight : Order::transposed);
  }
  void weights_changed() override { packed_.weights_changed(); }

  void embed(const int32_t* tokens, int64_t n, const float* table, int64_t width, float* x) override {
    cpu::embed(pool_, kernels_, tokens, n, table, width, x);
  }
  void embed_backward(const int32_t* tokens, int64_t n, const float* dx, int64_t width, int64_t vocab, float* dtable) override {
    cpu::embed_backward(pool_, kernels_, tokens, n, dx, width, vocab, dtable);
  }
  void gather_rows(const float* x, const int32_t* index, int64_t n, int64_t width, float* y) override {
    cpu::gather_rows(pool_, kernels_, x, index, n, width, y);
  }
  void scatter_add_rows(const float* y, const int32_t* index, int64_t n, int64_t width, float* x) override {
    cpu::scatter_add_rows(pool_, kernels_, y, index, n, width, x);
  }
  void sum_rows(const float* x, const int32_t* index, const int64_t* starts, int64_t n, int64_t width, float* y) override {
    cpu::sum_rows(pool_, kernels_, x, index, starts, n, width, y);
  }

  void rms_norm(const float* x, int64_t x_stride, const float* weight, int64_t rows, int64_t width, float eps, float* y, int64_t y_stride,
                float* rstd) override {
    cpu::rms_norm(pool_, kernels_, x, x_stride, weight, rows, width, eps, y, y_stride, rstd);
  }
  void rms_norm_backward(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, const float* weight, const float* rstd,
                         int64_t rows, int64_t width, float* dx, int64_t dx_stride, bool accumulate, float* dweight) override {
    cpu::rms_norm_backward(pool_, kernels_, dy, dy_stride, x, x_stride, weight, rstd, rows, width, dx, dx_stride, accumulate, dweight);
  }

  void linear(const float* x, int64_t x_stride, const float* weight, const float* bias, const float* residual, int64_t n, int64_t in,
              int64_t out, float* y, int64_t y_stride) override {
    cpu::linear(pool_, kernels_, packed_, x, x_stride, weight, bias, residual, n, in, out, y, y_stride);
  }
  void linear_backward_input(const float* dy, int64_t dy_stride, const float* weight, int64_t n, int64_t in, int64_t out, float* dx,
                             int64_t dx_stride, bool accumulate) override {
    cpu::linear_backward_input(pool_, kernels_, packed_, dy, dy_stride, weight, n, in, out, dx, dx_stride, accumulate);
  }
  void linear_backward_weight(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, int64_t n, int64_t in, int64_t out,
                              float* dweight, float* dbias) override {
    cpu::linear_backward_weight(pool_, kernels_, packed_, dy, dy_stride, x, x_stride, n, in, out, dweight, dbias);
  }

  void rope(float* x, int64_t row_stride, int64_t n, int64_t heads, int64_t head_dim, const int32_t* positions, const float* cos,
            const float* sin, bool inverse) override {
    cpu::rope(pool_, kernels_, x, row_stride, n, heads, head_dim, positions, cos, sin, inverse);
  }

  void attention(const float* q, int64_t q_stride, const AttentionSegment* segments, int64_t count, AttentionShape shape, float* out,
                 int64_t out_stride, float* lse) override {
    cpu::attention(pool_, kernels_, q, q_stride, segments, count, shape, out, out_stride, lse);
  }
  void attention_backward(const float* q, int64_t q_stride, const float* out, const float* dout, int64_t out_stride, const float* lse,
                          const AttentionSegment* segments, int64_t count, AttentionShape shape, float* dq, int64_t dq_stride,
                          const KvGradients* gradients, int64_t kv_stride) override {
    cpu::attention_backward(pool_, kernels_, q, q_stride, out, dout, out_stride, lse, segments, count, shape, dq, dq_stride, gradients,
                            kv_stride);
  }

  void swiglu(const float* gate_up, int64_t rows, int64_t width, float* h) override {
    cpu::swiglu(pool_, kernels_, gate_up, rows, width, h);
  }
  void swiglu_backward(const float* gate_up, const float* dh, int64_t rows, int64_t width, float* dgate_up) override {
    cpu::swiglu_backward(pool_, kernels_, gate_up, dh, rows, width, dgate_up);
  }

  void head_score(const float* hidden, const float* head, const int32_t* target, const RowSampling* sampling, int64_t n, int64_t width,
                  int64_t vocab, float* logprob, float* entropy) override {
    cpu::head_score(pool_, kernels_, packed_, hidden, head, target, sampling, n, width, vocab, logprob, entropy);
  }
  void head_train(const float* hidden, const float* head, const int32_t* target, const RowSampling* sampling, int64_t n, int64_t width,
                  int64_t vocab, const TokenLoss& loss, float* logprob, float* entropy, float* dhidden, float* dhead) override {
    cpu::head_train(pool_, kernels_, packed_, hidden, head, target, sampling, n, width, vocab, loss, logprob, entropy, dhidden, dhead);
  }
  void head_distill(const float* hidden, const float* teacher, const float* head, const int32_t* target, int64_t n, int64_t width,
                    int64_t vocab, const LogitLoss& loss, float* logprob, float* dhidden, float* dhead) override {
    cpu::head_distill(pool_, kernels_, packed_, hidden, teacher, head, target, n, width, vocab, loss, logprob, dhidden, dhead);
  }
  void divergence_rows(const DivergenceSpec& spec, const double* row_scale, int64_t rows, int64_t vocab, float* logits,
                       const float* teacher_logits, double* value) override {
    using Kind = DivergenceSpec::Kind;
    const cpu::Divergence kind = spec.kind == Kind::kForwardKl   ? cpu::Divergence::forward_kl
                                 : spec.kind == Kind::kReverseKl ? cpu::Divergence::reverse_kl
                                                                 : cpu::Divergence::jsd;
    cpu::divergence_rows(pool_, kernels_, kind, spec.beta, spec.temperature, row_scale, rows, vocab, logits, teacher_logits, value);
  }
  void head_sample(const float* hidden, const float* head, const RowSampling* sampling, const uint64_t* seed, const uint64_t* position,
                   int64_t n, int64_t width, int64_t vocab, int32_t* token, float* logprob) override {
    cpu::head_sample(pool_, kernels_, packed_, hidden, head, sampling, seed, position, n, width, vocab, token, logprob);
  }

  double sum_of_squares(const float* x, int64_t n) override { return cpu::sum_of_squares(pool_, kernels_, x, n); }
  void adamw(float* weight, const float* gradient, void* m, void* v, Moments moments, int64_t first, int64_t n,
             const AdamWStep& step) override {
    if (moments == Moments::kFloat32)
      cpu::adamw(pool_, kernels_, weight, gradient, static_cast<float*>(m), static_cast<float*>(v), n, step);
    else
      cpu::adamw_bfloat16(pool_, kernels_, weight, gradient, static_cast<uint16_t*>(m), static_cast<uint16_t*>(v), first, n, step);
  }

 private:
  ThreadPool pool_;
  const cpu::KernelTable& kernels_;
  cpu::PackedWeights packed_;
  std::map<void*, size_t> regions_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int threads, const char* isa, cpu::Compute compute) {
  return std::make_unique<CpuBackend>(threads, isa, compute);
}

}  // namespace siri
