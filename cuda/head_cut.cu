// What top_k and top_p leave of a row, and the row's numbers over that: for logits that are ready.
//   logits [rows, vocab] float32, divided by the temperature -> Kept, max, log-sum, entropy, log-prob of the target per row
// Order of the tokens: by logit, equal ones by id, lowest first. top_k keeps the first k; of these top_p keeps the fewest whose
// probability among them reaches top_p.
//
// Passes over memory: 2, and 3 for each of top_k and top_p, 3 more where a border falls between equal logits. Floor on an H200, 256 rows of
// 151936: 156 MB a pass, 36 us; a row of 608 kB stays in the level-2 cache for the passes after the first. Measured: not yet (no GPU at
// hand).
// Tiling: a block of 512 threads per row. The border is found by a descent through the key of the order, 11 bits a pass: each digit's
// tokens are weighed in a histogram of shared memory, from the top until the weight reaches the goal. For top_k a token weighs 1, for
// top_p exp(z - max) in units of 2^-40: whole numbers, so the sums are the same in whatever order they come, and atomics may
// make them. No sort, no scratch. All descents are one place in the code, and registers are not rationed for more blocks at a time: written
// out four times, or with the compiler's choice of 32 to 40 registers, the kernel spilled.
#include "head.cuh"

namespace siri::SIRI_DEVICE {
namespace {

constexpr int kThreads = 512;
constexpr int kBins = 2048;
constexpr float kMassUnit = 1099511627776.0f;  // 2^40

using Weight = unsigned long long;

// Shared memory of a descent.
struct Histogram {
  Shared<Weight> bins;    // [kBins]
  Shared<uint32_t> bin;   // [1] the one where the goal is reached
  Shared<Weight> weight;  // [2] above it, and its own
};

struct Border {
  uint32_t key;
  Weight above, at;  // what weighs more than the key, and what has it
};

// By warp 0: the bin from the top of which on the weight reaches the goal, given what lies above all of them.
__device__ void find_bin(const Histogram& h, Weight above, Weight goal) {
  constexpr int kEach = kBins / 32;
  const int lane = threadIdx.x, top = kBins - 1 - lane * kEach;
  Weight mine = 0;
  SIRI_NO_UNROLL
  for (int i = 0; i < kEach; ++i) mine += h.bins[top - i];
  Weight until = mine;
  for (int step = 1; step < 32; step *= 2) {
    const Weight before = __shfl_up_sync(kAllLanes, until, step);
    if (lane >= step) until += before;
  }
  const uint32_t reached = __ballot_sync(kAllLanes, above + until >= goal);
  if (lane != (reached == 0 ? 31 : __ffs(reached) - 1)) return;
  Weight before = above + until - mine;
  int i = 0;
  Weight own = h.bins[top];
  SIRI_NO_UNROLL
  while (i < kEach - 1 && before + own < goal) {
    before += own;
    own = h.bins[top - ++i];
  }
  h.bin[0] = static_cast<uint32_t>(top - i);
  h.weight[0] = before;
  h.weight[1] = own;
}

// How a descent sees a token of the row: its place in the order and its weight.
struct Rule {
  In<float> z;
  float largest;
  Kept kept;    // others do not count
  Weight each;  // of every token; 0: exp(z - largest)
  bool ties;    // of the kept ones those that equal the border, by id

  __device__ Weight weigh(float x) const { return each != 0 ? each : static_cast<Weight>(expf(x - largest) * kMassUnit); }
  __device__ bool operator()(int64_t i, uint32_t* key, Weight* weight) const {
    const float x = z[i];
    const uint32_t place = order_key(x);
    *key = ties ? ~static_cast<uint32_t>(i) : place;
    *weight = weigh(x);
    const bool equal = place == kept.key;
    return ((place > kept.key) & !ties) | (equal & (i <= kept.id));
  }
};

// The largest key at and above which the tokens weigh `goal` or more.
__device__ Border descend(const Histogram& h, int64_t vocab, Weight goal, const Rule& rule) {
  Border border = {0, 0, 0};
  int known = 0;  // bits of the key
  SIRI_NO_UNROLL
  while (known < 32) {
    const int bits = known < 22 ? 11 : 10, shift = 32 - known - bits;
    const uint32_t known_bits = known == 0 ? 0 : ~0u << (32 - known);
    for (int i = threadIdx.x; i < kBins; i += kThreads) h.bins[i] = 0;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < vocab; i += kThreads) {
      uint32_t key;
      Weight w;
      const bool counts = rule(i, &key, &w), shares = ((key ^ border.key) & known_bits) == 0;
      if (counts & shares) atomic_add(h.bins, (key >> shift) & ((1u << bits) - 1), w);
    }
    __syncthreads();
    if (threadIdx.x < 32) find_bin(h, border.above, goal);
    __syncthreads();
    border.key |= h.bin[0] << shift;
    border.above = h.weight[0];
    border.at = h.weight[1];
    known += bits;
  }
  return border;
}

// Block r: rows[r].
__global__ void __launch_bounds__(kThreads, 1)
    cut_rows_kernel(In<float> logits, In<CutRow> rows, int64_t vocab, In<int32_t> target, bool has_target, Out<float> max_logit,
                    Out<double> log_sum, Out<float> entropy, Out<float> logprob, Out<uint32_t> kept_key, Out<int32_t> kept_id) {
  SIRI_SHARED(Weight, bins, kBins);
  SIRI_SHARED(uint32_t, bin, 1);
  SIRI_SHARED(Weight, weight, 2);
  const Histogram h = {bins, bin, weight};
  const CutRow row = rows[blockIdx.x];
  const In<float> z = logits.slice(row.logit_row * vocab, vocab);
  float largest = -INFINITY;
  for (int64_t i = threadIdx.x; i < vocab; i += kThreads) largest = Larger()(largest, static_cast<float>(z[i]));
  largest = block_max<kThreads>(largest, -INFINITY);

  // One descent in the code for all four: the border of each cut, and where it falls between equal logits their ids.
  Kept kept;
  SIRI_NO_UNROLL
  for (int by_mass = 0; by_mass < 2; ++by_mass) {
    if (by_mass != 0 ? row.top_p >= 1.0f : row.top_k <= 0 || row.top_k >= vocab) continue;
    Rule rule = {z, largest, kept, by_mass != 0 ? Weight{0} : Weight{1}, false};
    Weight goal = static_cast<Weight>(row.top_k);
    if (by_mass != 0) {
      Weight total = 0;
      for (int64_t i = threadIdx.x; i < vocab; i += kThreads) {
        const float x = z[i];
        total += kept(x, i) ? rule.weigh(x) : 0;
      }
      total = block_sum<kThreads>(total);
      const double share = ceil(static_cast<double>(row.top_p) * static_cast<double>(total));
      goal = share < 1 ? 1 : static_cast<Weight>(share);
      goal = goal < total ? goal : total;
    }
    Kept next;
    SIRI_NO_UNROLL
    while (true) {
      const Border border = descend(h, vocab, goal, rule);
      if (rule.ties) {
        next.id = static_cast<int32_t>(~border.key);
        break;
      }
      next = {border.key, border.key == kept.key ? kept.id : kAnyId};
      const Weight each = rule.weigh(key_value(border.key));
      if (border.above + border.at - each < goal) break;
      rule = {z, largest, next, each, true};
      goal -= border.above;
    }
    kept = next;
  }

  float sum = 0, weighted = 0;
  for (int64_t i = threadIdx.x; i < vocab; i += kThreads) {
    const float x = z[i];
    if (!kept(x, i)) continue;
    const float e = fast_exp(x - largest);
    sum += e;
    weighted += e * (x - largest);
  }
  const double all = block_sum<kThreads>(static_cast<double>(sum));
  const Distribution d(all, block_sum<kThreads>(static_cast<double>(weighted)));
  if (threadIdx.x != 0) return;
  max_logit[row.row] = largest;
  log_sum[row.row] = d.log_sum;
  entropy[row.row] = d.entropy;
  kept_key[row.row] = kept.key;
  kept_id[row.row] = kept.id;
  if (!has_target) return;
  const int64_t token = target[row.row];
  const float x = z[token];
  logprob[row.row] = kept(x, token) ? log_prob(x, largest, d.log_sum) : -INFINITY;
}

}  // namespace

void cut_rows(Device& device, const float* logits, const std::vector<CutRow>& rows, int64_t vocab, const int32_t* target, int64_t n,
              const RowNumbers& numbers) {
  const int64_t count = static_cast<int64_t>(rows.size());
  if (count == 0) return;
  int64_t reached = 0;
  for (const CutRow& row : rows) reached = std::max<int64_t>(reached, row.logit_row + 1);
  launch(device.stream(), "cut_rows", {{static_cast<uint32_t>(count)}, {kThreads}}, cut_rows_kernel, In<float>(logits, reached * vocab),
         In<CutRow>(device.stage(rows.data(), count), count), vocab, In<int32_t>(target, target == nullptr ? 0 : n), target != nullptr,
         Out<float>(numbers.max, n), Out<double>(numbers.log_sum, n), Out<float>(numbers.entropy, n), Out<float>(numbers.logprob, n),
         Out<uint32_t>(numbers.kept_key, n), Out<int32_t>(numbers.kept_id, n));
}

}  // namespace siri::SIRI_DEVICE
