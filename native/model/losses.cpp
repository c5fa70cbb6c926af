#include "model/losses.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace siri {

TokenTerms::TokenTerms(const RowSet& rows, const LossSpec& spec) : spec_(spec) {
  std::vector<int32_t> sequence;
  for (int64_t r = 0; r < rows.count(); ++r) {
    sequence.insert(sequence.end(), rows.response_length(r), static_cast<int32_t>(r));
    prompt_tokens_ += rows.response_start[r] - 1;
  }
  const auto n = static_cast<int64_t>(sequence.size());
  coefficient_.assign(n, 0.0);
  if (spec.prompt_coef > 0 && prompt_tokens_ > 0) prompt_coefficient_ = spec.prompt_coef / prompt_tokens_;

  const bool distill = spec.kind == LossKind::kDistill;
  for (int64_t i = 0; i < n; ++i) sums_.tokens += distill ? 1.0 : spec.mask[i];
  if (spec.kind == LossKind::kPolicy) {
    cpu::aggregation_weights(spec.aggregation, spec.mask.data(), sequence.data(), n, rows.count(), coefficient_.data());
    return;
  }
  double divisor = spec.normaliser >= 0 ? spec.normaliser : sums_.tokens;
  if (distill) {
    divisor = 0;
    for (const float w : spec.weight) divisor += w;
  }
  if (divisor > 0)
    for (int64_t i = 0; i < n; ++i) coefficient_[i] = static_cast<double>(spec.weight[i]) * (distill ? 1.0 : spec.mask[i]) / divisor;
}

void TokenTerms::policy_term(int64_t i, float logprob, float entropy, float* dlogprob, float* dentropy) {
  const LossSpec& s = spec_;
  const double c = coefficient_[i], counts = s.mask[i];
  const bool reference = !s.ref_logprob.empty();
  const cpu::PolicyTerms t =
      cpu::policy_token_loss(s.policy, logprob, s.old_logprob[i], reference ? s.ref_logprob[i] : logprob, s.advantage[i]);
  sums_.loss += c * (t.pg + s.policy.kl_coef * t.kl - s.policy.entropy_coef * entropy);
  sums_.policy += c * t.pg;
  sums_.kl += counts * t.kl;
  sums_.kl_max = std::max(sums_.kl_max, t.kl);
  sums_.entropy += counts * entropy;
  sums_.clipped += t.clipped ? counts : 0.0;
  sums_.approx_kl += counts * t.approx_kl;
  *dlogprob = static_cast<float>(s.scale * c * t.dlogprob);
  *dentropy = static_cast<float>(-s.scale * c * s.policy.entropy_coef);
}

void TokenTerms::apply(const int64_t* index, int64_t n, const float* logprob, const float* entropy, float* dlogprob, float* dentropy) {
  for (int64_t r = 0; r < n; ++r) {
    const int64_t i = index[r];
    dlogprob[r] = dentropy[r] = 0.0f;
    if (i == kPrompt) {
      sums_.loss -= prompt_coefficient_ * logprob[r];
      sums_.prompt_nll -= logprob[r];
      dlogprob[r] = static_cast<float>(-spec_.scale * prompt_coefficient_);
      continue;
    }
    // A token that does not count must not touch the loss, whatever its log-prob is.
    if (spec_.mask[i] == 0.0f) continue;
    if (spec_.kind == LossKind::kPolicy) {
      policy_term(i, logprob[r], entropy[r], &dlogprob[r], &dentropy[r]);
      continue;
    }
    sums_.nll -= static_cast<double>(spec_.mask[i]) * logprob[r];
    if (coefficient_[i] == 0.0) continue;
    sums_.loss -= coefficient_[i] * logprob[r];
    dlogprob[r] = static_cast<float>(-spec_.scale * coefficient_[i]);
  }
}

void TokenTerms::add_divergence(int64_t index, double divergence) {
  sums_.divergence += coefficient_[index] * divergence;
  sums_.loss += coefficient_[index] * divergence;
}

LossParts TokenTerms::finish() const {
  LossParts p = sums_;
  const double n = p.tokens > 0 ? p.tokens : 1.0;
  p.loss *= spec_.scale;
  for (double* mean : {&p.kl, &p.entropy, &p.clipped, &p.approx_kl, &p.nll}) *mean /= n;
  p.prompt_nll /= prompt_tokens_ > 0 ? prompt_tokens_ : 1.0;
  return p;
}

void TokenTerms::check_finite() const {
  if (std::isfinite(sums_.loss)) return;
  throw NumericError(
      "the training loss is not finite; all accumulated gradients were cleared and the weights are as before. A response token "
      "outside its row's topK/topP has log-prob -inf; otherwise lower the learning rate or check the loss inputs");
}

}  // namespace siri
