// Chunks, threads and row shaping around the bodies of head.inl (header: head.h).
#include "cpu/head.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/rng.h"
#include "cpu/gemm_table.h"

namespace siri::cpu {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
// A chunk's logits: of all rows of a chunk the gradient of the head is read and written once, so larger is better until they fall out of
// the last-level cache.
constexpr int64_t kUsualBytes = 28 * kMiB, kMostBytes = 64 * kMiB;
constexpr int64_t kGoodRows = 84;  // enough for the products to run at full speed
constexpr int64_t kRowStep = 42;   // whole register tiles of 14 and of 6 rows
// Columns of a chunk that go through the backward pass together: their gradient is still in the second-level cache when the two products
// read it, and no packed copy of the whole head is needed for the gradient of the hidden states. A multiple of 2 (pairs of bfloat16).
constexpr int64_t kStrip = 1024;
constexpr int kLogits = 0, kTeacherLogits = 1, kStripPanels = 2;  // buffers
constexpr float kInfinity = std::numeric_limits<float>::infinity();

int64_t chunk_rows(int64_t vocab, int64_t buffers) {
  const int64_t row = vocab * static_cast<int64_t>(sizeof(float)) * buffers;
  const int64_t rows = std::max(kUsualBytes / row, std::min(kGoodRows, kMostBytes / row));
  return std::max<int64_t>(1, rows > kRowStep ? rows / kRowStep * kRowStep : rows);
}

int64_t row_grain(int64_t vocab) { return std::max<int64_t>(1, 8192 / vocab); }

// Sets what top_k and top_p cut off to -inf. z is already divided by the temperature.
void cut_off(float* z, int64_t vocab, int32_t top_k, float top_p) {
  std::vector<int32_t> order(vocab);
  std::iota(order.begin(), order.end(), 0);
  const auto likelier = [z](int32_t a, int32_t b) { return z[a] > z[b] || (z[a] == z[b] && a < b); };
  int64_t kept = vocab;
  if (top_k > 0 && top_k < vocab) {
    std::nth_element(order.begin(), order.begin() + top_k, order.end(), likelier);
    kept = top_k;
  }
  if (top_p < 1.0f) {
    const float max = *std::max_element(z, z + vocab);
    double total = 0.0;
    std::sort(order.begin(), order.begin() + (kept < vocab ? kept : 0));
    for (int64_t i = 0; i < kept; ++i) total += std::exp(static_cast<double>(z[order[i]]) - max);
    // Sorted piece by piece: the answer is usually among the first few.
    double mass = 0.0;
    int64_t sorted = 0, n = 0;
    while (n < kept) {
      if (n == sorted) {
        const int64_t more = std::min(kept, std::max<int64_t>(64, 4 * sorted));
        if (more < kept) std::nth_element(order.begin() + sorted, order.begin() + more, order.begin() + kept, likelier);
        std::sort(order.begin() + sorted, order.begin() + more, likelier);
        sorted = more;
      }
      mass += std::exp(static_cast<double>(z[order[n++]]) - max);
      if (mass >= static_cast<double>(top_p) * total) break;
    }
    kept = n;
  }
  for (int64_t i = kept; i < vocab; ++i) z[order[i]] = -kInfinity;
}

void shape_row(const GemmTable& g, float* z, int64_t vocab, const RowSampling& s) {
  if (s.temperature == 0.0f) return;
  if (s.temperature != 1.0f) g.divide_row(z, vocab, s.temperature);
  if ((s.top_k > 0 && s.top_k < vocab) || s.top_p < 1.0f) cut_off(z, vocab, s.top_k, s.top_p);
}

float log_prob(const RowStatistics& r, float z) { return static_cast<float>(static_cast<double>(z) - r.max - r.log_sum); }

// The gradient of a loss of log-probs and entropies with respect to rows of logits, which it overwrites.
class Gradient {
 public:
  // Shapes the logits, finds log-probs and entropies and asks the loss.
  Gradient(ThreadPool& pool, const KernelTable& table, float* logits, const int32_t* target, const RowSampling* sampling, int64_t n,
           int64_t vocab, int64_t first_row, const TokenLoss& loss, float* logprob, float* entropy)
      : pool_(pool), table_(*table.gemm), logits_(logits), n_(n), vocab_(vocab), rows_(n) {
    pool_.parallel_for(n, row_grain(vocab), [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        float* z = logits_ + i * vocab;
        shape_row(table_, z, vocab, sampling[i]);
        rows_[i].statistics = table_.row_statistics(z, vocab);
        logprob[i] = log_prob(rows_[i].statistics, z[target[i]]);
        entropy[i] = static_cast<float>(rows_[i].statistics.entropy());
      }
    });
    std::vector<float> gradient(2 * n, 0.0f);
    float *dlogprob = gradient.data(), *dentropy = dlogprob + n;
    loss(first_row, first_row + n, logprob, entropy, dlogprob, dentropy);
    for (int64_t i = 0; i < n; ++i) {
      const bool kept = logprob[i] != -kInfinity;
      rows_[i].target = kept ? target[i] : -1;
      rows_[i].dlogprob = kept ? dlogprob[i] : 0.0;
      rows_[i].dentropy = dentropy[i];
      rows_[i].scale = 1.0 / (sampling[i].temperature == 0.0f ? 1.0 : sampling[i].temperature);
    }
  }

  // Of columns [begin, end) of every row; each column once. The next row is fetched meanwhile: it lies far from this one.
  void columns(int64_t begin, int64_t end) {
    constexpr int64_t kLine = 64 / sizeof(float);
    pool_.parallel_for(n_, row_grain(end - begin), [&](int64_t first, int64_t last, int) {
      for (int64_t i = first; i < last; ++i) {
        float* z = logits_ + i * vocab_;
        if (i + 1 < last)
          for (int64_t k = begin; k < end; k += kLine) __builtin_prefetch(z + vocab_ + k, 1);
        const Row& r = rows_[i];
        table_.row_gradient(z + begin, end - begin, r.statistics, r.target - begin, r.dlogprob, r.dentropy, r.scale);
      }
    });
  }

 private:
  struct Row {
    RowStatistics statistics;
    int64_t target;
    double dlogprob, dentropy, scale;
  };
  ThreadPool& pool_;
  const GemmTable& table_;
  float* logits_;
  int64_t n_, vocab_;
  std::vector<Row> rows_;
};

// dhidden = dlogits * head and dhead += dlogits^T * hidden for one chunk, strip by strip; before_strip(begin, end) finishes the gradient of
// these columns.
template <typename BeforeStrip>
void backward_products(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, const float* dlogits, const float* hidden,
                       const float* head, int64_t rows, int64_t width, int64_t vocab, float* dhidden, float* dhead,
                       const BeforeStrip& before_strip) {
  for (int64_t c = 0; c < vocab; c += kStrip) {
    const int64_t columns = std::min(kStrip, vocab - c);
    before_strip(c, c + columns);
    linear_backward_input_once(pool, table, packed, packed.buffer(kStripPanels), dlogits + c, vocab, head + c * width, rows, width, columns,
                               dhidden, width, c > 0);
    linear_backward_weight(pool, table, packed, dlogits + c, vocab, hidden, width, rows, width, columns, dhead + c * width, nullptr);
  }
}

}  // namespace

size_t head_logit_bytes(int64_t vocab) { return static_cast<size_t>(chunk_rows(vocab, 1)) * vocab * sizeof(float); }

void logits_score(ThreadPool& pool, const KernelTable& table, float* logits, const int32_t* target, const RowSampling* sampling, int64_t n,
                  int64_t vocab, float* logprob, float* entropy, float* logsumexp) {
  const GemmTable& g = *table.gemm;
  pool.parallel_for(n, row_grain(vocab), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      float* z = logits + i * vocab;
      shape_row(g, z, vocab, sampling[i]);
      const RowStatistics r = g.row_statistics(z, vocab);
      logprob[i] = log_prob(r, z[target[i]]);
      if (entropy != nullptr) entropy[i] = static_cast<float>(r.entropy());
      if (logsumexp != nullptr) logsumexp[i] = static_cast<float>(r.log_sum_exp());
    }
  });
}

void logits_train(ThreadPool& pool, const KernelTable& table, float* logits, const int32_t* target, const RowSampling* sampling, int64_t n,
                  int64_t vocab, int64_t first_row, const TokenLoss& loss, float* logprob, float* entropy) {
  Gradient gradient(pool, table, logits, target, sampling, n, vocab, first_row, loss, logprob, entropy);
  gradient.columns(0, vocab);
}

void head_score(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, const float* hidden, const float* head,
                const int32_t* target, const RowSampling* sampling, int64_t n, int64_t width, int64_t vocab, float* logprob, float* entropy,
                float* logsumexp) {
  const int64_t chunk = chunk_rows(vocab, 1);
  float* logits = packed.buffer(kLogits).grow(chunk * vocab);
  for (int64_t i = 0; i < n; i += chunk) {
    const int64_t rows = std::min(chunk, n - i);
    linear(pool, table, packed, hidden + i * width, width, head, nullptr, nullptr, rows, width, vocab, logits, vocab);
    logits_score(pool, table, logits, target + i, sampling + i, rows, vocab, logprob + i, entropy ? entropy + i : nullptr,
                 logsumexp ? logsumexp + i : nullptr);
  }
}

void head_train(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, const float* hidden, const float* head,
                const int32_t* target, const RowSampling* sampling, int64_t n, int64_t width, int64_t vocab, const TokenLoss& loss,
                float* logprob, float* entropy, float* dhidden, float* dhead) {
  const int64_t chunk = chunk_rows(vocab, 1);
  float* logits = packed.buffer(kLogits).grow(chunk * vocab);
  for (int64_t i = 0; i < n; i += chunk) {
    const int64_t rows = std::min(chunk, n - i);
    const float* x = hidden + i * width;
    linear(pool, table, packed, x, width, head, nullptr, nullptr, rows, width, vocab, logits, vocab);
    Gradient gradient(pool, table, logits, target + i, sampling + i, rows, vocab, i, loss, logprob + i, entropy + i);
    backward_products(pool, table, packed, logits, x, head, rows, width, vocab, dhidden + i * width, dhead,
                      [&](int64_t begin, int64_t end) { gradient.columns(begin, end); });
  }
}

void head_distill(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, const float* hidden, const float* teacher,
                  const float* head, const int32_t* target, int64_t n, int64_t width, int64_t vocab, const LogitLoss& loss, float* logprob,
                  float* dhidden, float* dhead) {
  const GemmTable& g = *table.gemm;
  const int64_t chunk = chunk_rows(vocab, 2);
  float* logits = packed.buffer(kLogits).grow(chunk * vocab);
  float* teacher_logits = teacher ? packed.buffer(kTeacherLogits).grow(chunk * vocab) : nullptr;
  for (int64_t i = 0; i < n; i += chunk) {
    const int64_t rows = std::min(chunk, n - i);
    const float* x = hidden + i * width;
    linear(pool, table, packed, x, width, head, nullptr, nullptr, rows, width, vocab, logits, vocab);
    if (teacher) linear(pool, table, packed, teacher + i * width, width, head, nullptr, nullptr, rows, width, vocab, teacher_logits, vocab);
    pool.parallel_for(rows, row_grain(vocab), [&](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; ++r)
        logprob[i + r] = log_prob(g.row_statistics(logits + r * vocab, vocab), logits[r * vocab + target[i + r]]);
    });
    loss(i, i + rows, logprob + i, logits, teacher_logits);
    backward_products(pool, table, packed, logits, x, head, rows, width, vocab, dhidden + i * width, dhead, [](int64_t, int64_t) {});
  }
}

void head_sample(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, const float* hidden, const float* head,
                 const RowSampling* sampling, const uint64_t* seed, const uint64_t* position, int64_t n, int64_t width, int64_t vocab,
                 int32_t* token, float* logprob) {
  const GemmTable& g = *table.gemm;
  const int64_t chunk = chunk_rows(vocab, 1);
  float* logits = packed.buffer(kLogits).grow(chunk * vocab);
  for (int64_t first = 0; first < n; first += chunk) {
    const int64_t rows = std::min(chunk, n - first);
    linear(pool, table, packed, hidden + first * width, width, head, nullptr, nullptr, rows, width, vocab, logits, vocab);
    pool.parallel_for(rows, row_grain(vocab), [&](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t i = first + r;
        float* z = logits + r * vocab;
        shape_row(g, z, vocab, sampling[i]);
        const RowStatistics s = g.row_statistics(z, vocab);
        if (!std::isfinite(s.sum) || !std::isfinite(s.max))
          throw NumericError("the logits of row " + std::to_string(i) +
                             " are not finite; the weights or the hidden state hold NaN or infinity");
        const int64_t chosen =
            sampling[i].temperature == 0.0f ? g.row_arg_max(z, vocab) : g.row_draw(z, vocab, s, uniform(seed[i], 0, position[i]));
        token[i] = static_cast<int32_t>(chosen);
        logprob[i] = log_prob(s, z[chosen]);
      }
    });
  }
}

}  // namespace siri::cpu
