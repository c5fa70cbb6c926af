#include "check/separated_backend.h"

#include <sys/mman.h>

#include <vector>

#include "core/error.h"
#include "cpu/cpu_backend.h"

namespace siri::check {
namespace {

constexpr size_t kRegion = size_t{1} << 30;

class SeparatedBackend final : public Backend {
 public:
  explicit SeparatedBackend(int threads)
      : cpu_(make_cpu_backend(threads, "")), memory_(map(PROT_READ | PROT_WRITE)), address_(map(PROT_NONE)) {}
  ~SeparatedBackend() override {
    munmap(memory_, kRegion);
    munmap(address_, kRegion);
  }

  const char* name() const override { return "separated"; }
  // From front to back; nothing is used twice.
  void* allocate(size_t bytes) override {
    if (used_ + bytes > kRegion) throw MemoryError("the separated device has no " + std::to_string(bytes) + " bytes left");
    void* p = address_ + used_;
    used_ += (bytes + 63) / 64 * 64;
    return p;
  }
  void release(void*) override {}
  void upload(void* device, const void* host, size_t bytes) override { cpu_->upload(at(device), host, bytes); }
  void download(void* host, const void* device, size_t bytes) override { cpu_->download(host, at(device), bytes); }
  void zero(void* device, size_t bytes) override { cpu_->zero(at(device), bytes); }
  void weights_changed() override { cpu_->weights_changed(); }

  void embed(const int32_t* tokens, int64_t n, const float* table, int64_t width, float* x) override {
    cpu_->embed(tokens, n, at(table), width, at(x));
  }
  void embed_backward(const int32_t* tokens, int64_t n, const float* dx, int64_t width, int64_t vocab, float* dtable) override {
    cpu_->embed_backward(tokens, n, at(dx), width, vocab, at(dtable));
  }
  void gather_rows(const float* x, const int32_t* index, int64_t n, int64_t width, float* y) override {
    cpu_->gather_rows(at(x), index, n, width, at(y));
  }
  void scatter_add_rows(const float* y, const int32_t* index, int64_t n, int64_t width, float* x) override {
    cpu_->scatter_add_rows(at(y), index, n, width, at(x));
  }
  void sum_rows(const float* x, const int32_t* index, const int64_t* starts, int64_t n, int64_t width, float* y) override {
    cpu_->sum_rows(at(x), index, starts, n, width, at(y));
  }
  void store_rows(const float* x, int64_t x_stride, int64_t n, int64_t width, float* const* rows) override {
    std::vector<float*> real;
    for (int64_t i = 0; i < n; ++i) real.push_back(at(rows[i]));
    cpu_->store_rows(at(x), x_stride, n, width, real.data());
  }
  void rms_norm(const float* x, int64_t x_stride, const float* weight, int64_t rows, int64_t width, float eps, float* y, int64_t y_stride,
                float* rstd) override {
    cpu_->rms_norm(at(x), x_stride, at(weight), rows, width, eps, at(y), y_stride, at(rstd));
  }
  void rms_norm_backward(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, const float* weight, const float* rstd,
                         int64_t rows, int64_t width, float* dx, int64_t dx_stride, bool accumulate, float* dweight) override {
    cpu_->rms_norm_backward(at(dy), dy_stride, at(x), x_stride, at(weight), at(rstd), rows, width, at(dx), dx_stride, accumulate,
                            at(dweight));
  }
  void linear(const float* x, int64_t x_stride, const float* weight, const float* bias, const float* residual, int64_t n, int64_t in,
              int64_t out, float* y, int64_t y_stride) override {
    cpu_->linear(at(x), x_stride, at(weight), at(bias), at(residual), n, in, out, at(y), y_stride);
  }
  void linear_backward_input(const float* dy, int64_t dy_stride, const float* weight, int64_t n, int64_t in, int64_t out, float* dx,
                             int64_t dx_stride, bool accumulate) override {
    cpu_->linear_backward_input(at(dy), dy_stride, at(weight), n, in, out, at(dx), dx_stride, accumulate);
  }
  void linear_backward_weight(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, int64_t n, int64_t in, int64_t out,
                              float* dweight, float* dbias) override {
    cpu_->linear_backward_weight(at(dy), dy_stride, at(x), x_stride, n, in, out, at(dweight), at(dbias));
  }
  void rope(float* x, int64_t row_stride, int64_t n, int64_t heads, int64_t head_dim, const int32_t* positions, const float* cos,
            const float* sin, bool inverse) override {
    cpu_->rope(at(x), row_stride, n, heads, head_dim, positions, at(cos), at(sin), inverse);
  }
  void attention(const float* q, int64_t q_stride, const AttentionSegment* segments, int64_t count, AttentionShape shape, float* out,
                 int64_t out_stride, float* lse) override {
    const RealSegments real(*this, segments, count, nullptr);
    cpu_->attention(at(q), q_stride, real.segments.data(), count, shape, at(out), out_stride, at(lse));
  }
  void attention_backward(const float* q, int64_t q_stride, const float* out, const float* dout, int64_t out_stride, const float* lse,
                          const AttentionSegment* segments, int64_t count, AttentionShape shape, float* dq, int64_t dq_stride,
                          const KvGradients* gradients, int64_t kv_stride) override {
    const RealSegments real(*this, segments, count, gradients);
    cpu_->attention_backward(at(q), q_stride, at(out), at(dout), out_stride, at(lse), real.segments.data(), count, shape, at(dq), dq_stride,
                             real.gradients.data(), kv_stride);
  }
  void swiglu(const float* gate_up, int64_t rows, int64_t width, float* h) override { cpu_->swiglu(at(gate_up), rows, width, at(h)); }
  void swiglu_backward(const float* gate_up, const float* dh, int64_t rows, int64_t width, float* dgate_up) override {
    cpu_->swiglu_backward(at(gate_up), at(dh), rows, width, at(dgate_up));
  }
  void head_score(const float* hidden, const float* head, const int32_t* target, const RowSampling* sampling, int64_t n, int64_t width,
                  int64_t vocab, float* logprob, float* entropy) override {
    cpu_->head_score(at(hidden), at(head), target, sampling, n, width, vocab, logprob, entropy);
  }
  void head_train(const float* hidden, const float* head, const int32_t* target, const RowSampling* sampling, int64_t n, int64_t width,
                  int64_t vocab, const TokenLoss& loss, float* logprob, float* entropy, float* dhidden, float* dhead) override {
    cpu_->head_train(at(hidden), at(head), target, sampling, n, width, vocab, loss, logprob, entropy, at(dhidden), at(dhead));
  }
  // The logits that a loss sees are memory of the CPU's own: they get addresses while it runs.
  void head_distill(const float* hidden, const float* teacher, const float* head, const int32_t* target, int64_t n, int64_t width,
                    int64_t vocab, const LogitLoss& loss, float* logprob, float* dhidden, float* dhead) override {
    const LogitLoss hidden_loss = [&](int64_t begin, int64_t end, const float* values, float* logits, const float* teacher_logits) {
      lent_[0] = logits;
      lent_[1] = const_cast<float*>(teacher_logits);
      loss(begin, end, values, reinterpret_cast<float*>(address_), teacher_logits ? reinterpret_cast<float*>(address_ + 1) : nullptr);
    };
    cpu_->head_distill(at(hidden), at(teacher), at(head), target, n, width, vocab, hidden_loss, logprob, at(dhidden), at(dhead));
  }
  void divergence_rows(const DivergenceSpec& spec, const double* row_scale, int64_t rows, int64_t vocab, float*, const float*,
                       double* value) override {
    cpu_->divergence_rows(spec, row_scale, rows, vocab, lent_[0], lent_[1], value);
  }
  void head_sample(const float* hidden, const float* head, const RowSampling* sampling, const uint64_t* seed, const uint64_t* position,
                   int64_t n, int64_t width, int64_t vocab, int32_t* token, float* logprob) override {
    cpu_->head_sample(at(hidden), at(head), sampling, seed, position, n, width, vocab, token, logprob);
  }
  double sum_of_squares(const float* x, int64_t n) override { return cpu_->sum_of_squares(at(x), n); }
  void adamw(float* weight, const float* gradient, void* m, void* v, Moments moments, int64_t first, int64_t n,
             const AdamWStep& step) override {
    cpu_->adamw(at(weight), at(gradient), at(m), at(v), moments, first, n, step);
  }

 private:
  static char* map(int protection) {
    void* p = mmap(nullptr, kRegion, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw MemoryError("the system has no address space for the separated device");
    return static_cast<char*>(p);
  }

  // Where the bytes behind an address are.
  template <class T>
  T* at(T* p) const {
    if (p == nullptr) return nullptr;
    const auto offset = reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(address_);
    if (offset >= used_) throw ArgumentError("an operation of the separated device was given memory that it did not hand out");
    return reinterpret_cast<T*>(memory_ + offset);
  }

  // A copy of segments (and gradients) whose lists name the real places.
  struct RealSegments {
    RealSegments(const SeparatedBackend& device, const AttentionSegment* from, int64_t count, const KvGradients* sums)
        : segments(from, from + count), lists(4 * static_cast<size_t>(count)) {
      for (int64_t s = 0; s < count; ++s) {
        AttentionSegment& a = segments[s];
        int64_t pieces = 0;
        if (a.key_count > 0)
          while (a.keys.ends[pieces++] < a.key_count) {
          }
        const auto list = [&](int which, auto place) {
          std::vector<float*>& l = lists[4 * s + which];
          for (int64_t i = 0; i < pieces; ++i) l.push_back(device.at(const_cast<float*>(place[i])));
          return l.data();
        };
        a.keys.pieces = list(0, a.keys.pieces);
        a.values.pieces = list(1, a.values.pieces);
        if (sums != nullptr) gradients.push_back({list(2, sums[s].keys), list(3, sums[s].values)});
      }
    }
    std::vector<AttentionSegment> segments;
    std::vector<KvGradients> gradients;
    std::vector<std::vector<float*>> lists;
  };

  std::unique_ptr<Backend> cpu_;
  char *memory_, *address_;
  size_t used_ = 0;
  float* lent_[2] = {};
};

}  // namespace

std::unique_ptr<Backend> make_separated_backend(int threads) { return std::make_unique<SeparatedBackend>(threads); }

}  // namespace siri::check
