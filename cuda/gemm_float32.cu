// Matrix products in float32 on the ordinary units (no TF32); what gemm.h promises of their order.
//
// A block computes a square tile of y; both operands come through shared memory, depth first, in steps of 8 along the depth, four steps
// deep, by asynchronous copies of one element, so that strides and alignment are free. A thread keeps one or four squares of 4 x 4.
//
// Passes over memory: with tiles of R x R, a is read columns / R times and b rows / R times; y is written once, a residual read once.
// Floor on an H200 (60 TFLOP/s of its 67 assumed), 8192 rows through 1536 -> 17920: 7.5 ms. Measured: not yet (no GPU at hand).
// Why so plain: float32 is the type to compare with and of models small enough for anything; bfloat16 (gemm.cu) is what speed asks for.
// Tiles of 128: 4 loads of 16 bytes for 64 multiply-adds; tiles of 32 are for products too small to fill the machine with those. Rows of
// shared memory are 4 elements longer than a tile: neighbours in depth, as they arrive from rows of memory, then lie in different banks.
#include "gemm_float32_tile.cuh"

namespace siri::SIRI_DEVICE {
namespace {

using Large = FloatTile<128, 2>;
using Small = FloatTile<32, 1>;

// blockIdx.z is the chunk. residual may be y.
template <class S, Form kForm>
__global__ void __launch_bounds__(S::kThreads)
    gemm_float32_kernel(In<float> a, In<float> b, Extents e, In<float> bias, Ref<const float> residual, Out<float> y) {
  int64_t row, column;
  tile_of(blockIdx.x, (e.rows + S::kSide - 1) / S::kSide, (e.columns + S::kSide - 1) / S::kSide, row, column);
  row *= S::kSide;
  column *= S::kSide;
  const int64_t begin = blockIdx.z * e.chunk, end = begin + e.chunk > e.depth ? e.depth : begin + e.chunk;
  typename S::Sums sum;
  sum_tile<S, kForm>(a, b, e, row, column, begin, end, sum);
  SIRI_UNROLL
  for (int i = 0; i < 4 * S::kSquares; ++i) {
    SIRI_UNROLL
    for (int q = 0; q < S::kSquares; ++q) {
      float v[4];
      SIRI_UNROLL
      for (int j = 0; j < 4; ++j) v[j] = sum[i][4 * q + j];
      finish(e, bias, residual, y, row + S::first_row() + i / 4 * S::kShift + i % 4, column + S::first_column() + q * S::kShift, v);
    }
  }
}

template <class S>
void run(Device& device, const Gemm<float>& g) {
  const int64_t chunks = blocks_for(g.depth, g.chunk);
  float* part = chunks > 1 ? device.take<float>(chunks * g.rows * g.columns) : nullptr;
  const uint32_t tiles = blocks_for(g.rows, S::kSide) * blocks_for(g.columns, S::kSide);
  const auto run_form = [&](auto kernel) {
    launch(device.stream(), "gemm_float32", {{tiles, 1, static_cast<uint32_t>(chunks)}, {S::kThreads}}, kernel, left_view(g), right_view(g),
           extents<4>(g, part), bias_view(g, part), residual_view(g, part), result_view(g, part, chunks));
  };
  if (g.form == Form::kForward) run_form(gemm_float32_kernel<S, Form::kForward>);
  if (g.form == Form::kInput) run_form(gemm_float32_kernel<S, Form::kInput>);
  if (g.form == Form::kWeight) run_form(gemm_float32_kernel<S, Form::kWeight>);
  if (part != nullptr) add_parts(device, part, chunks, g.rows, g.columns, g.bias, g.residual, g.y, g.y_stride);
}

}  // namespace

void multiply(Device& device, const Gemm<float>& g, bool large) {
  if (g.rows == 0 || g.columns == 0) return;
  if (large)
    run<Large>(device, g);
  else
    run<Small>(device, g);
}

void multiply(Device& device, const Gemm<float>& g) {
  const int64_t chunks = blocks_for(g.depth, g.chunk);
  constexpr int64_t kEnoughBlocks = 120;  // for an H200's 132 multiprocessors
  multiply(device, g, blocks_for(g.rows, 128) * blocks_for(g.columns, 128) * chunks >= kEnoughBlocks);
}

}  // namespace siri::SIRI_DEVICE
