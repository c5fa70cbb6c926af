// RMS norm and its gradient (Zhang and Sennrich 2019).
//   y = x * rstd * weight, rstd = 1 / sqrt(mean(x^2) + eps);  with u = x * rstd and g = dy * weight
//   dx = (accumulate ? dx : 0) + rstd * (g - u * mean(g * u)),  dweight += column sums of dy * u
// x, y, dy, dx: rows of `width` T (float32 or bfloat16) at a stride; weight, dweight [width], rstd [rows] float32; sums in float32.
//
// Passes over memory: forward reads x once from memory (again from L1) and writes y: 8 bytes an element in float32. Backward reads dy
// and x twice (dx, dweight) and writes dx: 20 bytes an element, 28 accumulating.
// Floor on an H200 (4.3 TB/s), 8192 rows of 1536 in float32: forward 23 us, backward 59 us. Measured: not yet (no GPU at hand).
// Tiling: a warp per row up to 1024 columns (no barrier), else a block of 256 threads; 16 bytes a thread and load. Which of the two,
// and so the order of a row's sum, depends on the width alone. dweight: sums over blocks of 128 rows to scratch, then added in the
// order of the blocks: no atomics, the same bits each time.
// Not fused: dweight in the pass that makes dx would save 8 bytes an element and needs the columns of a row in registers for
// every width; the norms are 1% of a training step.
#include "ops.h"
#include "reduce.cuh"

namespace siri::SIRI_DEVICE {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kWarpWidth = 1024;  // widest row of a warp
constexpr int64_t kRowBlock = 128;    // rows of one partial sum of dweight

// y may be x.
template <class T, int kRowThreads>
__global__ void __launch_bounds__(kThreads) rms_norm_kernel(Ref<const T> x, int64_t x_stride, In<float> weight, int64_t rows, int64_t width,
                                                            float eps, Out<T> y, int64_t y_stride, Out<float> rstd, bool aligned) {
  constexpr int K = kChunk<T>;
  const int thread = threadIdx.x % kRowThreads;
  const int64_t row = int64_t{blockIdx.x} * (kThreads / kRowThreads) + threadIdx.x / kRowThreads;
  const bool active = row < rows;
  float square = 0, v[K], w[K];
  if (active)
    for (int64_t c = thread * K; c < width; c += kRowThreads * K) {
      load_floats(x, row * x_stride + c, width - c, aligned, v);
      for (int k = 0; k < K; ++k) square += v[k] * v[k];
    }
  square = block_sum<kRowThreads>(square);
  if (!active) return;
  const float scale = 1.0f / sqrtf(square / static_cast<float>(width) + eps);
  if (thread == 0) rstd[row] = scale;
  for (int64_t c = thread * K; c < width; c += kRowThreads * K) {
    load_floats(x, row * x_stride + c, width - c, aligned, v);
    load_floats(weight, c, width - c, aligned, w);
    for (int k = 0; k < K; ++k) v[k] = v[k] * scale * w[k];
    store_floats(y, row * y_stride + c, width - c, aligned, v);
  }
}

// dx may be dy.
template <class T, int kRowThreads>
__global__ void __launch_bounds__(kThreads)
    rms_norm_dx_kernel(Ref<const T> dy, int64_t dy_stride, Ref<const T> x, int64_t x_stride, In<float> weight, In<float> rstd, int64_t rows,
                       int64_t width, Ref<T> dx, int64_t dx_stride, bool accumulate, bool aligned) {
  constexpr int K = kChunk<T>;
  const int thread = threadIdx.x % kRowThreads;
  const int64_t row = int64_t{blockIdx.x} * (kThreads / kRowThreads) + threadIdx.x / kRowThreads;
  const bool active = row < rows;
  float dot = 0, scale = 0, d[K], v[K], w[K];
  if (active) {
    scale = rstd[row];
    for (int64_t c = thread * K; c < width; c += kRowThreads * K) {
      load_floats(dy, row * dy_stride + c, width - c, aligned, d);
      load_floats(x, row * x_stride + c, width - c, aligned, v);
      load_floats(weight, c, width - c, aligned, w);
      for (int k = 0; k < K; ++k) dot += d[k] * w[k] * (v[k] * scale);
    }
  }
  dot = block_sum<kRowThreads>(dot);
  if (!active) return;
  const float mean = dot / static_cast<float>(width);
  for (int64_t c = thread * K; c < width; c += kRowThreads * K) {
    load_floats(dy, row * dy_stride + c, width - c, aligned, d);
    load_floats(x, row * x_stride + c, width - c, aligned, v);
    load_floats(weight, c, width - c, aligned, w);
    for (int k = 0; k < K; ++k) d[k] = scale * (d[k] * w[k] - v[k] * scale * mean);
    if (accumulate) {
      load_floats(dx, row * dx_stride + c, width - c, aligned, v);
      for (int k = 0; k < K; ++k) d[k] += v[k];
    }
    store_floats(dx, row * dx_stride + c, width - c, aligned, d);
  }
}

// Block (i, b): columns of block i, rows of row block b, to part [row blocks, width].
template <class T>
__global__ void __launch_bounds__(kThreads) rms_norm_dweight_kernel(Ref<const T> dy, int64_t dy_stride, Ref<const T> x, int64_t x_stride,
                                                                    In<float> rstd, int64_t rows, int64_t width, Out<float> part) {
  const int64_t c = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (c >= width) return;
  const int64_t begin = blockIdx.y * kRowBlock, end = begin + kRowBlock < rows ? begin + kRowBlock : rows;
  float sum = 0;
  for (int64_t r = begin; r < end; ++r) sum += to_float(dy[r * dy_stride + c]) * (to_float(x[r * x_stride + c]) * rstd[r]);
  part[blockIdx.y * width + c] = sum;
}

}  // namespace

template <class T>
void rms_norm(Device& device, const T* x, int64_t x_stride, const float* weight, int64_t rows, int64_t width, float eps, T* y,
              int64_t y_stride, float* rstd) {
  const bool aligned = rows_aligned(x, x_stride) && rows_aligned(y, y_stride) && rows_aligned(weight, 0);
  const auto run = [&](auto kernel, int64_t rows_of_block) {
    launch(device.stream(), "rms_norm", {{blocks_for(rows, rows_of_block)}, {kThreads}}, kernel,
           Ref<const T>(x, extent(rows, x_stride, width)), x_stride, In<float>(weight, width), rows, width, eps,
           Out<T>(y, extent(rows, y_stride, width)), y_stride, Out<float>(rstd, rows), aligned);
  };
  if (width <= kWarpWidth)
    run(rms_norm_kernel<T, 32>, kThreads / 32);
  else
    run(rms_norm_kernel<T, kThreads>, 1);
}

template <class T>
void rms_norm_backward(Device& device, const T* dy, int64_t dy_stride, const T* x, int64_t x_stride, const float* weight, const float* rstd,
                       int64_t rows, int64_t width, T* dx, int64_t dx_stride, bool accumulate, float* dweight) {
  if (rows == 0) return;
  const bool aligned = rows_aligned(dy, dy_stride) && rows_aligned(x, x_stride) && rows_aligned(dx, dx_stride) && rows_aligned(weight, 0);
  const Ref<const T> dy_view(dy, extent(rows, dy_stride, width)), x_view(x, extent(rows, x_stride, width));
  const int64_t parts = blocks_for(rows, kRowBlock);
  float* part = device.take<float>(parts * width);
  const uint32_t columns = blocks_for(width, kThreads);
  // Before dx, which may stand where dy stood.
  launch(device.stream(), "rms_norm_dweight", {{columns, static_cast<uint32_t>(parts)}, {kThreads}}, rms_norm_dweight_kernel<T>, dy_view,
         dy_stride, x_view, x_stride, In<float>(rstd, rows), rows, width, Out<float>(part, parts * width));
  add_parts(device, part, parts, 1, width, nullptr, dweight, dweight, width);
  const auto run = [&](auto kernel, int64_t rows_of_block) {
    launch(device.stream(), "rms_norm_dx", {{blocks_for(rows, rows_of_block)}, {kThreads}}, kernel, dy_view, dy_stride, x_view, x_stride,
           In<float>(weight, width), In<float>(rstd, rows), rows, width, Ref<T>(dx, extent(rows, dx_stride, width)), dx_stride, accumulate,
           aligned);
  };
  if (width <= kWarpWidth)
    run(rms_norm_dx_kernel<T, 32>, kThreads / 32);
  else
    run(rms_norm_dx_kernel<T, kThreads>, 1);
}

template void rms_norm(Device&, const float*, int64_t, const float*, int64_t, int64_t, float, float*, int64_t, float*);
template void rms_norm(Device&, const bf16*, int64_t, const float*, int64_t, int64_t, float, bf16*, int64_t, float*);
template void rms_norm_backward(Device&, const float*, int64_t, const float*, int64_t, const float*, const float*, int64_t, int64_t, float*,
                                int64_t, bool, float*);
template void rms_norm_backward(Device&, const bf16*, int64_t, const bf16*, int64_t, const float*, const float*, int64_t, int64_t, bf16*,
                                int64_t, bool, float*);

}  // namespace siri::SIRI_DEVICE
