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
#include "gemm.cuh"

namespace siri::SIRI_DEVICE {
namespace {

constexpr int kDepth = 8, kStages = 4;

template <int kTileSide, int kSquaresOfThread>
struct Shape {
  static constexpr int kSide = kTileSide, kSquares = kSquaresOfThread;  // squares of a thread in each direction
  static constexpr int kAcross = kSide / 4 / kSquares;                  // threads side by side
  static constexpr int kThreads = kAcross * kAcross;
  static constexpr int kLine = kSide + 4, kStage = kDepth * kLine;  // elements of shared memory
  static constexpr int kShift = kSide / kSquares;                   // between a thread's squares
};
using Large = Shape<128, 2>;
using Small = Shape<32, 1>;

// Brings `lines` of an operand from `line` on and kDepth of the depth from k on to tile [kDepth, kLine], zeros beyond the edges.
template <class S, bool kAcross>
__device__ inline void bring(const Shared<float>& tile, const In<float>& from, int64_t stride, int64_t line, int64_t lines, int64_t k,
                             int64_t end) {
  SIRI_UNROLL
  for (int i = 0; i < S::kSide * kDepth / S::kThreads; ++i) {
    const int c = i * S::kThreads + static_cast<int>(threadIdx.x);
    const int l = kAcross ? c % S::kSide : c / kDepth, d = kAcross ? c / S::kSide : c % kDepth;
    copy_async<1>(tile, d * S::kLine + l, from, (kAcross ? (k + d) * stride + line + l : (line + l) * stride + k + d),
                  line + l < lines && k + d < end);
  }
}

// blockIdx.z is the chunk. residual may be y.
template <class S, Form kForm>
__global__ void __launch_bounds__(S::kThreads)
    gemm_float32_kernel(In<float> a, In<float> b, Extents e, In<float> bias, Ref<const float> residual, Out<float> y) {
  SIRI_SHARED(float, tiles, 2 * kStages * S::kStage);
  constexpr int Q = S::kSquares;
  int64_t row, column;
  tile_of(blockIdx.x, (e.rows + S::kSide - 1) / S::kSide, (e.columns + S::kSide - 1) / S::kSide, row, column);
  row *= S::kSide;
  column *= S::kSide;
  const int64_t begin = blockIdx.z * e.chunk, end = begin + e.chunk > e.depth ? e.depth : begin + e.chunk;
  const int steps = static_cast<int>((end - begin + kDepth - 1) / kDepth);
  const int down = static_cast<int>(threadIdx.x) / S::kAcross * 4, along = static_cast<int>(threadIdx.x) % S::kAcross * 4;

  const auto fetch = [&](int step) {
    if (step < steps) {
      const int stage = step % kStages * 2 * S::kStage;
      const int64_t k = begin + int64_t{step} * kDepth;
      bring<S, kForm == Form::kWeight>(tiles.slice(stage, S::kStage), a, e.a_stride, row, e.rows, k, end);
      bring<S, kForm != Form::kForward>(tiles.slice(stage + S::kStage, S::kStage), b, e.b_stride, column, e.columns, k, end);
    }
    copy_commit();
  };
  float sum[4 * Q][4 * Q] = {};
  for (int s = 0; s < kStages - 1; ++s) fetch(s);
  for (int step = 0; step < steps; ++step) {
    copy_wait<kStages - 2>();
    __syncthreads();  // this step is there, and nobody reads the one before any more
    fetch(step + kStages - 1);
    const Shared<float> tile = tiles.slice(step % kStages * 2 * S::kStage, 2 * S::kStage);
    SIRI_UNROLL
    for (int k = 0; k < kDepth; ++k) {
      float left[4 * Q], right[4 * Q];
      SIRI_UNROLL
      for (int q = 0; q < Q; ++q) {
        const Vec<float, 4> l = load<4>(tile, k * S::kLine + down + q * S::kShift),
                            r = load<4>(tile, S::kStage + k * S::kLine + along + q * S::kShift);
        SIRI_UNROLL
        for (int i = 0; i < 4; ++i) {
          left[4 * q + i] = l[i];
          right[4 * q + i] = r[i];
        }
      }
      SIRI_UNROLL
      for (int i = 0; i < 4 * Q; ++i) {
        SIRI_UNROLL
        for (int j = 0; j < 4 * Q; ++j) sum[i][j] += left[i] * right[j];
      }
    }
  }
  SIRI_UNROLL
  for (int i = 0; i < 4 * Q; ++i) {
    SIRI_UNROLL
    for (int q = 0; q < Q; ++q) {
      float v[4];
      SIRI_UNROLL
      for (int j = 0; j < 4; ++j) v[j] = sum[i][4 * q + j];
      finish(e, bias, residual, y, row + down + i / 4 * S::kShift + i % 4, column + along + q * S::kShift, v);
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
