// Rows of float32 rounded to rows of bfloat16: the operands of tensor-core products.
//   y [n, rounded_stride(width)] = x [n, width] at a stride, zeros beyond the width
// To nearest, ties to even.
//
// Passes over memory: one, 6 bytes an element. Floor on an H200 (4.3 TB/s), 8192 x 1536: 18 us. Measured: not yet (no GPU at hand).
// Why a pass of its own: a product of tiles 256 columns wide reads its left operand once for every 256 columns of the result. As float32
// that is 4 bytes an element each time, as bfloat16 2: from the fourth tile on (1024 columns) the copy's 6 bytes are won back, and copies
// of bfloat16 go to shared memory without passing through registers. For rows beside a weight of 17920 columns it is 70 tiles, for the
// smallest of a 1.5B model (256 columns) the pass costs 6 bytes where the product's own traffic is 9. It also puts every row at a multiple
// of 16 bytes whatever the width, so the product has one path, with no exceptions for crooked strides.
// Tiling: 8 elements a thread, one 16-byte store.
#include "core/error.h"
#include "gemm.h"
#include "reduce.cuh"

namespace siri::SIRI_DEVICE {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    round_rows_kernel(In<float> x, int64_t x_stride, int64_t n, int64_t width, int64_t chunks, Out<bf16> y, bool aligned) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n * chunks) return;
  const int64_t row = i / chunks, c = i % chunks * 8;
  float v[8];
  load_floats(x, row * x_stride + c, width - c, aligned, v);
  store_floats(y, i * 8, 8, true, v);
}

}  // namespace

void round_rows(Device& device, const float* x, int64_t x_stride, int64_t n, int64_t width, bf16* y) {
  const int64_t chunks = rounded_stride(width) / 8;
  launch(device.stream(), "round_rows", {{blocks_for(n * chunks, kThreads)}, {kThreads}}, round_rows_kernel,
         In<float>(x, extent(n, x_stride, width)), x_stride, n, width, chunks, Out<bf16>(y, n * chunks * 8), rows_aligned(x, x_stride));
}

Rows<bf16> round_rows(Device& device, const float* x, int64_t x_stride, int64_t n, int64_t width) {
  const Rows<bf16> y{device.take<bf16>(n * rounded_stride(width)), rounded_stride(width)};
  round_rows(device, x, x_stride, n, width, const_cast<bf16*>(y.data));
  return y;
}

RoundedWeights::~RoundedWeights() {
  for (const auto& [weight, copy] : copies_) {
    try {
      if (copy.data != nullptr) device_.release(copy.data);
    } catch (const Error&) {  // the device is lost, its memory with it
    }
  }
}

Rows<bf16> RoundedWeights::get(const float* weight, int64_t rows, int64_t width) {
  Copy& copy = copies_[weight];
  if (copy.data == nullptr || bytes(copy.rows, copy.width) != bytes(rows, width)) {
    if (copy.data != nullptr) device_.release(copy.data);
    copy = {};  // should there be no memory
    copy.data = static_cast<bf16*>(device_.allocate(bytes(rows, width)));
  }
  if (copy.version != version_ || copy.rows != rows || copy.width != width) {
    round_rows(device_, weight, width, rows, width, copy.data);
    copy.rows = rows;
    copy.width = width;
    copy.version = version_;
  }
  return {copy.data, rounded_stride(width)};
}

}  // namespace siri::SIRI_DEVICE
