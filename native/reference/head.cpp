#include "reference/head.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "core/rng.h"

namespace siri::reference {
namespace {

template <class Real>
struct ShapedRow {
  std::vector<Real> logit;  // as the head gives them
  std::vector<bool> kept;
  std::vector<Real> logp, p;  // -inf and 0 where not kept
  Real entropy = 0;
  Real temperature = 1;
};

template <class Real>
ShapedRow<Real> shaped_row(const float* hidden, const float* head, const RowSampling& s, int64_t width, int64_t vocab) {
  ShapedRow<Real> row;
  row.logit.resize(vocab);
  for (int64_t v = 0; v < vocab; ++v)
    for (int64_t k = 0; k < width; ++k) row.logit[v] += Real(hidden[k]) * Real(head[v * width + k]);

  const bool greedy = s.temperature == 0.0f;
  if (!greedy) row.temperature = Real(s.temperature);
  std::vector<Real> z(vocab);
  for (int64_t v = 0; v < vocab; ++v) z[v] = row.logit[v] / row.temperature;

  std::vector<int64_t> order(vocab);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return z[a] > z[b]; });
  const Real max = z[order[0]];
  int64_t count = vocab;
  if (!greedy && s.top_k > 0) count = std::min<int64_t>(count, s.top_k);
  if (!greedy && s.top_p < 1.0f) {
    Real total = 0, mass = 0;
    for (int64_t i = 0; i < count; ++i) total += std::exp(z[order[i]] - max);
    int64_t n = 0;
    while (n < count && mass < Real(s.top_p) * total) mass += std::exp(z[order[n++]] - max);
    count = n;
  }
  row.kept.assign(vocab, false);
  for (int64_t i = 0; i < count; ++i) row.kept[order[i]] = true;

  Real sum = 0;
  for (int64_t v = 0; v < vocab; ++v)
    if (row.kept[v]) sum += std::exp(z[v] - max);
  row.logp.assign(vocab, -std::numeric_limits<Real>::infinity());
  row.p.assign(vocab, Real(0));
  for (int64_t v = 0; v < vocab; ++v) {
    if (!row.kept[v]) continue;
    row.logp[v] = z[v] - max - std::log(sum);
    row.p[v] = std::exp(row.logp[v]);
    row.entropy -= row.p[v] * row.logp[v];
  }
  return row;
}

}  // namespace

template <class Real>
void head_score(const float* hidden, const float* head, const int32_t* target, const RowSampling* sampling, int64_t n, int64_t width,
                int64_t vocab, Real* logprob, Real* entropy) {
  for (int64_t i = 0; i < n; ++i) {
    const ShapedRow<Real> row = shaped_row<Real>(hidden + i * width, head, sampling[i], width, vocab);
    logprob[i] = row.logp[target[i]];
    entropy[i] = row.entropy;
  }
}

template <class Real>
void head_gradient(const float* hidden, const float* head, const int32_t* target, const RowSampling* sampling, int64_t n, int64_t width,
                   int64_t vocab, const Real* dlogprob, const Real* dentropy, Real* dhidden, Real* dhead, Operand operand) {
  for (int64_t i = 0; i < n; ++i) {
    const float* x = hidden + i * width;
    const ShapedRow<Real> row = shaped_row<Real>(x, head, sampling[i], width, vocab);
    const Real through_target = row.kept[target[i]] ? dlogprob[i] : Real(0);
    std::fill(dhidden + i * width, dhidden + (i + 1) * width, Real(0));
    for (int64_t v = 0; v < vocab; ++v) {
      if (!row.kept[v]) continue;
      const Real one_hot = v == target[i] ? Real(1) : Real(0);
      const Real dz = through_target * (one_hot - row.p[v]) - dentropy[i] * row.p[v] * (row.logp[v] + row.entropy);
      const Real dlogit = as_operand(dz / row.temperature, operand);
      for (int64_t k = 0; k < width; ++k) {
        dhidden[i * width + k] += dlogit * Real(head[v * width + k]);
        dhead[v * width + k] += dlogit * Real(x[k]);
      }
    }
  }
}

template <class Real>
void head_sample(const float* hidden, const float* head, const RowSampling* sampling, const uint64_t* seed, const uint64_t* position,
                 int64_t n, int64_t width, int64_t vocab, int32_t* token, Real* logprob, Real* margin) {
  for (int64_t i = 0; i < n; ++i) {
    const ShapedRow<Real> row = shaped_row<Real>(hidden + i * width, head, sampling[i], width, vocab);
    int64_t chosen = 0;
    if (sampling[i].temperature == 0.0f) {
      for (int64_t v = 1; v < vocab; ++v)
        if (row.logit[v] > row.logit[chosen]) chosen = v;
      margin[i] = std::numeric_limits<Real>::infinity();
      for (int64_t v = 0; v < vocab; ++v)
        if (v != chosen) margin[i] = std::min(margin[i], row.logit[chosen] - row.logit[v]);
    } else {
      const Real u = static_cast<Real>(uniform(seed[i], 0, position[i]));
      Real cumulative = 0;
      for (int64_t v = 0; v < vocab; ++v) {
        if (!row.kept[v]) continue;
        chosen = v;
        cumulative += row.p[v];
        if (cumulative > u) break;
      }
      margin[i] = std::min(std::abs(cumulative - u), std::abs(u - (cumulative - row.p[chosen])));
    }
    token[i] = static_cast<int32_t>(chosen);
    logprob[i] = row.logp[chosen];
  }
}

#define SIRI_INSTANTIATE(Real)                                                                                                           \
  template void head_score(const float*, const float*, const int32_t*, const RowSampling*, int64_t, int64_t, int64_t, Real*, Real*);     \
  template void head_gradient(const float*, const float*, const int32_t*, const RowSampling*, int64_t, int64_t, int64_t, const Real*,    \
                              const Real*, Real*, Real*, Operand);                                                                       \
  template void head_sample(const float*, const float*, const RowSampling*, const uint64_t*, const uint64_t*, int64_t, int64_t, int64_t, \
                            int32_t*, Real*, Real*);
SIRI_INSTANTIATE(double)
SIRI_INSTANTIATE(float)

}  // namespace siri::reference
