// One token per row from the head: logits by head_tiles.cu, what they keep by head_cut.cu, then the draw.
//   token[i] = first id whose cumulative probability among the kept tokens exceeds uniform(seed[i], 0, position[i]) (native/core/rng.h,
//   computed on the host: 8 bytes a row), at temperature 0 the id of the largest logit, the lowest on a tie; logprob[i] as head_score gives
//   it
//
// Passes over memory: the logits are written once and read once for the draw (by rows that cut off tokens 3 to 9 times before,
// head_cut.cu). Floor on an H200, 256 rows of 151936, width 1536: the head 109 us, logits 72 us. Measured: not yet (no GPU at hand).
// Tiling: a block of 512 threads per row. The row is cut into at most 512 segments, a warp sums one after another; the first warp then
// finds the segment in which the sum passes the goal, and in it the token. Sums are double where they are added up over the row: the goal
// falls between two tokens as it does on the CPU but for rounding. The order depends on vocab alone.
#include <algorithm>
#include <string>

#include "core/rng.h"
#include "head.cuh"
#include "ops.h"

namespace siri::SIRI_DEVICE {
namespace {

constexpr int kThreads = 512, kWarps = kThreads / 32, kSegments = 512;
constexpr int64_t kLogitBytes = int64_t{256} << 20;

__device__ double lanes_until(double x) {
  for (int step = 1; step < 32; step *= 2) {
    const double before = __shfl_up_sync(kAllLanes, x, step);
    if (threadIdx.x % 32 >= static_cast<uint32_t>(step)) x += before;
  }
  return x;
}

// The row's kept tokens as powers of e below its largest logit; 0 for others.
struct Powers {
  In<float> z;
  int64_t vocab;
  Kept kept;
  float max;
  __device__ float operator()(int64_t i) const {
    if (i >= vocab) return 0;
    const float x = z[i];
    return kept(x, i) ? fast_exp(x - max) : 0.0f;
  }
};

// By the first warp: the first token with which the sum over segments passes u times the whole; where rounding leaves the goal above it,
// the last token that weighs anything.
__device__ int64_t draw(const Powers& power, const Shared<double>& segment, int64_t length, double u) {
  constexpr int kEach = kSegments / 32;
  const int lane = threadIdx.x;
  double mine = 0;
  for (int i = 0; i < kEach; ++i) mine += segment[lane * kEach + i];
  const double until = lanes_until(mine), goal = u * __shfl_sync(kAllLanes, until, 31);
  const uint32_t passed = __ballot_sync(kAllLanes, until > goal && mine > 0), any = __ballot_sync(kAllLanes, mine > 0);
  if (any == 0) return -1;
  const int owner = passed != 0 ? __ffs(passed) - 1 : 31 - __clz(any);
  // The owner's segments one by one.
  double before = __shfl_sync(kAllLanes, until - mine, owner);
  int chosen = 0;
  double before_chosen = before;
  for (int i = 0; i < kEach; ++i) {
    const double weight = segment[owner * kEach + i];
    if (weight <= 0) continue;
    chosen = owner * kEach + i;
    before_chosen = before;
    before += weight;
    if (before > goal) break;
  }
  // The segment's tokens, 32 at a time.
  int64_t token = -1;
  double sum = before_chosen;
  for (int64_t from = chosen * length; from < (chosen + 1) * length; from += 32) {
    const double weight = power(from + lane), reached = sum + lanes_until(weight);
    const uint32_t beyond = __ballot_sync(kAllLanes, reached > goal && weight > 0), weighs = __ballot_sync(kAllLanes, weight > 0);
    if (beyond != 0) return from + __ffs(beyond) - 1;
    if (weighs != 0) token = from + 31 - __clz(weighs);
    sum = __shfl_sync(kAllLanes, reached, 31);
  }
  return token;
}

// Block r: row r. u < 0: the largest logit. token -1: the logits are not finite.
__global__ void __launch_bounds__(kThreads)
    draw_kernel(In<float> logits, int64_t vocab, In<double> uniform, In<float> max_logit, In<double> log_sum, In<uint32_t> kept_key,
                In<int32_t> kept_id, Out<int32_t> token, Out<float> logprob) {
  SIRI_SHARED(double, segment, kSegments);
  const int64_t row = blockIdx.x;
  const In<float> z = logits.slice(row * vocab, vocab);
  const Powers power = {z, vocab, {kept_key[row], kept_id[row]}, max_logit[row]};
  const double u = uniform[row];
  int64_t chosen = -1;
  if (u < 0) {
    unsigned long long best = 0;  // the key, then the lowest id
    for (int64_t i = threadIdx.x; i < vocab; i += kThreads) {
      const unsigned long long one = static_cast<unsigned long long>(order_key(z[i])) << 32 | ~static_cast<uint32_t>(i);
      best = best < one ? one : best;
    }
    best = block_max<kThreads>(best, 0ull);
    chosen = static_cast<int64_t>(~static_cast<uint32_t>(best));
  } else {
    const int64_t length = (vocab + kSegments * 32 - 1) / (kSegments * 32) * 32;
    const int lane = threadIdx.x % 32;
    for (int s = threadIdx.x / 32; s < kSegments; s += kWarps) {
      double weight = 0;
      if (s * length < vocab) {
        float sum = 0;
        for (int64_t i = s * length + lane; i < (s + 1) * length; i += 32) sum += power(i);
        weight = warp_sum(static_cast<double>(sum));
      }
      if (lane == 0) segment[s] = weight;
    }
    __syncthreads();
    if (threadIdx.x >= 32) return;
    chosen = draw(power, segment, length, u);
  }
  if (threadIdx.x != 0) return;
  const double all = log_sum[row];
  const bool finite = power.max - power.max == 0 && all - all == 0 && chosen >= 0;
  token[row] = finite ? static_cast<int32_t>(chosen) : -1;
  logprob[row] = finite ? log_prob(z[chosen], power.max, all) : 0.0f;
}

}  // namespace

template <class T>
void head_sample(Device& device, const Rows<T>& hidden, const Rows<T>& head, const RowSampling* sampling, const uint64_t* seed,
                 const uint64_t* position, int64_t n, int64_t width, int64_t vocab, int32_t* host_token, float* host_logprob) {
  if (n == 0) return;
  const HeadOperands<T> all = {hidden, head, n, width, vocab};
  const int64_t most = std::min(n, std::max<int64_t>(1, kLogitBytes / (vocab * static_cast<int64_t>(sizeof(float)))));
  std::vector<double> u(n);
  for (int64_t i = 0; i < n; ++i) u[i] = sampling[i].temperature == 0.0f ? -1.0 : uniform(seed[i], 0, position[i]);
  const double* drawn = device.stage(u.data(), n);
  const RowNumbers numbers = take_numbers(device, most);
  float *logits = device.take<float>(most * vocab), *logprob = device.take<float>(n);
  int32_t* token = device.take<int32_t>(n);
  for (int64_t r = 0; r < n; r += most) {
    const int64_t rows = std::min(most, n - r);
    score_rows(device, all.rows(r, rows), RowSpecs(sampling + r, rows, vocab), nullptr, numbers, logits);
    launch(device.stream(), "draw", {{static_cast<uint32_t>(rows)}, {kThreads}}, draw_kernel, In<float>(logits, rows * vocab), vocab,
           In<double>(drawn + r, rows), In<float>(numbers.max, rows), In<double>(numbers.log_sum, rows),
           In<uint32_t>(numbers.kept_key, rows), In<int32_t>(numbers.kept_id, rows), Out<int32_t>(token + r, rows),
           Out<float>(logprob + r, rows));
  }
  device.download(host_logprob, logprob, static_cast<size_t>(n) * sizeof(float));
  device.download(host_token, token, static_cast<size_t>(n) * sizeof(int32_t));
  for (int64_t i = 0; i < n; ++i)
    if (host_token[i] < 0)
      throw NumericError("the logits of row " + std::to_string(i) +
                         " are not finite; the weights or the hidden state hold NaN or infinity");
}

#define SIRI_INSTANTIATE(T)                                                                                                         \
  template void head_sample(Device&, const Rows<T>&, const Rows<T>&, const RowSampling*, const uint64_t*, const uint64_t*, int64_t, \
                            int64_t, int64_t, int32_t*, float*);
SIRI_INSTANTIATE(float)
SIRI_INSTANTIATE(bf16)

}  // namespace siri::SIRI_DEVICE
