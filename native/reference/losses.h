// Policy loss of one token and divergence of one row, plainly, from the formulas of cpu/losses.h. Real: see embedding.h.
#pragma once
#include <cstdint>

#include "cpu/losses.h"

namespace siri::reference {

// pg + kl_coef * kl of one token (the entropy term aside).
template <class Real>
Real policy_token_value(const cpu::PolicyLossSpec& spec, Real logprob, Real old_logprob, Real ref_logprob, Real advantage);

// Divergence of softmax(logits / temperature) to softmax(teacher / temperature), both [vocab], and its gradient in the logits.
template <class Real>
Real divergence_row(cpu::Divergence kind, double beta, double temperature, const float* logits, const float* teacher, int64_t vocab,
                    Real* dlogits);

}  // namespace siri::reference
