// Header: gigpo.h.
#include "cpu/gigpo.h"

#include <cmath>
#include <unordered_map>
#include <vector>

namespace siri::cpu {
namespace {

constexpr double kEpsilon = 1e-6;

// Groups numbered in order of first appearance, with the two-pass mean and sample standard deviation of their members.
class Pools {
 public:
  int32_t pool(uint64_t key) {
    const auto [it, fresh] = index_.try_emplace(key, static_cast<int32_t>(count_.size()));
    if (fresh) {
      count_.push_back(0);
      mean_.push_back(0.0);
      square_.push_back(0.0);
    }
    return it->second;
  }
  void add(int32_t pool, double x) {
    ++count_[pool];
    mean_[pool] += x;
  }
  void end_of_sums() {
    for (size_t i = 0; i < mean_.size(); ++i) mean_[i] /= static_cast<double>(count_[i]);
  }
  void add_square(int32_t pool, double x) { square_[pool] += (x - mean_[pool]) * (x - mean_[pool]); }
  int64_t count(int32_t pool) const { return count_[pool]; }
  double mean(int32_t pool) const { return mean_[pool]; }
  double deviation(int32_t pool) const { return std::sqrt(square_[pool] / static_cast<double>(count_[pool] - 1)); }

 private:
  std::unordered_map<uint64_t, int32_t> index_;
  std::vector<int64_t> count_;
  std::vector<double> mean_, square_;
};

uint64_t pair_key(int32_t a, int32_t b) { return uint64_t{static_cast<uint32_t>(a)} << 32 | static_cast<uint32_t>(b); }

}  // namespace

void gigpo_advantages(const GigpoSpec& spec, const GigpoTrajectories& in, double* step_return, double* episode, double* step,
                      double* advantage) {
  const int64_t steps = in.count > 0 ? in.offset[in.count] : 0;
  Pools episodes, states;
  std::vector<int32_t> episode_pool(in.count), state_pool(steps);

  const auto counts = [&](int64_t t, int64_t i) { return spec.episode_statistics == EpisodeStatistics::rows || i == in.offset[t]; };
  for (int64_t t = 0; t < in.count; ++t) {
    const int64_t begin = in.offset[t], end = in.offset[t + 1];
    if (begin == end) continue;
    double to_go = 0.0, total = 0.0;
    for (int64_t i = begin; i < end; ++i) total += in.reward[i];
    for (int64_t i = end - 1; i >= begin; --i) {
      to_go = in.reward[i] + spec.gamma * to_go;
      const double penalty = in.valid[i] ? 0.0 : spec.invalid_penalty;
      step_return[i] = to_go - penalty;
      episode[i] = total - penalty;  // the row's score, for now
    }
    episode_pool[t] = episodes.pool(pair_key(in.group[t], 0));
    for (int64_t i = begin; i < end; ++i) {
      state_pool[i] = states.pool(pair_key(in.group[t], in.state[i]));
      states.add(state_pool[i], step_return[i]);
      if (counts(t, i)) episodes.add(episode_pool[t], episode[i]);
    }
  }
  episodes.end_of_sums();
  states.end_of_sums();
  for (int64_t t = 0; t < in.count; ++t)
    for (int64_t i = in.offset[t]; i < in.offset[t + 1]; ++i) {
      states.add_square(state_pool[i], step_return[i]);
      if (counts(t, i)) episodes.add_square(episode_pool[t], episode[i]);
    }

  const bool divide = spec.normalisation == Normalisation::mean_std_norm;
  for (int64_t t = 0; t < in.count; ++t) {
    const int32_t e = episode_pool[t];
    for (int64_t i = in.offset[t]; i < in.offset[t + 1]; ++i) {
      const bool lonely = episodes.count(e) == 1;
      if (!lonely) episode[i] -= episodes.mean(e);
      if (divide) episode[i] /= (lonely ? 1.0 : episodes.deviation(e)) + kEpsilon;
      const int32_t s = state_pool[i];
      step[i] = states.count(s) == 1 ? 0.0 : step_return[i] - states.mean(s);
      if (divide && states.count(s) > 1) step[i] /= states.deviation(s) + kEpsilon;
      advantage[i] = episode[i] + spec.omega * step[i];
    }
  }
}

}  // namespace siri::cpu
