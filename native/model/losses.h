// What a train call asks for, and how its per-token terms add up to one loss with one gradient per log-prob. The formulas of one
// token are in cpu/losses.h (plain host arithmetic) and documented in src/policy/types.ts.
// Knows nothing of the model.
#pragma once
#include <string>
#include <vector>

#include "cpu/losses.h"
#include "model/rows.h"

namespace siri {

enum class LossKind { kPolicy, kWeighted, kDistill };

// Arrays have one entry per response token, rows end to end.
struct LossSpec {
  LossKind kind = LossKind::kPolicy;
  double scale = 1.0;
  std::vector<float> mask;    // policy, weighted: which tokens count
  std::vector<float> weight;  // weighted, distill
  // policy
  std::vector<float> advantage, old_logprob, ref_logprob;  // ref_logprob empty: no KL term
  cpu::PolicyLossSpec policy;
  cpu::Aggregation aggregation = cpu::Aggregation::token_mean;
  // weighted
  double normaliser = -1.0;  // < 0: number of mask tokens
  double prompt_coef = 0.0;
  // distill
  RowSet teacher;
  DivergenceSpec divergence;
};

// Sums in double over the counted tokens, in row order; finish() turns them into means.
struct LossParts {
  double loss = 0;
  double tokens = 0;  // response tokens that counted
  double policy = 0, kl = 0, kl_max = 0, entropy = 0, clipped = 0, approx_kl = 0;
  double nll = 0, prompt_nll = 0, divergence = 0;
};

// The loss of one train call: coefficients over all rows up front, then terms micro-batch by micro-batch.
class TokenTerms {
 public:
  TokenTerms(const RowSet& rows, const LossSpec& spec);

  // Prompt tokens carry this index.
  static constexpr int64_t kPrompt = -1;

  // Terms of head rows with the given response token indices (or kPrompt): adds to the parts, writes the gradients.
  void apply(const int64_t* index, int64_t n, const float* logprob, const float* entropy, float* dlogprob, float* dentropy);
  // Distillation: adds `divergence` of a response token; its gradient is to be scaled by coefficient(index).
  void add_divergence(int64_t index, double divergence);
  double coefficient(int64_t index) const { return coefficient_[index]; }

  LossParts finish() const;
  // Throws NumericError naming the first row that is not finite.
  void check_finite() const;

 private:
  void policy_term(int64_t i, float logprob, float entropy, float* dlogprob, float* dentropy);

  const LossSpec& spec_;
  std::vector<double> coefficient_;  // of a token's term in the unscaled loss, per response token
  double prompt_coefficient_ = 0;
  double prompt_tokens_ = 0;
  LossParts sums_;
};

}  // namespace siri
