// Divergence of a student's distribution to a teacher's, from logits that are ready, with its gradient in the student's logits.
//   p = softmax(z / T), q = softmax(t / T);  forward KL = sum q log(q / p),  reverse KL = sum p log(p / q),
//   JSD = b KL(q || m) + (1 - b) KL(p || m), m = b q + (1 - b) p
//   logits z, teacher logits t: [rows, vocab] T (float32 or bfloat16); value [rows] double; z is overwritten with scale[row] times
//   forward: (p - q) / T;  reverse: p (log(p / q) - KL) / T;  JSD: (1 - b) p (log(p / m) - KL(p || m)) / T
//
// Passes over memory: both KLs read z and t once for the value (their sums are kept relative to the running maximum) and once more for the
// gradient; JSD once more between the two, as the mean in its gradient needs both log-sum-exps first. What comes first in a row stays in
// shared memory from the first pass on, and the second pass runs backward, so that it meets what the level-2 cache holds.
// Floor on an H200 (4.3 TB/s), 8192 rows of 151936 in bfloat16: reading both 1.16 ms; reading once and writing the gradient 1.74 ms, with
// nothing kept on the chip 2.9 ms. Measured: not yet (no GPU at hand).
// Tiling: a block of 1024 threads per row, one on a multiprocessor: of a row of 608 kB a third fits into its shared memory, and
// the rest of 132 rows into the level-2 cache. The order of a row's sums depends on vocab alone.
#include <algorithm>
#include <cmath>
#include <vector>

#include "ops.h"
#include "reduce.cuh"

namespace siri::SIRI_DEVICE {
namespace {

using Kind = DivergenceSpec::Kind;

constexpr int kThreads = 1024;
constexpr size_t kReserved = 4096;  // bytes of shared memory that sums take
constexpr float kFloor = -1e30f;    // for logits of -inf: weighs nothing, and 0 * inf does not arise

struct Mixture {
  float beta, log_teacher, log_student;  // log_teacher = log beta, log_student = log(1 - beta)
};

// max(x, floor) that lets NaN through.
__device__ float floored(float x) { return x < kFloor ? kFloor : x; }

// log of beta * teacher + (1 - beta) * student, both given as logs.
__device__ float log_mixture(const Mixture& m, float teacher, float student) {
  const float a = teacher + m.log_teacher, b = student + m.log_student;
  return a < b ? b + log1pf(fast_exp(a - b)) : a + log1pf(fast_exp(b - a));
}

// One row as a thread sees it: its chunks of kChunk elements, the first `cached` columns of the row in shared memory after `first`.
template <class T>
struct RowPair {
  static constexpr int K = kChunk<T>, kStep = kThreads * K;
  Ref<T> logits;
  In<T> teacher;
  Shared<T> cache;
  int64_t begin, vocab, cached;
  float inverse_temperature;
  bool aligned;

  // Columns [c, c + K), divided by the temperature; -inf behind the last. From memory, leaving what belongs there in the cache.
  __device__ void first(int64_t c, float (&z)[K], float (&t)[K]) const {
    load_floats(logits, begin + c, vocab - c, aligned, z);
    load_floats(teacher, begin + c, vocab - c, aligned, t);
    if (c + K <= cached) {
      store_floats(cache, c, K, true, z);
      store_floats(cache, cached + c, K, true, t);
    }
    finish(c, z, t);
  }
  __device__ void again(int64_t c, float (&z)[K], float (&t)[K]) const {
    if (c + K <= cached) {
      load_floats(cache, c, K, true, z);
      load_floats(cache, cached + c, K, true, t);
    } else {
      load_floats(logits, begin + c, vocab - c, aligned, z);
      load_floats(teacher, begin + c, vocab - c, aligned, t);
    }
    finish(c, z, t);
  }
  __device__ void finish(int64_t c, float (&z)[K], float (&t)[K]) const {
    for (int k = 0; k < K; ++k) {
      z[k] = c + k < vocab ? floored(z[k] * inverse_temperature) : kFloor;
      t[k] = c + k < vocab ? floored(t[k] * inverse_temperature) : kFloor;
    }
  }
  // The last chunk of a thread; its chunks are kStep apart.
  __device__ int64_t last(int64_t c) const { return c < vocab ? c + (vocab - 1 - c) / kStep * kStep : -1; }
};

// exp(x - largest) summed, and the same times a weight.
struct RunningSum {
  float largest = kFloor, sum = 0, weighted = 0;
  template <int K>
  __device__ void add(const float (&x)[K], const float (&weight)[K]) {
    float most = largest;
    for (int k = 0; k < K; ++k) most = most < x[k] ? x[k] : most;
    const float shrink = fast_exp(largest - most);
    sum *= shrink;
    weighted *= shrink;
    largest = most;
    for (int k = 0; k < K; ++k) {
      const float e = fast_exp(x[k] - most);
      sum += e;
      weighted += e * weight[k];
    }
  }
};

// Over the block: the largest, and sums relative to it.
struct RowSum {
  float largest, log_sum;
  double weighted;  // mean of the weight
};
__device__ RowSum over_block(const RunningSum& mine) {
  RowSum row;
  row.largest = block_max<kThreads>(mine.largest, kFloor);
  const double shrink = fast_exp(mine.largest - row.largest);
  const double sum = block_sum<kThreads>(mine.sum * shrink);
  row.weighted = block_sum<kThreads>(mine.weighted * shrink) / sum;
  row.log_sum = static_cast<float>(log(sum));
  return row;
}

// Block r: row r. scale: null for the value alone.
template <class T, Kind kKind>
__global__ void __launch_bounds__(kThreads)
    divergence_kernel(Ref<T> logits, In<T> teacher, In<float> scale, bool gradient, int64_t vocab, int64_t cached,
                      float inverse_temperature, Mixture mixture, bool aligned, Out<double> value) {
  using Pair = RowPair<T>;
  constexpr int K = Pair::K;
  const int64_t row = blockIdx.x, mine = int64_t{threadIdx.x} * K;
  const Pair pair = {logits, teacher, dynamic_shared<T>(0, 2 * cached), row * vocab, vocab, cached, inverse_temperature, aligned};
  float z[K], t[K], difference[K];

  RunningSum student, other;
  for (int64_t c = mine; c < vocab; c += Pair::kStep) {
    pair.first(c, z, t);
    for (int k = 0; k < K; ++k) difference[k] = kKind == Kind::kReverseKl ? z[k] - t[k] : t[k] - z[k];
    student.add(z, difference);
    other.add(t, difference);
  }
  const RowSum s = over_block(student), q = over_block(other);
  const double apart = (static_cast<double>(s.largest) + s.log_sum) - (static_cast<double>(q.largest) + q.log_sum);
  double divergence = 0, from_student = 0;  // from_student: KL(student || what it is compared with)
  if constexpr (kKind == Kind::kForwardKl) {
    divergence = q.weighted + apart;
  } else if constexpr (kKind == Kind::kReverseKl) {
    divergence = from_student = s.weighted - apart;
  } else {
    float a = 0, b = 0;
    for (int64_t c = pair.last(mine); c >= 0; c -= Pair::kStep) {
      pair.again(c, z, t);
      for (int k = 0; k < K; ++k) {
        const float ls = floored(z[k] - s.largest - s.log_sum), lq = floored(t[k] - q.largest - q.log_sum);
        const float mix = log_mixture(mixture, lq, ls);
        a += fast_exp(lq) * (lq - mix);
        b += fast_exp(ls) * (ls - mix);
      }
    }
    from_student = block_sum<kThreads>(static_cast<double>(b));
    divergence = mixture.beta * block_sum<kThreads>(static_cast<double>(a)) + (1 - mixture.beta) * from_student;
  }
  if (threadIdx.x == 0) value[row] = divergence;
  if (!gradient) return;

  const float mean = static_cast<float>(from_student);
  const float by = scale[row] * (kKind == Kind::kJsd ? 1 - mixture.beta : 1.0f);
  const auto differentiate = [&](int64_t c) {
    pair.again(c, z, t);
    for (int k = 0; k < K; ++k) {
      const float ls = floored(z[k] - s.largest - s.log_sum), lq = floored(t[k] - q.largest - q.log_sum);
      if constexpr (kKind == Kind::kForwardKl)
        z[k] = by * (fast_exp(ls) - fast_exp(lq));
      else
        z[k] = by * (fast_exp(ls) * (ls - (kKind == Kind::kJsd ? log_mixture(mixture, lq, ls) : lq) - mean));
    }
    store_floats(logits, pair.begin + c, vocab - c, aligned, z);
  };
  if constexpr (kKind == Kind::kJsd) {  // the pass before ran backward
    for (int64_t c = mine; c < vocab; c += Pair::kStep) differentiate(c);
  } else {
    for (int64_t c = pair.last(mine); c >= 0; c -= Pair::kStep) differentiate(c);
  }
}

}  // namespace

template <class T>
void divergence_rows(Device& device, const DivergenceSpec& spec, const double* host_row_scale, int64_t rows, int64_t vocab, T* logits,
                     const T* teacher_logits, double* host_value) {
  if (rows == 0) return;
  const bool gradient = host_row_scale != nullptr;
  std::vector<float> scale(gradient ? rows : 0);
  for (size_t i = 0; i < scale.size(); ++i) scale[i] = static_cast<float>(host_row_scale[i] / spec.temperature);
  const float beta = static_cast<float>(spec.beta);
  const Mixture mixture = {beta, std::log(beta), std::log(1 - beta)};
  const bool again = gradient || spec.kind == Kind::kJsd;
  const int64_t room = static_cast<int64_t>((device.shared_bytes() - kReserved) / (2 * sizeof(T)));
  const int64_t cached = again ? std::min(room, vocab) / kChunk<T> * kChunk<T> : 0;
  double* value = device.take<double>(rows);
  const auto kernel = spec.kind == Kind::kForwardKl   ? divergence_kernel<T, Kind::kForwardKl>
                      : spec.kind == Kind::kReverseKl ? divergence_kernel<T, Kind::kReverseKl>
                                                      : divergence_kernel<T, Kind::kJsd>;
  launch(device.stream(), "divergence", {{static_cast<uint32_t>(rows)}, {kThreads}, static_cast<size_t>(cached) * 2 * sizeof(T)}, kernel,
         Ref<T>(logits, rows * vocab), In<T>(teacher_logits, rows * vocab),
         In<float>(device.stage(scale.data(), gradient ? rows : 0), gradient ? rows : 0), gradient, vocab, cached,
         static_cast<float>(1 / spec.temperature), mixture, rows_aligned(logits, vocab) && rows_aligned(teacher_logits, vocab),
         Out<double>(value, rows));
  device.download(host_value, value, static_cast<size_t>(rows) * sizeof(double));
}

#define SIRI_INSTANTIATE(T) \
  template void divergence_rows(Device&, const DivergenceSpec&, const double*, int64_t, int64_t, T*, const T*, double*);
SIRI_INSTANTIATE(float)
SIRI_INSTANTIATE(bf16)

}  // namespace siri::SIRI_DEVICE
