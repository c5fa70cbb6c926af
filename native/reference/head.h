// The language-model head, plainly: a row's logits, its shaped distribution, log-prob, entropy and their gradient, one sample.
// The order of shaping (temperature, top_k, top_p, ties by lowest id, temperature 0 = plain) is that of cpu/head.h.
// Real: see embedding.h.
#pragma once
#include <cstdint>

#include "backend.h"
#include "reference/gemm.h"

namespace siri::reference {

// logprob, entropy [n].
template <class Real>
void head_score(const float* hidden, const float* head, const int32_t* target, const RowSampling* sampling, int64_t n, int64_t width,
                int64_t vocab, Real* logprob, Real* entropy);

// Gradient of sum of dlogprob * logprob + dentropy * entropy: dhidden [n, width] is written, dhead [vocab, width] is +=. A target that is
// cut off has no gradient through its log-prob. operand: what the gradient of a logit is rounded to before it is multiplied.
template <class Real>
void head_gradient(const float* hidden, const float* head, const int32_t* target, const RowSampling* sampling, int64_t n, int64_t width,
                   int64_t vocab, const Real* dlogprob, const Real* dentropy, Real* dhidden, Real* dhead,
                   Operand operand = Operand::kExact);

// token [n] and its log-prob: arg max at temperature 0, else the first id whose cumulative probability exceeds
// uniform(seed[i], 0, position[i]). margin [n]: how far that number is from the nearest border of the token's interval, or for arg
// max the gap to the second best logit: below it no other rounding can choose another token.
template <class Real>
void head_sample(const float* hidden, const float* head, const RowSampling* sampling, const uint64_t* seed, const uint64_t* position,
                 int64_t n, int64_t width, int64_t vocab, int32_t* token, Real* logprob, Real* margin);

}  // namespace siri::reference
