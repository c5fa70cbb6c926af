// AdamW (Loshchilov and Hutter 2019) on float32 master weights, and the sum of squares that clipping needs.
//   g = gradient_scale * gradient; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2
//   weight = weight (1 - lr wd) - lr / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)
// weight, gradient [n] float32; m, v [n] float32 or bfloat16, arithmetic in float32, bias corrections in double on the host. In bfloat16
// m is rounded to nearest and v by chance (core/bfloat16.h): with beta2 0.999 a step moves v by less than half of its last place, and
// rounded to nearest it would never fall again.
//
// Passes over memory: one, 28 bytes a weight (20 with bfloat16 moments); the sum of squares reads 4.
// Floor on an H200 (4.3 TB/s), 1.54e9 weights: 10.0 ms, 7.2 ms with bfloat16 moments; sum of squares 1.4 ms. Measured: not yet (no
// GPU at hand).
// Tiling: four weights a thread. Sum of squares: 16,384 elements a block in double, the same tree in every block, then one block
// adds the parts, again in a fixed order: the result depends on n alone.
#include <cmath>

#include "core/bfloat16.h"
#include "ops.h"
#include "reduce.cuh"

namespace siri::SIRI_DEVICE {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kSquaresBlock = 16384;

struct Factors {
  float scale, b1, b2, c1, c2, eps, rate, root, keep;
};

template <class M>
__global__ void __launch_bounds__(kThreads) adamw_kernel(Ref<float> weight, In<float> gradient, Ref<M> m, Ref<M> v, int64_t first,
                                                         int64_t n, int64_t step, Factors f, bool aligned) {
  const int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * 4;
  if (i >= n) return;
  float w[4], g[4], mn[4], vn[4];
  load_floats(weight, i, n - i, aligned, w);
  load_floats(gradient, i, n - i, aligned, g);
  load_floats(m, i, n - i, aligned, mn);
  load_floats(v, i, n - i, aligned, vn);
  for (int k = 0; k < 4; ++k) {
    const float gk = g[k] * f.scale;
    mn[k] = f.b1 * mn[k] + f.c1 * gk;
    vn[k] = f.b2 * vn[k] + f.c2 * gk * gk;
    w[k] = w[k] * f.keep - f.rate * mn[k] / (sqrtf(vn[k]) * f.root + f.eps);
  }
  store_floats(weight, i, n - i, aligned, w);
  store_floats(m, i, n - i, aligned, mn);
  if constexpr (!std::is_same_v<M, float>)
    for (int k = 0; k < 4; ++k) {
      const uint32_t random = scramble(static_cast<uint64_t>(first + i + k), static_cast<uint64_t>(step));
      vn[k] = bit_cast<float>(uint32_t{round_by_chance(bit_cast<uint32_t>(vn[k]), random)} << 16);
    }
  store_floats(v, i, n - i, aligned, vn);
}

__global__ void __launch_bounds__(kThreads) squares_kernel(In<float> x, int64_t n, Out<double> part, bool aligned) {
  const int64_t begin = blockIdx.x * kSquaresBlock, end = begin + kSquaresBlock < n ? begin + kSquaresBlock : n;
  double sum = 0;
  float v[4];
  for (int64_t i = begin + threadIdx.x * 4; i < end; i += kThreads * 4) {
    load_floats(x, i, end - i, aligned, v);
    for (int k = 0; k < 4; ++k) sum += static_cast<double>(v[k]) * v[k];
  }
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) part[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kThreads) sum_kernel(In<double> part, int64_t n, Out<double> total) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) sum += part[i];
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) total[0] = sum;
}

}  // namespace

template <class M>
void adamw(Device& device, float* weight, const float* gradient, M* m, M* v, int64_t first, int64_t n, const AdamWStep& step) {
  const double t = static_cast<double>(step.step);
  const double correction1 = 1.0 - std::pow(static_cast<double>(step.beta1), t);
  const double correction2 = 1.0 - std::pow(static_cast<double>(step.beta2), t);
  const Factors f = {step.gradient_scale,
                     step.beta1,
                     step.beta2,
                     1.0f - step.beta1,
                     1.0f - step.beta2,
                     step.eps,
                     static_cast<float>(step.lr / correction1),
                     static_cast<float>(1.0 / std::sqrt(correction2)),
                     static_cast<float>(1.0 - static_cast<double>(step.lr) * step.weight_decay)};
  const bool aligned = rows_aligned(weight, 0) && rows_aligned(gradient, 0) && rows_aligned(m, 0) && rows_aligned(v, 0);
  launch(device.stream(), "adamw", {{blocks_for(n, kThreads * 4)}, {kThreads}}, adamw_kernel<M>, Ref<float>(weight, n),
         In<float>(gradient, n), Ref<M>(m, n), Ref<M>(v, n), first, n, step.step, f, aligned);
}

double sum_of_squares(Device& device, const float* x, int64_t n) {
  if (n == 0) return 0;
  const int64_t parts = blocks_for(n, kSquaresBlock);
  double *part = device.take<double>(parts), *total = device.take<double>(1);
  launch(device.stream(), "squares", {{static_cast<uint32_t>(parts)}, {kThreads}}, squares_kernel, In<float>(x, n), n,
         Out<double>(part, parts), rows_aligned(x, 0));
  launch(device.stream(), "sum", {{1}, {kThreads}}, sum_kernel, In<double>(part, parts), parts, Out<double>(total, 1));
  double sum = 0;
  device.download(&sum, total, sizeof sum);
  return sum;
}

template void adamw(Device&, float*, const float*, float*, float*, int64_t, int64_t, const AdamWStep&);
template void adamw(Device&, float*, const float*, bf16*, bf16*, int64_t, int64_t, const AdamWStep&);

}  // namespace siri::SIRI_DEVICE
