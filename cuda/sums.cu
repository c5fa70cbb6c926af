// Sums in a fixed order: the parts of a product that was cut along its depth, and the columns of a matrix (gradients of biases).
//   add_parts: y [rows, columns] = ((part[0] + part[1]) + ...) + bias? + residual?;  add_column_sums: total += column sums of x [n, width]
// float32 throughout.
//
// Passes over memory: each part is read once, y written once; x is read once.
// Floor on an H200 (4.3 TB/s): five parts of 256 x 1536, 2.2 us (and they lie in its L2 cache); columns of 8192 x 2048, 16 us. Measured:
// not yet (no GPU at hand).
// Tiling: a thread per element, or per column of 128 rows; neighbours read neighbours. No atomics, the same bits each time.
#include "gemm.h"
#include "reduce.cuh"

namespace siri::SIRI_DEVICE {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kRowBlock = 128;  // rows of one part of a column's sum

// residual may be y.
__global__ void __launch_bounds__(kThreads)
    add_parts_kernel(In<float> part, int64_t parts, int64_t rows, int64_t columns, In<float> bias, bool has_bias, Ref<const float> residual,
                     bool has_residual, Out<float> y, int64_t y_stride) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= rows * columns) return;
  const int64_t row = i / columns, column = i % columns;
  float sum = 0;
  for (int64_t p = 0; p < parts; ++p) sum += part[p * rows * columns + i];
  if (has_bias) sum += bias[column];
  if (has_residual) sum += residual[row * y_stride + column];
  y[row * y_stride + column] = sum;
}

// Block (i, b): columns of block i, rows of row block b, to part [row blocks, width].
__global__ void __launch_bounds__(kThreads) column_sums_kernel(In<float> x, int64_t x_stride, int64_t n, int64_t width, Out<float> part) {
  const int64_t c = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (c >= width) return;
  const int64_t begin = blockIdx.y * kRowBlock, end = begin + kRowBlock < n ? begin + kRowBlock : n;
  float sum = 0;
  for (int64_t r = begin; r < end; ++r) sum += x[r * x_stride + c];
  part[blockIdx.y * width + c] = sum;
}

}  // namespace

void add_parts(Device& device, const float* part, int64_t parts, int64_t rows, int64_t columns, const float* bias, const float* residual,
               float* y, int64_t y_stride) {
  const int64_t count = extent(rows, y_stride, columns);
  launch(device.stream(), "add_parts", {{blocks_for(rows * columns, kThreads)}, {kThreads}}, add_parts_kernel,
         In<float>(part, parts * rows * columns), parts, rows, columns, In<float>(bias, bias != nullptr ? columns : 0), bias != nullptr,
         Ref<const float>(residual, residual != nullptr ? count : 0), residual != nullptr, Out<float>(y, count), y_stride);
}

void add_column_sums(Device& device, const float* x, int64_t x_stride, int64_t n, int64_t width, float* total) {
  const uint32_t parts = blocks_for(n, kRowBlock);
  float* part = device.take<float>(parts * width);
  launch(device.stream(), "column_sums", {{blocks_for(width, kThreads), parts}, {kThreads}}, column_sums_kernel,
         In<float>(x, extent(n, x_stride, width)), x_stride, n, width, Out<float>(part, parts * width));
  add_parts(device, part, parts, 1, width, nullptr, total, total, width);
}

}  // namespace siri::SIRI_DEVICE
