// The head's logits, tile by tile, and what becomes of them before they are forgotten: hidden [n, width] x head [vocab, width], both
// bfloat16 (tensor cores) or both float32 (ordinary units), sums in float32.
//   score_tiles: max, log of the sum of exp, entropy [n] and log-prob of target [n] float32 (log-sum double), temperature included
//   slope_tiles: d loss / d logits [n, count] of a range of the vocabulary, in the type of the operands, for the products of the backward
//   pass
//
// A tile of logits stays in registers. Scoring keeps three numbers of a row and a slab of columns (64 in bfloat16, 32 in float32): the
// largest logit, the sum of exp and of exp times logit, relative to it; slabs are then added in their order. The slope recomputes the tile,
// with the same instructions in the same order, so that its logits are those that were scored, bit for bit (head_cut.cu's borders
// rely on it), and the probabilities from the log-sum.
//
// Passes over memory: hidden and head as gemm.cu says (the rows' tiles run fastest: the head comes once from memory, hidden stays in L2),
// 12 bytes for each row and slab, read back twice from L2; the slope writes its elements once. Floor on an H200 (790 TFLOP/s measured for
// bfloat16), n 8192, vocab 151936: width 1536 4.84 ms, width 3584 11.3 ms, each direction of each product; the slabs' 233 MB are 0.1 ms.
// mma of sm_80's kind reaches about 60% of those tensor cores (gemm.cu). 16 rows: the head's bytes, 109 us; a tile's 128 rows cost no more
// than that. Measured: not yet (no GPU at hand). Tiling: gemm.cu's 128 x 256, warps of 64 x 64, since a tile's end costs as much whatever
// its depth: some 12 instructions an element, 6% of a depth of 1536. One tile for any number of rows, so that a row's slabs do not change
// with the batch; in float32 the slab is the 32 columns that both tiles have. The scale is multiplied, not divided by: a division would be
// as much again.
#include "gemm_float32_tile.cuh"
#include "gemm_tile.cuh"
#include "head.cuh"

namespace siri::SIRI_DEVICE {
namespace {

constexpr int kCombineThreads = 256, kCombineRows = 32;

template <int kLanes, class T, class Join = Plus>
__device__ T lanes_sum(T x, Join join = {}) {
  SIRI_UNROLL
  for (int lanes = kLanes / 2; lanes > 0; lanes /= 2) x = join(x, __shfl_xor_sync(kAllLanes, x, lanes));
  return x;
}

// What score_tiles does with N logits of a row that a lane holds of a slab; kLanes lanes hold the slab.
struct ScoreEnd {
  In<float> scale;
  In<int32_t> target;
  bool has_target, has_slabs, has_logits;
  Out<float> largest, sum, weighted;  // [slabs, n]
  Out<float> target_logit;            // [n]
  Out<float> logits;                  // [n, vocab]

  template <int kLanes, int N, class Column>
  __device__ void operator()(const Extents& e, int64_t row, int64_t slab, float (&z)[N], const Column& column) const {
    const bool inside = row < e.rows;
    float by = 0;
    if (inside) by = scale[row];
    float most = -INFINITY, total = 0, shifted = 0;
    SIRI_UNROLL
    for (int i = 0; i < N; ++i) {
      z[i] *= by;
      if (column(i) < e.columns) most = Larger()(most, z[i]);
    }
    most = lanes_sum<kLanes>(most, Larger());
    SIRI_UNROLL
    for (int i = 0; i < N; ++i) {
      const float power = column(i) < e.columns ? fast_exp(z[i] - most) : 0.0f;
      total += power;
      shifted += power * (z[i] - most);
    }
    total = lanes_sum<kLanes>(total);
    shifted = lanes_sum<kLanes>(shifted);
    if (!inside) return;
    if (has_slabs && threadIdx.x % kLanes == 0 && column(0) < e.columns) {
      largest[slab * e.rows + row] = most;
      sum[slab * e.rows + row] = total;
      weighted[slab * e.rows + row] = shifted;
    }
    if (has_target) {
      const int64_t wanted = target[row];
      SIRI_UNROLL
      for (int i = 0; i < N; ++i)
        if (column(i) == wanted) target_logit[row] = z[i];
    }
    if (has_logits) {
      SIRI_UNROLL
      for (int i = 0; i < N; ++i)
        if (column(i) < e.columns) logits[row * e.columns + column(i)] = z[i];
    }
  }
};

// What slope_tiles does with them. Columns count from token `first` on.
template <class T>
struct SlopeEnd {
  In<int32_t> target;
  In<float> max;
  In<double> log_sum;
  In<uint32_t> kept_key;
  In<int32_t> kept_id;
  In<Slope> slope;
  int64_t first;
  Out<T> gradient;  // [n, stride]
  int64_t stride;

  template <int kLanes, int N, class Column>
  __device__ void operator()(const Extents& e, int64_t row, int64_t, float (&z)[N], const Column& column) const {
    if (row >= e.rows) return;
    const float shift = max[row], log_of_sum = static_cast<float>(static_cast<double>(log_sum[row]));
    const Kept kept = {kept_key[row], kept_id[row]};
    const Slope s = slope[row];
    const int64_t wanted = target[row] - first;
    SIRI_UNROLL
    for (int i = 0; i < N; ++i) {
      const int64_t c = column(i);
      z[i] *= s.scale;
      const float log_of_p = z[i] - shift - log_of_sum;
      float g = fast_exp(log_of_p) * (s.all + s.per_log * log_of_p);
      if (kept.key != 0 && !kept(z[i], first + c)) g = 0;
      if (c == wanted) g += s.on_target;
      z[i] = c < e.columns ? g : 0.0f;
    }
    constexpr int kPair = sizeof(T) == 2 ? 2 : 4;  // columns side by side
    SIRI_UNROLL
    for (int i = 0; i < N; i += kPair) {
      float pair[kPair];
      SIRI_UNROLL
      for (int k = 0; k < kPair; ++k) pair[k] = z[i + k];
      store_floats(gradient, row * stride + column(i), stride - column(i), stride % kPair == 0, pair);
    }
  }
};

// Block: rows of tiles run fastest.
template <class S, class End>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks) head_bf16_kernel(In<bf16> hidden, In<bf16> head, Extents e, End end) {
  const int64_t row_tiles = (e.rows + S::kRows - 1) / S::kRows;
  const int64_t row = blockIdx.x % row_tiles * S::kRows, column = blockIdx.x / row_tiles * S::kColumns;
  typename S::Sums sum;
  sum_tile<S, Form::kForward, false>(hidden, head, e, row, column, 0, e.depth, sum);
  constexpr int N = S::kWarpColumns / 4;
  const int64_t first = column + S::first_column();
  SIRI_UNROLL
  for (int i = 0; i < S::kWarpRows / 8; ++i) {
    float z[N];
    SIRI_UNROLL
    for (int j = 0; j < N; ++j) z[j] = sum[i / 2][j / 2].r[i % 2 * 2 + j % 2];
    end.template operator()<4>(e, row + S::first_row() + 8 * i, first / S::kWarpColumns, z,
                               [&](int j) { return first + j / 2 * 8 + j % 2; });
  }
}
template <class S, class End>
__global__ void __launch_bounds__(S::kThreads, 1) head_float32_kernel(In<float> hidden, In<float> head, Extents e, End end) {
  const int64_t row_tiles = (e.rows + S::kSide - 1) / S::kSide;
  const int64_t row = blockIdx.x % row_tiles * S::kSide, column = blockIdx.x / row_tiles * S::kSide;
  typename S::Sums sum;
  sum_tile<S, Form::kForward>(hidden, head, e, row, column, 0, e.depth, sum);
  SIRI_UNROLL
  for (int q = 0; q < S::kSquares; ++q) {
    const int64_t first = column + S::first_column() + q * S::kShift;
    SIRI_UNROLL
    for (int i = 0; i < 4 * S::kSquares; ++i) {
      float z[4];
      SIRI_UNROLL
      for (int j = 0; j < 4; ++j) z[j] = sum[i][4 * q + j];
      end.template operator()<8>(e, row + S::first_row() + i / 4 * S::kShift + i % 4, first / 32, z, [&](int j) { return first + j; });
    }
  }
}

using Tensor = TensorTile<128, 256, 64, 64, 32, 1>;
using Large = FloatTile<128, 2>;
using Small = FloatTile<32, 1>;

template <class T>
constexpr int64_t kSlab = std::is_same_v<T, bf16> ? Tensor::kWarpColumns : 32;

// The tokens [first, first + count).
template <class T, class End>
void run(Device& device, const char* name, const HeadOperands<T>& x, int64_t first, int64_t count, const End& end) {
  const Extents e{x.n, count, x.width, x.width, x.hidden.stride, x.head.stride, 0, 0, false, false, false};
  const In<T> hidden = operand_view(x.hidden, x.n, x.width),
              head = operand_view(Rows<T>{x.head.data + first * x.head.stride, x.head.stride}, count, x.width);
  const auto with_tile = [&](auto kernel, int64_t rows, int64_t columns, uint32_t threads, size_t bytes) {
    launch(device.stream(), name, {{blocks_for(x.n, rows) * blocks_for(count, columns)}, {threads}, bytes}, kernel, hidden, head, e, end);
  };
  if constexpr (std::is_same_v<T, bf16>) {
    with_tile(head_bf16_kernel<Tensor, End>, Tensor::kRows, Tensor::kColumns, Tensor::kThreads, Tensor::kBytes);
  } else if (x.n > Small::kSide) {
    with_tile(head_float32_kernel<Large, End>, Large::kSide, Large::kSide, Large::kThreads, 0);
  } else {
    with_tile(head_float32_kernel<Small, End>, Small::kSide, Small::kSide, Small::kThreads, 0);
  }
}

// Block b: rows [32 b, 32 b + 32), a lane each. Warp w: slabs w, w + 8, ...; then the warps in order.
__global__ void __launch_bounds__(kCombineThreads)
    combine_slabs_kernel(In<float> largest, In<float> sum, In<float> weighted, int64_t slabs, int64_t n, In<float> target_logit,
                         bool has_target, Out<float> max_logit, Out<double> log_sum, Out<float> entropy, Out<float> logprob,
                         Out<uint32_t> kept_key, Out<int32_t> kept_id) {
  constexpr int kWarps = kCombineThreads / 32;
  SIRI_SHARED(float, maxima, kCombineThreads);
  SIRI_SHARED(double, sums, kCombineThreads);
  SIRI_SHARED(double, shifts, kCombineThreads);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int64_t row = int64_t{blockIdx.x} * kCombineRows + lane;
  const bool active = row < n;
  float most = -INFINITY;
  if (active)
    for (int64_t s = warp; s < slabs; s += kWarps) most = Larger()(most, static_cast<float>(largest[s * n + row]));
  maxima[threadIdx.x] = most;
  __syncthreads();
  for (int w = 0; w < kWarps; ++w) most = Larger()(most, static_cast<float>(maxima[w * 32 + lane]));
  double total = 0, shifted = 0;
  if (active)
    for (int64_t s = warp; s < slabs; s += kWarps) {
      const float below = largest[s * n + row] - most, part = sum[s * n + row];
      const double shrink = fast_exp(below);
      total += shrink * part;
      shifted += shrink * (static_cast<double>(weighted[s * n + row]) + static_cast<double>(part) * below);
    }
  sums[threadIdx.x] = total;
  shifts[threadIdx.x] = shifted;
  __syncthreads();
  if (warp != 0 || !active) return;
  for (int w = 1; w < kWarps; ++w) {
    total += sums[w * 32 + lane];
    shifted += shifts[w * 32 + lane];
  }
  const Distribution d(total, shifted);
  max_logit[row] = most;
  log_sum[row] = d.log_sum;
  entropy[row] = d.entropy;
  kept_key[row] = 0;
  kept_id[row] = kAnyId;
  if (has_target) logprob[row] = log_prob(target_logit[row], most, d.log_sum);
}

}  // namespace

template <class T>
void score_tiles(Device& device, const HeadOperands<T>& x, const float* scale, const int32_t* target, const RowNumbers* numbers,
                 float* logits) {
  if (x.n == 0) return;
  const int64_t n = x.n, slabs = numbers == nullptr ? 0 : blocks_for(x.vocab, kSlab<T>),
                targets = numbers == nullptr || target == nullptr ? 0 : n;
  float *largest = device.take<float>(slabs * n), *sum = device.take<float>(slabs * n), *weighted = device.take<float>(slabs * n),
        *target_logit = device.take<float>(targets);
  const ScoreEnd end = {In<float>(scale, n),
                        In<int32_t>(target, targets),
                        targets > 0,
                        slabs > 0,
                        logits != nullptr,
                        Out<float>(largest, slabs * n),
                        Out<float>(sum, slabs * n),
                        Out<float>(weighted, slabs * n),
                        Out<float>(target_logit, targets),
                        Out<float>(logits, logits == nullptr ? 0 : n * x.vocab)};
  run(device, "head_score", x, 0, x.vocab, end);
  if (numbers == nullptr) return;
  launch(device.stream(), "head_combine", {{blocks_for(n, kCombineRows)}, {kCombineThreads}}, combine_slabs_kernel,
         In<float>(largest, slabs * n), In<float>(sum, slabs * n), In<float>(weighted, slabs * n), slabs, n,
         In<float>(target_logit, targets), targets > 0, Out<float>(numbers->max, n), Out<double>(numbers->log_sum, n),
         Out<float>(numbers->entropy, n), Out<float>(numbers->logprob, n), Out<uint32_t>(numbers->kept_key, n),
         Out<int32_t>(numbers->kept_id, n));
}

template <class T>
void slope_tiles(Device& device, const HeadOperands<T>& x, const int32_t* target, const RowNumbers& numbers, const Slope* slope,
                 int64_t first, int64_t count, T* gradient, int64_t stride) {
  const int64_t n = x.n;
  if (n == 0) return;
  const SlopeEnd<T> end = {In<int32_t>(target, n),
                           In<float>(numbers.max, n),
                           In<double>(numbers.log_sum, n),
                           In<uint32_t>(numbers.kept_key, n),
                           In<int32_t>(numbers.kept_id, n),
                           In<Slope>(slope, n),
                           first,
                           Out<T>(gradient, n * stride),
                           stride};
  run(device, "head_slope", x, first, count, end);
}

#define SIRI_INSTANTIATE(T)                                                                                                         \
  template void score_tiles(Device&, const HeadOperands<T>&, const float*, const int32_t*, const RowNumbers*, float*);              \
  template void slope_tiles(Device&, const HeadOperands<T>&, const int32_t*, const RowNumbers&, const Slope*, int64_t, int64_t, T*, \
                            int64_t);
SIRI_INSTANTIATE(float)
SIRI_INSTANTIATE(bf16)

}  // namespace siri::SIRI_DEVICE
