#include "reference/gigpo.h"

#include <cmath>
#include <vector>

namespace siri::reference {
namespace {

double mean_of(const std::vector<double>& v) {
  double sum = 0;
  for (double x : v) sum += x;
  return sum / static_cast<double>(v.size());
}

double std_of(const std::vector<double>& v) {
  const double mean = mean_of(v);
  double sum = 0;
  for (double x : v) sum += (x - mean) * (x - mean);
  return std::sqrt(sum / static_cast<double>(v.size() - 1));
}

}  // namespace

void gigpo_advantages(const cpu::GigpoSpec& spec, const cpu::GigpoTrajectories& in, double* step_return, double* episode, double* step,
                      double* advantage) {
  struct Row {
    int32_t group, state;
    bool first;
    double score, step_return;
  };
  std::vector<Row> rows;
  for (int64_t t = 0; t < in.count; ++t)
    for (int64_t i = in.offset[t]; i < in.offset[t + 1]; ++i) {
      Row r{in.group[t], in.state[i], i == in.offset[t], 0, 0};
      for (int64_t k = in.offset[t]; k < in.offset[t + 1]; ++k) r.score += in.reward[k];
      for (int64_t k = i; k < in.offset[t + 1]; ++k) r.step_return += std::pow(spec.gamma, static_cast<double>(k - i)) * in.reward[k];
      if (!in.valid[i]) {
        r.score -= spec.invalid_penalty;
        r.step_return -= spec.invalid_penalty;
      }
      rows.push_back(r);
    }

  const bool divide = spec.normalisation == cpu::Normalisation::mean_std_norm;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<double> scores, returns;
    for (const Row& r : rows) {
      if (r.group != rows[i].group) continue;
      if (spec.episode_statistics == cpu::EpisodeStatistics::rows || r.first) scores.push_back(r.score);
      if (r.state == rows[i].state) returns.push_back(r.step_return);
    }
    const bool lonely = scores.size() == 1;
    step_return[i] = rows[i].step_return;
    episode[i] = (rows[i].score - (lonely ? 0 : mean_of(scores))) / (divide ? (lonely ? 1 : std_of(scores)) + 1e-6 : 1);
    step[i] = returns.size() == 1 ? 0 : (rows[i].step_return - mean_of(returns)) / (divide ? std_of(returns) + 1e-6 : 1);
    advantage[i] = episode[i] + spec.omega * step[i];
  }
}

}  // namespace siri::reference
