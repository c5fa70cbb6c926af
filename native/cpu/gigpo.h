// GiGPO advantages over ragged groups (arXiv 2505.10978, eq. 3, 5-8; departures of the public code as options). Time is linear in the
// number of steps, all arithmetic in double, sums in the order of the steps. Knows nothing of what a state is: equal numbers are equal
// states. Twin: reference/gigpo.h.
#pragma once
#include <cstdint>

namespace siri::cpu {

enum class Normalisation { mean_norm, mean_std_norm };  // divide by 1, or by (sample std + 1e-6)
enum class EpisodeStatistics { rows, trajectories };    // every step row counts, or the first row of each trajectory

struct GigpoSpec {
  double gamma = 0.95, omega = 1.0, invalid_penalty = 0.1;
  Normalisation normalisation = Normalisation::mean_norm;
  EpisodeStatistics episode_statistics = EpisodeStatistics::rows;
};

// Trajectory t holds steps [offset[t], offset[t + 1]).
struct GigpoTrajectories {
  int64_t count;
  const int32_t* offset;  // [count + 1]
  const int32_t* group;   // [count] one pool of statistics each; arms that are not to be pooled are groups of their own
  const int32_t* state;   // [steps] equal numbers inside a group form a step group
  const double* reward;   // [steps]
  const uint8_t* valid;   // [steps] 0: the action was invalid
};

// All [steps]. step_return: discounted rewards to go, less the penalty of this step. episode: (total reward - penalty of this step
// - mean) / divisor over the group; in a group of one, mean 0 and std 1. step: (step_return - mean) / divisor over the step group;
// alone, 0. advantage = episode + omega * step.
void gigpo_advantages(const GigpoSpec& spec, const GigpoTrajectories& trajectories, double* step_return, double* episode, double* step,
                      double* advantage);

}  // namespace siri::cpu
