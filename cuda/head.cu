// The head for whole calls: scoring, training, distillation. What is computed and how fast: head_tiles.cu, head_cut.cu, distill.cu; here is
// in which pieces, so that scratch stays below 1 GiB at 8192 rows of 151936 tokens.
//
// Scoring takes the rows in blocks of 8192. Rows that cut off tokens are taken again, together, with their logits in memory (256 MiB at a
// time), since their border must be known before their sums.
// Training asks the loss for all rows at once, by a host function in the stream: the launches of the backward pass stand behind it
// already, so the device goes on when it returns. The backward pass walks the vocabulary in ranges of 8192 tokens: the gradient of a range
// [rows, 8192] in the operands' type (128 MiB in bfloat16), then its product with the head's rows, which adds to dhidden, and its product
// with hidden, which adds to dhead: each element of dhead is written once (for each 8192 rows), in the order of the rows.
// Floor on an H200, n 8192, vocab 151936, width 1536, bfloat16: four products of 4.84 ms, 19.4 ms for forward and backward; keeping the
// logits (14.5 ms) would take 2.5 GB in bfloat16. dhidden is read and written 19 times, 0.4 ms; the gradient 2.5 GB three times, 1.7 ms,
// partly in L2. Measured: not yet (no GPU at hand).
// Distillation holds the logits of student and teacher in float32, as the loss takes and gives them: 512 MiB for both, 441 rows at a time;
// it waits once a piece for the log-probs that the loss is told, and dhead is written once a piece.
#include <algorithm>
#include <cmath>

#include "head.cuh"
#include "ops.h"

namespace siri::SIRI_DEVICE {
namespace {

constexpr int64_t kRowBlock = 8192, kTokenBlock = 8192;
constexpr int64_t kLogitBytes = int64_t{256} << 20;  // of one matrix of logits

int64_t logit_rows(int64_t vocab) { return std::max<int64_t>(1, kLogitBytes / (vocab * static_cast<int64_t>(sizeof(float)))); }

int64_t whole(int64_t depth) { return blocks_for(depth, kChunkUnit) * kChunkUnit; }

// Rows of T one after another, for a call of `width` columns.
template <class T>
int64_t row_stride(int64_t width) {
  return std::is_same_v<T, bf16> ? rounded_stride(width) : width;
}

// From the gradient of the logits of tokens [first, first + count): dhidden (+)= gradient head, dhead += gradient^T hidden.
template <class T>
void add_products(Device& device, const HeadOperands<T>& x, const Rows<T>& gradient, int64_t first, int64_t count, float* dhidden,
                  float* dhead) {
  multiply(device, Gemm<T>{Form::kInput,
                           gradient,
                           {x.head.data + first * x.head.stride, x.head.stride},
                           x.n,
                           x.width,
                           count,
                           whole(count),
                           nullptr,
                           first == 0 ? nullptr : dhidden,
                           dhidden,
                           x.width});
  float* rows = dhead + first * x.width;
  multiply(device, Gemm<T>{Form::kWeight, gradient, x.hidden, count, x.width, x.n, whole(x.n), nullptr, rows, rows, x.width});
}

template <class T>
void backward(Device& device, const HeadOperands<T>& all, const int32_t* target, const RowNumbers& numbers, const Slope* slope,
              float* dhidden, float* dhead) {
  const int64_t most = std::min(all.vocab, kTokenBlock);
  T* gradient = device.take<T>(std::min(all.n, kRowBlock) * row_stride<T>(most));
  for (int64_t r = 0; r < all.n; r += kRowBlock) {
    const HeadOperands<T> x = all.rows(r, std::min(kRowBlock, all.n - r));
    for (int64_t first = 0; first < x.vocab; first += kTokenBlock) {
      const int64_t count = std::min(kTokenBlock, x.vocab - first), stride = row_stride<T>(count);
      slope_tiles(device, x, target + r, numbers.from(r), slope + r, first, count, gradient, stride);
      add_products(device, x, Rows<T>{gradient, stride}, first, count, dhidden + r * x.width, dhead);
    }
  }
}

// Tokens [first, first + count) of gradients [n, vocab] as an operand.
Rows<float> gradient_operand(Device&, const float* gradient, int64_t, int64_t vocab, int64_t first, int64_t, float*) {
  return {gradient + first, vocab};
}
Rows<bf16> gradient_operand(Device& device, const float* gradient, int64_t n, int64_t vocab, int64_t first, int64_t count, bf16* scratch) {
  round_rows(device, gradient + first, vocab, n, count, scratch);
  return {scratch, rounded_stride(count)};
}

}  // namespace

RowSpecs::RowSpecs(const RowSampling* sampling, int64_t n, int64_t vocab) : scale(n) {
  for (int64_t i = 0; i < n; ++i) {
    const RowSampling& s = sampling[i];
    scale[i] = s.temperature == 0.0f ? 1.0f : 1.0f / s.temperature;
    if (s.temperature != 0.0f && ((s.top_k > 0 && s.top_k < vocab) || s.top_p < 1.0f))
      cut.push_back({static_cast<int32_t>(i), static_cast<int32_t>(i), s.top_k, s.top_p});
  }
}

RowNumbers take_numbers(Device& device, int64_t n) {
  return {device.take<float>(n), device.take<double>(n),   device.take<float>(n),
          device.take<float>(n), device.take<uint32_t>(n), device.take<int32_t>(n)};
}

template <class T>
void score_rows(Device& device, const HeadOperands<T>& x, const RowSpecs& specs, const int32_t* target, const RowNumbers& numbers,
                float* logits) {
  const float* scale = device.stage(specs.scale.data(), x.n);
  const int64_t cut = static_cast<int64_t>(specs.cut.size());
  if (logits != nullptr || cut < x.n)
    for (int64_t r = 0; r < x.n; r += kRowBlock) {
      const RowNumbers of_block = numbers.from(r);
      score_tiles(device, x.rows(r, std::min(kRowBlock, x.n - r)), scale + r, target == nullptr ? nullptr : target + r, &of_block,
                  logits == nullptr ? nullptr : logits + r * x.vocab);
    }
  if (logits != nullptr) return cut_rows(device, logits, specs.cut, x.vocab, target, x.n, numbers);

  const int64_t most = std::min(cut, logit_rows(x.vocab));
  logits = device.take<float>(most * x.vocab);
  T* hidden = device.take<T>(most * x.hidden.stride);
  for (int64_t c = 0; c < cut; c += most) {
    std::vector<CutRow> rows(specs.cut.begin() + c, specs.cut.begin() + std::min(cut, c + most));
    const int64_t count = static_cast<int64_t>(rows.size());
    std::vector<int32_t> index;
    std::vector<float> scales;
    for (CutRow& row : rows) {
      row.logit_row = static_cast<int32_t>(index.size());
      index.push_back(row.row);
      scales.push_back(specs.scale[row.row]);
    }
    gather_rows(device, x.hidden.data, index.data(), count, x.hidden.stride, hidden);
    score_tiles(device, HeadOperands<T>{{hidden, x.hidden.stride}, x.head, count, x.width, x.vocab}, device.stage(scales.data(), count),
                nullptr, nullptr, logits);
    cut_rows(device, logits, rows, x.vocab, target, x.n, numbers);
  }
}

template <class T>
void head_score(Device& device, const Rows<T>& hidden, const Rows<T>& head, const int32_t* host_target, const RowSampling* sampling,
                int64_t n, int64_t width, int64_t vocab, float* host_logprob, float* host_entropy, float* host_logsumexp) {
  if (n == 0) return;
  const RowNumbers numbers = take_numbers(device, n);
  score_rows(device, HeadOperands<T>{hidden, head, n, width, vocab}, RowSpecs(sampling, n, vocab), device.stage(host_target, n), numbers,
             nullptr);
  const size_t bytes = static_cast<size_t>(n) * sizeof(float);
  if (host_entropy != nullptr) device.download(host_entropy, numbers.entropy, bytes);
  if (host_logsumexp != nullptr) {
    std::vector<double> log_sum(n);
    device.download(host_logsumexp, numbers.max, bytes);
    device.download(log_sum.data(), numbers.log_sum, 2 * bytes);
    for (int64_t i = 0; i < n; ++i) host_logsumexp[i] = static_cast<float>(host_logsumexp[i] + log_sum[i]);
  }
  device.download(host_logprob, numbers.logprob, bytes);
}

template <class T>
void head_train(Device& device, const Rows<T>& hidden, const Rows<T>& head, const int32_t* host_target, const RowSampling* sampling,
                int64_t n, int64_t width, int64_t vocab, const TokenLoss& loss, float* host_logprob, float* host_entropy, float* dhidden,
                float* dhead) {
  if (n == 0) return;
  const HeadOperands<T> x = {hidden, head, n, width, vocab};
  const RowSpecs specs(sampling, n, vocab);
  const RowNumbers numbers = take_numbers(device, n);
  const int32_t* target = device.stage(host_target, n);
  score_rows(device, x, specs, target, numbers, nullptr);

  const size_t bytes = static_cast<size_t>(n) * sizeof(float);
  float *logprob = device.take_host<float>(n), *entropy = device.take_host<float>(n);
  Slope *host_slope = device.take_host<Slope>(n), *slope = device.take<Slope>(n);
  device.copy(logprob, numbers.logprob, bytes);
  device.copy(entropy, numbers.entropy, bytes);
  HostWork work(device, [&] {
    std::fill(host_slope, host_slope + n, Slope{0, 0, 0, 0});  // should the loss throw
    std::copy(logprob, logprob + n, host_logprob);
    std::copy(entropy, entropy + n, host_entropy);
    std::vector<float> gradient(2 * n, 0.0f);
    float *dlogprob = gradient.data(), *dentropy = dlogprob + n;
    loss(0, n, host_logprob, host_entropy, dlogprob, dentropy);
    for (int64_t i = 0; i < n; ++i) {
      // d logprob / d z = onehot - p;  d entropy / d z = -p (log p + entropy)
      const float scale = specs.scale[i], through_target = std::isinf(logprob[i]) ? 0.0f : dlogprob[i];
      host_slope[i] = {scale, -scale * (through_target + dentropy[i] * entropy[i]), -scale * dentropy[i], scale * through_target};
    }
  });
  device.copy(slope, host_slope, static_cast<size_t>(n) * sizeof(Slope));
  backward(device, x, target, numbers, slope, dhidden, dhead);
  work.finish();
}

template <class T>
void head_distill(Device& device, const Rows<T>& hidden, const Rows<T>& teacher, const Rows<T>& head, const int32_t* host_target, int64_t n,
                  int64_t width, int64_t vocab, const LogitLoss& loss, float* host_logprob, float* dhidden, float* dhead) {
  if (n == 0) return;
  const HeadOperands<T> student = {hidden, head, n, width, vocab}, other = {teacher, head, n, width, vocab};
  const int64_t most = std::min(n, logit_rows(vocab)), tokens = std::min(vocab, kTokenBlock);
  const std::vector<float> ones(most, 1.0f);
  const float* scale = device.stage(ones.data(), most);
  const int32_t* target = device.stage(host_target, n);
  const RowNumbers numbers = take_numbers(device, most);
  float *logits = device.take<float>(most * vocab), *teacher_logits = device.take<float>(most * vocab);
  T* gradient = device.take<T>(std::is_same_v<T, bf16> ? most * row_stride<T>(tokens) : 0);
  for (int64_t r = 0; r < n; r += most) {
    const int64_t rows = std::min(most, n - r);
    const HeadOperands<T> x = student.rows(r, rows);
    score_tiles(device, x, scale, target + r, &numbers, logits);
    score_tiles(device, other.rows(r, rows), scale, nullptr, nullptr, teacher_logits);
    device.download(host_logprob + r, numbers.logprob, static_cast<size_t>(rows) * sizeof(float));
    loss(r, r + rows, host_logprob + r, logits, teacher_logits);
    for (int64_t first = 0; first < vocab; first += kTokenBlock) {
      const int64_t count = std::min(kTokenBlock, vocab - first);
      add_products(device, x, gradient_operand(device, logits, rows, vocab, first, count, gradient), first, count, dhidden + r * width,
                   dhead);
    }
  }
}

#define SIRI_INSTANTIATE(T)                                                                                                                \
  template void score_rows(Device&, const HeadOperands<T>&, const RowSpecs&, const int32_t*, const RowNumbers&, float*);                   \
  template void head_score(Device&, const Rows<T>&, const Rows<T>&, const int32_t*, const RowSampling*, int64_t, int64_t, int64_t, float*, \
                           float*, float*);                                                                                                \
  template void head_train(Device&, const Rows<T>&, const Rows<T>&, const int32_t*, const RowSampling*, int64_t, int64_t, int64_t,         \
                           const TokenLoss&, float*, float*, float*, float*);                                                              \
  template void head_distill(Device&, const Rows<T>&, const Rows<T>&, const Rows<T>&, const int32_t*, int64_t, int64_t, int64_t,           \
                             const LogitLoss&, float*, float*, float*);
SIRI_INSTANTIATE(float)
SIRI_INSTANTIATE(bf16)

}  // namespace siri::SIRI_DEVICE
