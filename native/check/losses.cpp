// Divergences to a teacher on ready logits; the losses of a token and the advantages: plain host functions beside the backend.
#include "cpu/losses.h"

#include "check/check.h"
#include "check/data.h"
#include "core/threads.h"
#include "reference/gigpo.h"
#include "reference/losses.h"

namespace siri::check {
namespace {

using Kind = DivergenceSpec::Kind;

void divergence(Check& check, int64_t rows, int64_t vocab, Kind kind, const char* kind_name, double temperature, float spread) {
  const DivergenceSpec spec{kind, 0.3, temperature};
  Random random(check.seed(), 900 + rows * 31 + vocab);
  const std::vector<float> student = random.normals(rows * vocab, spread), teacher = random.normals(rows * vocab, spread);
  std::vector<double> scale(rows);
  for (double& s : scale) s = random.normal(1.0f);
  check.operation(
      "divergence_rows",
      std::string(kind_name) + size_text(" rows", rows) + size_text(" vocab", vocab) + (temperature == 1.0 ? "" : " warm"),
      {0, 16.0 * static_cast<double>(rows) * vocab},
      [&](Backend& b, Clock& clock) -> Outputs<float> {
        const DeviceArray<float> logits(b, student), other(b, teacher);
        std::vector<double> value(rows);
        clock([&] { b.divergence_rows(spec, scale.data(), rows, vocab, logits.data(), other.data(), value.data()); });
        return {logits.host(), std::vector<float>(value.begin(), value.end())};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        const cpu::Divergence twin = kind == Kind::kForwardKl   ? cpu::Divergence::forward_kl
                                     : kind == Kind::kReverseKl ? cpu::Divergence::reverse_kl
                                                                : cpu::Divergence::jsd;
        std::vector<Real> gradient(rows * vocab), value(rows);
        for (int64_t i = 0; i < rows; ++i) {
          value[i] = reference::divergence_row(twin, spec.beta, temperature, student.data() + i * vocab, teacher.data() + i * vocab, vocab,
                                               gradient.data() + i * vocab);
          for (int64_t v = 0; v < vocab; ++v) gradient[i * vocab + v] *= static_cast<Real>(scale[i]);
        }
        return {gradient, value};
      });
}

// Value against the twin, slope against the twin's central difference. Draws within reach of a kink are left out.
bool policy_tokens(uint64_t seed, double dual_clip) {
  cpu::PolicyLossSpec spec;
  spec.dual_clip = dual_clip;
  spec.kl_coef = 0.3;
  Random random(seed, 950);
  constexpr double kStep = 1e-5;
  const auto near = [](double a, double b) { return std::abs(a - b) < 10 * kStep; };
  int compared = 0;
  for (int i = 0; i < 2000; ++i) {
    const double lp = -3 * random.uniform(), old = lp + random.normal(0.7f), ref = lp + random.normal(1.5f), a = random.normal(1.0f);
    const cpu::PolicyTerms t = cpu::policy_token_loss(spec, lp, old, ref, a);
    const auto twin = [&](double x) { return reference::policy_token_value(spec, x, old, ref, a); };
    if (std::abs(t.pg + spec.kl_coef * t.kl - twin(lp)) > 1e-12) return false;
    const double ratio = std::exp(lp - old), k3 = std::exp(ref - lp) - (ref - lp) - 1;
    if (near(ratio, 0.8) || near(ratio, 1.2) || near(ratio, 3.0) || std::abs(k3 - 10) < 0.01) continue;
    const double slope = (twin(lp + kStep) - twin(lp - kStep)) / (2 * kStep);
    if (std::abs(slope - t.dlogprob) > 1e-7 * std::max(1.0, std::abs(slope))) return false;
    ++compared;
  }
  return compared > 1900;
}

bool advantages(uint64_t seed, cpu::Normalisation normalisation, cpu::EpisodeStatistics statistics) {
  Random random(seed, 970);
  std::vector<int32_t> offset = {0}, group, state;
  std::vector<double> reward;
  std::vector<uint8_t> valid;
  for (int t = 0; t < 60; ++t) {
    group.push_back(random.below(9) * 1000 - 4000);
    for (int32_t n = random.below(12); n > 0; --n) {
      state.push_back(random.below(6) - 3);
      reward.push_back(random.normal(1.0f));
      valid.push_back(random.uniform() > 0.2);
    }
    offset.push_back(static_cast<int32_t>(state.size()));
  }
  const cpu::GigpoTrajectories in = {
      static_cast<int64_t>(group.size()), offset.data(), group.data(), state.data(), reward.data(), valid.data()};
  cpu::GigpoSpec spec;
  spec.omega = 0.7;
  spec.normalisation = normalisation;
  spec.episode_statistics = statistics;
  const size_t n = state.size();
  std::vector<std::vector<double>> fast(4, std::vector<double>(n)), plain = fast;
  cpu::gigpo_advantages(spec, in, fast[0].data(), fast[1].data(), fast[2].data(), fast[3].data());
  reference::gigpo_advantages(spec, in, plain[0].data(), plain[1].data(), plain[2].data(), plain[3].data());
  for (int k = 0; k < 4; ++k)
    for (size_t i = 0; i < n; ++i)
      if (!(std::abs(fast[k][i] - plain[k][i]) < 1e-9)) return false;
  return n > 100;
}

}  // namespace

void check_divergence(Check& check) {
  const std::pair<Kind, const char*> kinds[] = {{Kind::kForwardKl, "forward KL"}, {Kind::kReverseKl, "reverse KL"}, {Kind::kJsd, "JSD"}};
  for (const auto& [kind, name] : kinds)
    for (double temperature : {1.0, 2.0}) {
      for (int64_t vocab : {1, 2, 7, 8, 9, 16, 31, 33, 511, 513}) divergence(check, 3, vocab, kind, name, temperature, 1.5f);
      divergence(check, 0, 20, kind, name, temperature, 1.0f);
      divergence(check, 2, 4099, kind, name, temperature, 6.0f);
    }
}

void check_losses(Check& check) {
  for (double dual_clip : {0.0, 3.0})
    check.condition("policy_token_loss", dual_clip > 0 ? "value and slope" : "value and slope without dual clip",
                    [&](Backend&) { return policy_tokens(check.seed(), dual_clip); });
  for (auto normalisation : {cpu::Normalisation::mean_norm, cpu::Normalisation::mean_std_norm})
    for (auto statistics : {cpu::EpisodeStatistics::rows, cpu::EpisodeStatistics::trajectories})
      check.condition("gigpo_advantages",
                      std::string(normalisation == cpu::Normalisation::mean_norm ? "mean" : "mean and std") +
                          (statistics == cpu::EpisodeStatistics::rows ? " over rows" : " over trajectories"),
                      [&](Backend&) { return advantages(check.seed(), normalisation, statistics); });
}

}  // namespace siri::check
