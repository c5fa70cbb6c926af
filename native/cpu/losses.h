// The losses of SIRI as plain functions on one token or one row of logits; the model and the typed-array kernels build their
// callbacks from them. Per-token arithmetic in double. Formulas: GiGPO's clipped surrogate (arXiv 2505.10978, eq. 9) with dual clip
// and the k3 estimator; internalisation as gated, advantage-weighted log-likelihood; divergences to a teacher.
// Twin: reference/losses.h.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/threads.h"
#include "cpu/gemm_table.h"
#include "cpu/kernel_table.h"

namespace siri::cpu {

enum class Aggregation { token_mean, seq_mean_token_sum, seq_mean_token_mean };

// By the names of the public API ("token-mean", ..., "forward-kl", ...); nullopt for any other.
std::optional<Aggregation> aggregation_named(std::string_view name);
std::optional<Divergence> divergence_named(std::string_view name);

struct PolicyLossSpec {
  double clip_low = 0.2, clip_high = 0.2;  // ratio is clipped to [1 - clip_low, 1 + clip_high]
  double dual_clip = 3.0;                  // bound for negative advantages; 0 = none
  double kl_coef = 0.01;
  double entropy_coef = 0.001;
};

struct PolicyTerms {
  double pg;         // max(-A r, -A clip(r)), for A < 0 at most -A dual_clip;  r = exp(logprob - old)
  double kl;         // exp(ref - logprob) - (ref - logprob) - 1, at most 10
  bool clipped;      // r left the clip range on the side that the clip acts on
  double dlogprob;   // d (pg + kl_coef kl) / d logprob; 0 through whatever branch is constant
  double approx_kl;  // r - 1 - log r, log r within [-20, 20]
};

// One token. Without a reference pass the log-prob itself as `ref`: kl is 0.
PolicyTerms policy_token_loss(const PolicyLossSpec& spec, double logprob, double old_logprob, double ref_logprob, double advantage);

// weight [n] so that the aggregate of any per-token x is sum of weight * x. mask [n] (null: all ones), sequence [n] in
// [0, sequences). token-mean: mask / sum mask. seq-mean-token-sum: mask / sequences. seq-mean-token-mean: mask / max(1, tokens of the
// sequence) / sequences. All zero when nothing counts.
void aggregation_weights(Aggregation mode, const float* mask, const int32_t* sequence, int64_t n, int64_t sequences, double* weight);

// clip(advantage, 0, most): what a skilled action's log-likelihood is weighted with.
double internalisation_weight(double advantage, double most);

// value [rows]: divergence of each student row to its teacher row, both [vocab], at `temperature` (no T^2 factor). jsd = beta
// KL(teacher || m) + (1 - beta) KL(student || m), m = beta teacher + (1 - beta) student. With row_scale (not null) the student's
// logits are overwritten with row_scale[i] * d value[i] / d logits; without, they are left divided by the temperature.
void divergence_rows(ThreadPool& pool, const KernelTable& table, Divergence kind, double beta, double temperature, const double* row_scale,
                     int64_t rows, int64_t vocab, float* logits, const float* teacher_logits, double* value);

}  // namespace siri::cpu
