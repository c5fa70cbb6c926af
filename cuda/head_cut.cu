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
// make them. No sort, no scratch.
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

// The largest key at and above which the tokens weigh `goal` or more. of(i, &key, &weight): false where a token does not count.
template <class Of>
__device__ Border descend(const Histogram& h, int64_t vocab, Weight goal, const Of& of) {
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
      const bool counts = of(i, &key, &w), shares = ((key ^ border.key) & known_bits) == 0;
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

// Tightens `kept` to the first tokens whose weight reaches `goal`. weigh(z): weight of a token.
template <class Weigh>
__device__ Kept cut(const Histogram& h, const In<float>& z, int64_t vocab, const Kept& kept, Weight goal, const Weigh& weigh) {
  const Border border = descend(h, vocab, goal, [&](int64_t i, uint32_t* key, Weight* w) {
    const float x = z[i];
    *key = order_key(x);
    *w = weigh(x);
    return kept(x, i);
  });
  Kept result = {border.key, border.key == kept.key ? kept.id : kAnyId};
  // Of equal ones the first.
  const Weight each = weigh(key_value(border.key));
  if (border.above + border.at - each < goal) return result;
  const Border last = descend(h, vocab, goal - border.above, [&](int64_t i, uint32_t* key, Weight* w) {
    const float x = z[i];
    *key = ~static_cast<uint32_t>(i);
    *w = each;
    return order_key(x) == border.key && i <= result.id;
  });
  result.id = static_cast<int32_t>(~last.key);
  return result;
}

// Block r: rows[r].
__global__ void __launch_bounds__(kThreads)
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

  Kept kept;
  if (row.top_k > 0 && row.top_k < vocab) kept = cut(h, z, vocab, kept, static_cast<Weight>(row.top_k), [](float) { return Weight{1}; });
  if (row.top_p < 1.0f) {
    const auto mass = [&](float x) { return static_cast<Weight>(expf(x - largest) * kMassUnit); };
    Weight total = 0;
    for (int64_t i = threadIdx.x; i < vocab; i += kThreads) {
      const float x = z[i];
      if (kept(x, i)) total += mass(x);
    }
    total = block_sum<kThreads>(total);
    const double share = ceil(static_cast<double>(row.top_p) * static_cast<double>(total));
    const Weight goal = share < 1 ? 1 : static_cast<Weight>(share);
    kept = cut(h, z, vocab, kept, goal < total ? goal : total, mass);
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
