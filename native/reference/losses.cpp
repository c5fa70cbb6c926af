#include "reference/losses.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace siri::reference {
namespace {

template <class Real>
std::vector<Real> log_softmax(const float* logits, int64_t n, double temperature) {
  std::vector<Real> z(n);
  for (int64_t i = 0; i < n; ++i) z[i] = Real(logits[i]) / Real(temperature);
  const Real max = *std::max_element(z.begin(), z.end());
  Real sum = 0;
  for (Real x : z) sum += std::exp(x - max);
  for (Real& x : z) x -= max + std::log(sum);
  return z;
}

}  // namespace

template <class Real>
Real policy_token_value(const cpu::PolicyLossSpec& spec, Real logprob, Real old_logprob, Real ref_logprob, Real advantage) {
  const Real ratio = std::exp(logprob - old_logprob);
  const Real clipped = std::min(std::max(ratio, Real(1 - spec.clip_low)), Real(1 + spec.clip_high));
  Real pg = std::max(-advantage * ratio, -advantage * clipped);
  if (advantage < 0 && spec.dual_clip > 0) pg = std::min(pg, -advantage * Real(spec.dual_clip));
  const Real d = ref_logprob - logprob;
  const Real k3 = std::min(std::max(std::exp(d) - d - 1, Real(-10)), Real(10));
  return pg + Real(spec.kl_coef) * k3;
}

template <class Real>
Real divergence_row(cpu::Divergence kind, double beta, double temperature, const float* logits, const float* teacher, int64_t vocab,
                    Real* dlogits) {
  const std::vector<Real> s = log_softmax<Real>(logits, vocab, temperature), q = log_softmax<Real>(teacher, vocab, temperature);
  // value = sum f(s, q); slope = d value / d s, s being a log-prob with the normalisation put aside.
  Real value = 0, total = 0;
  std::vector<Real> slope(vocab);
  for (int64_t v = 0; v < vocab; ++v) {
    const Real ps = std::exp(s[v]), pq = std::exp(q[v]);
    if (kind == cpu::Divergence::forward_kl) {
      value += pq * (q[v] - s[v]);
      slope[v] = -pq;
    } else if (kind == cpu::Divergence::reverse_kl) {
      value += ps * (s[v] - q[v]);
      slope[v] = ps * (s[v] - q[v] + 1);
    } else {
      const Real b = Real(beta), m = b * pq + (1 - b) * ps;
      value += b * pq * (q[v] - std::log(m)) + (1 - b) * ps * (s[v] - std::log(m));
      slope[v] = (1 - b) * ps * (s[v] - std::log(m) + 1) - (b * pq + (1 - b) * ps) * (1 - b) * ps / m;
    }
    total += slope[v];
  }
  for (int64_t v = 0; v < vocab; ++v) dlogits[v] = (slope[v] - std::exp(s[v]) * total) / Real(temperature);
  return value;
}

#define SIRI_INSTANTIATE(Real)                                                          \
  template Real policy_token_value(const cpu::PolicyLossSpec&, Real, Real, Real, Real); \
  template Real divergence_row(cpu::Divergence, double, double, const float*, const float*, int64_t, Real*);
SIRI_INSTANTIATE(double)
SIRI_INSTANTIATE(float)

}  // namespace siri::reference
