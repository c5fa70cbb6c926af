// Group-normalised advantages over ragged groups (GiGPO, arXiv 2505.10978, eq. 3, 5-8): discounted returns, the statistics of episodes
// over a group and of steps that stand in equal states, advantages, and their broadcast to tokens. Two launches. Meaning of the numbers
// and of the options: native/cpu/gigpo.h; twin: native/reference/gigpo.h. All arithmetic in double; token advantages are float32.
//   in: reward [steps] double, valid [steps], state [steps], ragged bounds of groups and trajectories, of a step's tokens
//   out: step_return, episode, step, advantage [steps] double, token_advantage [tokens] float32
//
// Passes over memory: some 65 bytes a step and 4 a token; what counts is latency. Floor on an H200, 8192 steps of 100 tokens: 3.3 MB,
// under 1 us, so two launches, some 5 us. Measured: not yet (no GPU at hand). Target: 10 us.
// Tiling: 1. a warp per trajectory scans its steps from the last, 32 at a time (a suffix scan of x[i] = r[i] + gamma x[i + 1]); 2. a
// block of 128 threads per (group, 128 of its steps): each thread owns a step and looks at all steps of the group, which come through
// shared memory 128 at a time. Comparing every pair needs no table and no atomics, and sums run in the order of the steps; it is
// quadratic in the steps of one group (8 trajectories of 50 steps: 400 comparisons a thread), not in the batch.
#include "ops.h"
#include "reduce.cuh"

namespace siri::SIRI_DEVICE {
namespace {

constexpr int kThreads = 128;
constexpr double kEpsilon = 1e-6;

struct Rules {
  double gamma, omega, invalid_penalty;
  bool divide;           // by the standard deviation
  bool first_rows_only;  // statistics of episodes over the first row of each trajectory
};

// Warp t: step returns (less the penalty of the step) and scores (total reward less the penalty) of trajectory t. first[i]: step i is
// the first of its trajectory.
__global__ void __launch_bounds__(kThreads)
    returns_kernel(In<int32_t> trajectory_begin, In<double> reward, In<uint8_t> valid, int64_t trajectories, Rules rules,
                   Out<double> step_return, Out<double> score, Out<uint8_t> first) {
  const int64_t t = int64_t{blockIdx.x} * (kThreads / 32) + threadIdx.x / 32;
  if (t >= trajectories) return;
  const int lane = threadIdx.x % 32;
  const int begin = trajectory_begin[t], end = trajectory_begin[t + 1];
  double total = 0;
  for (int i = begin + lane; i < end; i += 32) total += reward[i];
  total = warp_sum(total);
  double behind = 0;  // return of the step after the 32 at hand
  for (int high = end; high > begin; high -= 32) {
    const int i = high - 32 + lane;
    double x = 0, factor = rules.gamma;
    if (i >= begin) x = reward[i];
    for (int step = 1; step < 32; step *= 2) {
      const double next = __shfl_down_sync(kAllLanes, x, step);
      if (lane + step < 32) x += factor * next;
      factor *= factor;
    }
    double reach = rules.gamma;  // gamma^(32 - lane)
    for (int k = lane; k < 31; ++k) reach *= rules.gamma;
    x += reach * behind;
    behind = __shfl_sync(kAllLanes, x, 0);
    if (i >= begin) {
      const double penalty = valid[i] != 0 ? 0.0 : rules.invalid_penalty;
      step_return[i] = x - penalty;
      score[i] = total - penalty;
      first[i] = i == begin;
    }
  }
}

// Block (g, c): steps [kThreads c, kThreads c + kThreads) of group g.
__global__ void __launch_bounds__(kThreads)
    advantages_kernel(In<int32_t> group_begin, In<int32_t> trajectory_begin, In<int32_t> state, In<double> step_return, In<double> score,
                      In<uint8_t> first, Rules rules, In<int64_t> token_begin, bool has_tokens, Out<double> episode, Out<double> step,
                      Out<double> advantage, Out<float> token_advantage) {
  SIRI_SHARED(double, returns, kThreads);
  SIRI_SHARED(double, scores, kThreads);
  SIRI_SHARED(int32_t, states, kThreads);
  SIRI_SHARED(int32_t, firsts, kThreads);
  const int thread = threadIdx.x;
  const int begin = trajectory_begin[group_begin[blockIdx.x]], end = trajectory_begin[group_begin[blockIdx.x + 1]];
  const int mine = begin + blockIdx.y * kThreads + thread;
  if (begin + static_cast<int>(blockIdx.y) * kThreads >= end) return;  // the whole block
  const bool active = mine < end;
  int32_t my_state = 0;
  double my_return = 0, my_score = 0;
  if (active) {
    my_state = state[mine];
    my_return = step_return[mine];
    my_score = score[mine];
  }
  // Sums, then squares about the means.
  double step_mean = 0, episode_mean = 0, step_square = 0, episode_square = 0;
  int step_count = 0, episode_count = 0;
  for (int pass = 0; pass < (rules.divide ? 2 : 1); ++pass) {
    for (int from = begin; from < end; from += kThreads) {
      __syncthreads();
      const int i = from + thread;
      if (i < end) {
        returns[thread] = step_return[i];
        scores[thread] = score[i];
        states[thread] = state[i];
        firsts[thread] = !rules.first_rows_only || first[i] != 0;
      }
      __syncthreads();
      const int count = end - from < kThreads ? end - from : kThreads;
      for (int k = 0; k < count; ++k) {
        const double r = returns[k], s = scores[k];
        if (pass == 0) {
          if (states[k] == my_state) {
            step_mean += r;
            ++step_count;
          }
          if (firsts[k] != 0) {
            episode_mean += s;
            ++episode_count;
          }
        } else {
          if (states[k] == my_state) step_square += (r - step_mean) * (r - step_mean);
          if (firsts[k] != 0) episode_square += (s - episode_mean) * (s - episode_mean);
        }
      }
    }
    if (pass == 0) {
      step_mean /= step_count;
      episode_mean /= episode_count;
    }
  }
  float mine_as_float = 0;
  if (active) {
    const bool lonely = episode_count == 1;
    double e = lonely ? my_score : my_score - episode_mean;
    double s = step_count == 1 ? 0.0 : my_return - step_mean;
    if (rules.divide) {
      e /= (lonely ? 1.0 : sqrt(episode_square / (episode_count - 1))) + kEpsilon;
      if (step_count > 1) s /= sqrt(step_square / (step_count - 1)) + kEpsilon;
    }
    episode[mine] = e;
    step[mine] = s;
    advantage[mine] = e + rules.omega * s;
    mine_as_float = static_cast<float>(e + rules.omega * s);
  }
  if (!has_tokens) return;  // the whole grid
  // Each warp writes the tokens of its 32 steps, one step after another.
  const int first_of_warp = mine - thread % 32;
  for (int k = 0; k < 32; ++k) {
    const float value = __shfl_sync(kAllLanes, mine_as_float, k);
    if (first_of_warp + k >= end) continue;
    const int64_t last = token_begin[first_of_warp + k + 1];
    for (int64_t i = token_begin[first_of_warp + k] + thread % 32; i < last; i += 32) token_advantage[i] = value;
  }
}

}  // namespace

void grouped_advantages(Device& device, const cpu::GigpoSpec& spec, const GroupedSteps& in, const GroupedAdvantages& out) {
  if (in.steps == 0) return;
  const Rules rules = {spec.gamma, spec.omega, spec.invalid_penalty, spec.normalisation == cpu::Normalisation::mean_std_norm,
                       spec.episode_statistics == cpu::EpisodeStatistics::trajectories};
  double* score = device.take<double>(in.steps);
  uint8_t* first = device.take<uint8_t>(in.steps);
  const In<int32_t> trajectory_begin(in.trajectory_begin, in.trajectories + 1);
  launch(device.stream(), "returns", {{blocks_for(in.trajectories, kThreads / 32)}, {kThreads}}, returns_kernel, trajectory_begin,
         In<double>(in.reward, in.steps), In<uint8_t>(in.valid, in.steps), in.trajectories, rules, Out<double>(out.step_return, in.steps),
         Out<double>(score, in.steps), Out<uint8_t>(first, in.steps));
  const bool has_tokens = in.tokens > 0;
  launch(device.stream(), "advantages", {{static_cast<uint32_t>(in.groups), blocks_for(in.largest_group, kThreads)}, {kThreads}},
         advantages_kernel, In<int32_t>(in.group_begin, in.groups + 1), trajectory_begin, In<int32_t>(in.state, in.steps),
         In<double>(out.step_return, in.steps), In<double>(score, in.steps), In<uint8_t>(first, in.steps), rules,
         In<int64_t>(in.token_begin, has_tokens ? in.steps + 1 : 0), has_tokens, Out<double>(out.episode, in.steps),
         Out<double>(out.step, in.steps), Out<double>(out.advantage, in.steps), Out<float>(out.token_advantage, in.tokens));
}

}  // namespace siri::SIRI_DEVICE
