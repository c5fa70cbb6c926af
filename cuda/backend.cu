// Header: cuda_backend.h.
#include "attention_plan.cuh"
#include "cuda_backend.h"
#include "ops.h"

namespace siri::SIRI_DEVICE {
namespace {

class DeviceBackend final : public Backend {
 public:
  DeviceBackend(int index, cpu::Compute compute)
      : device_(index),
        name_(SIRI_DEVICE_NAME ":" + std::to_string(index) + ", " + device_.info().name),
        bfloat16_(compute == cpu::Compute::kBfloat16),
        rounded_(device_),
        plans_(device_) {}

  const char* name() const override { return name_.c_str(); }
  void enter_thread() override { device_.enter_thread(); }
  size_t scratch_bytes() const override { return device_.scratch_bytes() + plans_.bytes(); }
  bool wants_warm_up() const override { return device_.grows(); }

  void* allocate(size_t bytes) override { return device_.allocate(bytes); }
  void release(void* p) override { device_.release(p); }
  void upload(void* device, const void* host, size_t bytes) override { device_.upload(device, host, bytes); }
  void download(void* host, const void* device, size_t bytes) override { device_.download(host, device, bytes); }
  void zero(void* device, size_t bytes) override { device_.zero(device, bytes); }
  // One copy serves both directions.
  size_t packed_bytes(int64_t rows, int64_t columns, bool backward) const override {
    return bfloat16_ && !backward ? RoundedWeights::bytes(rows, columns) : 0;
  }
  void weights_changed() override { rounded_.stale(); }

  void embed(const int32_t* tokens, int64_t n, const float* table, int64_t width, float* x) override {
    device_.begin();
    SIRI_DEVICE::embed(device_, tokens, n, table, width, x);
  }
  void embed_backward(const int32_t* tokens, int64_t n, const float* dx, int64_t width, int64_t, float* dtable) override {
    device_.begin();
    SIRI_DEVICE::embed_backward(device_, tokens, n, dx, width, dtable);
  }
  void gather_rows(const float* x, const int32_t* index, int64_t n, int64_t width, float* y) override {
    device_.begin();
    SIRI_DEVICE::gather_rows(device_, x, index, n, width, y);
  }
  void scatter_add_rows(const float* y, const int32_t* index, int64_t n, int64_t width, float* x) override {
    device_.begin();
    SIRI_DEVICE::scatter_add_rows(device_, y, index, n, width, x);
  }
  void sum_rows(const float* x, const int32_t* index, const int64_t* starts, int64_t n, int64_t width, float* y) override {
    device_.begin();
    SIRI_DEVICE::sum_rows(device_, x, index, starts, n, width, y);
  }
  void store_rows(const float* x, int64_t x_stride, int64_t n, int64_t width, float* const* rows) override {
    device_.begin();
    SIRI_DEVICE::store_rows(device_, x, x_stride, n, width, rows);
  }

  void rms_norm(const float* x, int64_t x_stride, const float* weight, int64_t rows, int64_t width, float eps, float* y, int64_t y_stride,
                float* rstd) override {
    device_.begin();
    SIRI_DEVICE::rms_norm(device_, x, x_stride, weight, rows, width, eps, y, y_stride, rstd);
  }
  void rms_norm_backward(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, const float* weight, const float* rstd,
                         int64_t rows, int64_t width, float* dx, int64_t dx_stride, bool accumulate, float* dweight) override {
    device_.begin();
    SIRI_DEVICE::rms_norm_backward(device_, dy, dy_stride, x, x_stride, weight, rstd, rows, width, dx, dx_stride, accumulate, dweight);
  }

  void linear(const float* x, int64_t x_stride, const float* weight, const float* bias, const float* residual, int64_t n, int64_t in,
              int64_t out, float* y, int64_t y_stride) override {
    device_.begin();
    with_weight(weight, out, in,
                [&](const auto& w) { SIRI_DEVICE::linear(device_, x, x_stride, w, bias, residual, n, in, out, y, y_stride); });
  }
  void linear_backward_input(const float* dy, int64_t dy_stride, const float* weight, int64_t n, int64_t in, int64_t out, float* dx,
                             int64_t dx_stride, bool accumulate) override {
    device_.begin();
    with_weight(weight, out, in, [&](const auto& w) {
      SIRI_DEVICE::linear_backward_input(device_, dy, dy_stride, w, n, in, out, dx, dx_stride, accumulate);
    });
  }
  void linear_backward_weight(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, int64_t n, int64_t in, int64_t out,
                              float* dweight, float* dbias) override {
    device_.begin();
    const auto run = bfloat16_ ? SIRI_DEVICE::linear_backward_weight<bf16> : SIRI_DEVICE::linear_backward_weight<float>;
    run(device_, dy, dy_stride, x, x_stride, n, in, out, dweight, dbias);
  }

  void rope(float* x, int64_t row_stride, int64_t n, int64_t heads, int64_t head_dim, const int32_t* positions, const float* cos,
            const float* sin, bool inverse) override {
    device_.begin();
    SIRI_DEVICE::rope(device_, x, row_stride, n, heads, head_dim, positions, cos, sin, inverse);
  }
  int64_t most_head_dim() const override { return kMostHeadDim; }
  void attention(const float* q, int64_t q_stride, const AttentionSegment* segments, int64_t count, AttentionShape shape, float* out,
                 int64_t out_stride, float* lse) override {
    device_.begin();
    const auto run = bfloat16_ ? SIRI_DEVICE::attention<float, bf16> : SIRI_DEVICE::attention<float, float>;
    run(plans_, q, q_stride, segments, count, shape, out, out_stride, lse);
  }
  void attention_backward(const float* q, int64_t q_stride, const float* out, const float* dout, int64_t out_stride, const float* lse,
                          const AttentionSegment* segments, int64_t count, AttentionShape shape, float* dq, int64_t dq_stride,
                          const KvGradients* gradients, int64_t kv_stride) override {
    device_.begin();
    const auto run = bfloat16_ ? SIRI_DEVICE::attention_backward<float, bf16> : SIRI_DEVICE::attention_backward<float, float>;
    run(plans_, q, q_stride, out, dout, out_stride, lse, segments, count, shape, dq, dq_stride, gradients, kv_stride);
  }

  void swiglu(const float* gate_up, int64_t rows, int64_t width, float* h) override {
    device_.begin();
    SIRI_DEVICE::swiglu(device_, gate_up, rows, width, h);
  }
  void swiglu_backward(const float* gate_up, const float* dh, int64_t rows, int64_t width, float* dgate_up) override {
    device_.begin();
    SIRI_DEVICE::swiglu_backward(device_, gate_up, dh, rows, width, dgate_up);
  }

  void head_score(const float* hidden, const float* head, const int32_t* target, const RowSampling* sampling, int64_t n, int64_t width,
                  int64_t vocab, float* logprob, float* entropy) override {
    device_.begin();
    with_weight(head, vocab, width, [&](const auto& w) {
      SIRI_DEVICE::head_score(device_, operand(w, hidden, n, width), w, target, sampling, n, width, vocab, logprob, entropy);
    });
  }
  void head_train(const float* hidden, const float* head, const int32_t* target, const RowSampling* sampling, int64_t n, int64_t width,
                  int64_t vocab, const TokenLoss& loss, float* logprob, float* entropy, float* dhidden, float* dhead) override {
    device_.begin();
    with_weight(head, vocab, width, [&](const auto& w) {
      SIRI_DEVICE::head_train(device_, operand(w, hidden, n, width), w, target, sampling, n, width, vocab, loss, logprob, entropy, dhidden,
                              dhead);
    });
  }
  void head_distill(const float* hidden, const float* teacher, const float* head, const int32_t* target, int64_t n, int64_t width,
                    int64_t vocab, const LogitLoss& loss, float* logprob, float* dhidden, float* dhead) override {
    device_.begin();
    const Distilling here(distilling_);
    with_weight(head, vocab, width, [&](const auto& w) {
      SIRI_DEVICE::head_distill(device_, operand(w, hidden, n, width), operand(w, teacher, n, width), w, target, n, width, vocab, loss,
                                logprob, dhidden, dhead);
    });
  }
  void divergence_rows(const DivergenceSpec& spec, const double* row_scale, int64_t rows, int64_t vocab, float* logits,
                       const float* teacher_logits, double* value) override {
    if (!distilling_) device_.begin();
    SIRI_DEVICE::divergence_rows(device_, spec, row_scale, rows, vocab, logits, teacher_logits, value);
  }
  void head_sample(const float* hidden, const float* head, const RowSampling* sampling, const uint64_t* seed, const uint64_t* position,
                   int64_t n, int64_t width, int64_t vocab, int32_t* token, float* logprob) override {
    device_.begin();
    with_weight(head, vocab, width, [&](const auto& w) {
      SIRI_DEVICE::head_sample(device_, operand(w, hidden, n, width), w, sampling, seed, position, n, width, vocab, token, logprob);
    });
  }

  double sum_of_squares(const float* x, int64_t n) override {
    device_.begin();
    return SIRI_DEVICE::sum_of_squares(device_, x, n);
  }
  void adamw(float* weight, const float* gradient, void* m, void* v, Moments moments, int64_t first, int64_t n,
             const AdamWStep& step) override {
    device_.begin();
    if (moments == Moments::kFloat32)
      SIRI_DEVICE::adamw(device_, weight, gradient, static_cast<float*>(m), static_cast<float*>(v), first, n, step);
    else
      SIRI_DEVICE::adamw(device_, weight, gradient, static_cast<bf16*>(m), static_cast<bf16*>(v), first, n, step);
  }

 private:
  // work(weight [rows, width] as the operand of products).
  template <class Work>
  void with_weight(const float* weight, int64_t rows, int64_t width, const Work& work) {
    if (bfloat16_)
      work(rounded_.get(weight, rows, width));
    else
      work(Rows<float>{weight, width});
  }

  // An activation [n, width] as an operand beside a weight of T.
  Rows<float> operand(const Rows<float>&, const float* x, int64_t, int64_t width) { return {x, width}; }
  Rows<bf16> operand(const Rows<bf16>&, const float* x, int64_t n, int64_t width) { return round_rows(device_, x, width, n, width); }

  // While head_distill calls its loss, which calls divergence_rows: the scratch of both lives.
  struct Distilling {
    bool& flag;
    explicit Distilling(bool& flag) : flag(flag) { flag = true; }
    ~Distilling() { flag = false; }
  };

  bool distilling_ = false;
  Device device_;
  std::string name_;
  bool bfloat16_;
  RoundedWeights rounded_;
  AttentionPlans<float> plans_;
};

}  // namespace

std::unique_ptr<Backend> make_backend(int index, cpu::Compute compute) { return std::make_unique<DeviceBackend>(index, compute); }

}  // namespace siri::SIRI_DEVICE
