// A linear layer over the products of gemm.h: how its sums are cut, and in which type its operands are multiplied.
//   linear: y = x W^T + bias? + residual?;  linear_backward_input: dx = dx? + dy W;  linear_backward_weight: dW += dy^T x, dbias += sums of
//   dy
// weight: float32 for products in float32, or its copy in bfloat16 (RoundedWeights); then x and dy are rounded in a pass of their own
// (rounding.cu). One copy of a weight serves both directions.
//
// Passes over memory in bfloat16: an activation is read once and written rounded (6 bytes an element), then what gemm.cu says. Gradients of
// weights are read and written once (8 bytes an element), with parts over the rows where the weight alone has too few tiles.
// Floor on an H200 (790 TFLOP/s), 8192 rows through 1536 -> 17920: 571 us each; rounding x 18 us, dy 205 us. Measured: not yet (no GPU at
// hand). dy is rounded for both of its products; one pass for both would need the caller to hold it.
//
// cuBLASLt is not used here. Of the three products it could serve the weights' gradients alone, where the order of a sum is free: nothing
// says that its tiles leave a row's bits alone. A second path for a third of the arithmetic, chosen by what a machine has installed, would
// let one run have two results, and no emulator could test it. siri_check on a GPU times both (check/products.cu).
#include "ops.h"
#include "reduce.cuh"

namespace siri::SIRI_DEVICE {
namespace {

// How the depth of x W^T is cut, by the weight's shape alone: pieces of 256 at least, so many that blocks of 128 columns number about 64 (a
// tile of 64 columns or a second row of tiles then makes 128, an H200 has 132 multiprocessors). In float32 a sum is one chain.
int64_t chunk_of(int64_t in, int64_t out) {
  constexpr int64_t kBlocks = 64, kLeast = 256;
  const int64_t wanted = kBlocks / blocks_for(out, 128), most = in / kLeast, chunks = wanted < most ? wanted : most;
  return chunks > 1 ? blocks_for(blocks_for(in, chunks), kChunkUnit) * kChunkUnit : blocks_for(in, kChunkUnit) * kChunkUnit;
}
int64_t forward_chunk(const Rows<bf16>&, int64_t in, int64_t out) { return chunk_of(in, out); }
int64_t forward_chunk(const Rows<float>&, int64_t in, int64_t) { return blocks_for(in, kChunkUnit) * kChunkUnit; }

// Of the rows that a weight's gradient is summed over: the number of pieces, of 512 rows at least, that should take the least time. Pieces
// fill the last round of blocks (tiles of 128 x 256, 17 ns a row at 500 TFLOP/s on 132 multiprocessors), and each is written and read once
// more (8 bytes an element at 4.3 TB/s). They take scratch: less than a tenth is not worth it.
int64_t row_chunk(int64_t n, int64_t in, int64_t out) {
  const int64_t tiles = blocks_for(out, 128) * blocks_for(in, 256);
  const auto chunk = [&](int64_t pieces) { return blocks_for(blocks_for(n, pieces), kChunkUnit) * kChunkUnit; };
  const auto nanoseconds = [&](int64_t pieces) {
    return 17.0 * static_cast<double>(blocks_for(tiles * pieces, 132) * chunk(pieces)) +
           (pieces > 1 ? 8 / 4300.0 * static_cast<double>(pieces * in * out) : 0.0);
  };
  int64_t best = 1;
  for (int64_t pieces = 2; pieces <= 16 && n >= 512 * pieces; ++pieces)
    if (nanoseconds(pieces) < 0.9 * nanoseconds(best)) best = pieces;
  return chunk(best);
}

// An activation as an operand beside T.
Rows<float> operand(Device&, const Rows<float>&, const float* x, int64_t stride, int64_t, int64_t) { return {x, stride}; }
Rows<bf16> operand(Device& device, const Rows<bf16>&, const float* x, int64_t stride, int64_t n, int64_t width) {
  return round_rows(device, x, stride, n, width);
}

}  // namespace

template <class T>
void linear(Device& device, const float* x, int64_t x_stride, const Rows<T>& weight, const float* bias, const float* residual, int64_t n,
            int64_t in, int64_t out, float* y, int64_t y_stride) {
  multiply(device, Gemm<T>{Form::kForward, operand(device, weight, x, x_stride, n, in), weight, n, out, in, forward_chunk(weight, in, out),
                           bias, residual, y, y_stride});
}

template <class T>
void linear_backward_input(Device& device, const float* dy, int64_t dy_stride, const Rows<T>& weight, int64_t n, int64_t in, int64_t out,
                           float* dx, int64_t dx_stride, bool accumulate) {
  multiply(device, Gemm<T>{Form::kInput, operand(device, weight, dy, dy_stride, n, out), weight, n, in, out,
                           blocks_for(out, kChunkUnit) * kChunkUnit, nullptr, accumulate ? dx : nullptr, dx, dx_stride});
}

template <class T>
void linear_backward_weight(Device& device, const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, int64_t n, int64_t in,
                            int64_t out, float* dweight, float* dbias) {
  if (n == 0) return;
  const Rows<T> none;
  multiply(device, Gemm<T>{Form::kWeight, operand(device, none, dy, dy_stride, n, out), operand(device, none, x, x_stride, n, in), out, in,
                           n, row_chunk(n, in, out), nullptr, dweight, dweight, in});
  if (dbias != nullptr) add_column_sums(device, dy, dy_stride, n, out, dbias);
}

#define SIRI_INSTANTIATE(T)                                                                                                              \
  template void linear(Device&, const float*, int64_t, const Rows<T>&, const float*, const float*, int64_t, int64_t, int64_t, float*,    \
                       int64_t);                                                                                                         \
  template void linear_backward_input(Device&, const float*, int64_t, const Rows<T>&, int64_t, int64_t, int64_t, float*, int64_t, bool); \
  template void linear_backward_weight<T>(Device&, const float*, int64_t, const float*, int64_t, int64_t, int64_t, int64_t, float*, float*);
SIRI_INSTANTIATE(float)
SIRI_INSTANTIATE(bf16)

}  // namespace siri::SIRI_DEVICE
