// Header: losses.h.
#include "cpu/losses.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace siri::cpu {

std::optional<Aggregation> aggregation_named(std::string_view name) {
  if (name == "token-mean") return Aggregation::token_mean;
  if (name == "seq-mean-token-sum") return Aggregation::seq_mean_token_sum;
  if (name == "seq-mean-token-mean") return Aggregation::seq_mean_token_mean;
  return std::nullopt;
}

std::optional<Divergence> divergence_named(std::string_view name) {
  if (name == "forward-kl") return Divergence::forward_kl;
  if (name == "reverse-kl") return Divergence::reverse_kl;
  if (name == "jsd") return Divergence::jsd;
  return std::nullopt;
}

PolicyTerms policy_token_loss(const PolicyLossSpec& spec, double logprob, double old_logprob, double ref_logprob, double advantage) {
  PolicyTerms t{};
  const double a = advantage, ratio = std::exp(logprob - old_logprob);
  const double low = 1.0 - spec.clip_low, high = 1.0 + spec.clip_high;
  t.clipped = (ratio > high && a > 0) || (ratio < low && a < 0);
  // The larger of -a r and -a clip(r) is the constant one exactly when the clip acts.
  t.pg = t.clipped ? -a * std::clamp(ratio, low, high) : -a * ratio;
  t.dlogprob = t.clipped ? 0.0 : -a * ratio;
  if (a == 0.0) t.pg = t.dlogprob = 0.0;  // also for an infinite ratio
  if (spec.dual_clip > 0 && a < 0 && t.pg > -a * spec.dual_clip) {
    t.pg = -a * spec.dual_clip;
    t.dlogprob = 0.0;
  }
  const double d = ref_logprob == logprob ? 0.0 : ref_logprob - logprob;  // equal infinities: no difference
  const double k3 = std::exp(d) - d - 1.0;
  if (k3 <= 10.0) {
    t.kl = k3;
    t.dlogprob += spec.kl_coef * (1.0 - std::exp(d));
  } else {
    t.kl = std::isnan(d) ? d : 10.0;
  }
  // A statistic, no loss: one token that has left its row's top k must not make the mean of all infinite.
  const double moved = std::clamp(logprob - old_logprob, -20.0, 20.0);
  t.approx_kl = std::exp(moved) - 1.0 - moved;
  return t;
}

void aggregation_weights(Aggregation mode, const float* mask, const int32_t* sequence, int64_t n, int64_t sequences, double* weight) {
  const auto counts = [&](int64_t i) { return mask ? static_cast<double>(mask[i]) : 1.0; };
  if (mode == Aggregation::token_mean) {
    double total = 0.0;
    for (int64_t i = 0; i < n; ++i) total += counts(i);
    for (int64_t i = 0; i < n; ++i) weight[i] = total > 0.0 ? counts(i) / total : 0.0;
    return;
  }
  std::vector<double> divisor(sequences, 1.0);
  if (mode == Aggregation::seq_mean_token_mean) {
    std::fill(divisor.begin(), divisor.end(), 0.0);
    for (int64_t i = 0; i < n; ++i) divisor[sequence[i]] += counts(i);
    for (double& d : divisor) d = std::max(d, 1.0);
  }
  for (int64_t i = 0; i < n; ++i) weight[i] = counts(i) / divisor[sequence[i]] / static_cast<double>(sequences);
}

double internalisation_weight(double advantage, double most) { return std::clamp(advantage, 0.0, most); }

void divergence_rows(ThreadPool& pool, const KernelTable& table, Divergence kind, double beta, double temperature, const double* row_scale,
                     int64_t rows, int64_t vocab, float* logits, const float* teacher_logits, double* value) {
  const GemmTable& g = *table.gemm;
  const float t = static_cast<float>(temperature);
  pool.parallel_for(rows, std::max<int64_t>(1, 4096 / vocab), [&](int64_t begin, int64_t end, int) {
    std::vector<float> cooled;  // the teacher's row at this temperature
    for (int64_t i = begin; i < end; ++i) {
      float* z = logits + i * vocab;
      const float* q = teacher_logits + i * vocab;
      if (t != 1.0f) {
        g.divide_row(z, vocab, t);
        cooled.assign(q, q + vocab);
        g.divide_row(cooled.data(), vocab, t);
        q = cooled.data();
      }
      value[i] = g.row_divergence(z, q, vocab, kind, beta, row_scale != nullptr, row_scale ? row_scale[i] / temperature : 0.0);
    }
  });
}

}  // namespace siri::cpu
