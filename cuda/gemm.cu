// Matrix products of bfloat16 on tensor cores (mma m16n8k16), sums in float32; what gemm.h promises of their order.
//
// A block computes a tile of y. Both operands come through shared memory in steps of 32 or 64 along the depth, four steps deep, by
// asynchronous copies that write zeros beyond the edges; chunks of 16 bytes are turned (exclusive or with the row) so that ldmatrix meets
// no bank twice. Warps hold their part of the tile in registers and read the next sixteen of the depth while they multiply the last.
//
// Passes over memory: with tiles of R x C, a is read columns / C times and b rows / R times, mostly from L2; y is written once, a residual
// read once. Floor on an H200 (790 TFLOP/s for bfloat16, 4.3 TB/s), 8192 rows through 1536 -> 17920: 571 us; 1 row: 12.8 us, the weight's
// bytes. Measured: not yet (no GPU at hand). mma of sm_80's kind is known to leave a third or more of sm_90's tensor cores idle; wgmma with
// bulk copies would not, and needs an emulated twin of its descriptors first.
//
// The order of gemm.h rests on one thing that no manual promises and the emulator cannot show: that mma treats its sixteen rows and eight
// columns alike. siri_check on a GPU would find it broken (rows alone against rows of a batch).
//
// Why these tiles: k128x256 has warps of 64 x 64, 32 of whose products take 8 loads from shared memory, and asks L2 for 6 TB/s at 500
// TFLOP/s; one block a multiprocessor, 96 KiB, which sm_86, 89 and 120 have too. k128x128 (warps of 64 x 32) leaves registers for a second
// sum (kInOrder). k64x64 fills the machine when y is small; k16x64 is for decoding a few rows, where the weights' bytes count.
// Why chunks: in decoding, 1536 columns are 12 tiles for 132 multiprocessors. A depth cut in five makes 60. The cut must then hold for
// any number of rows, so long products sum the same chunks one after another in the block (kInOrder), a second set of registers instead
// of parts in memory. How a depth is cut is decided from the shape of the weight alone (linear.cu).
// Tried and lost, by the compiler's count: k128x128 with two blocks a multiprocessor spills (128 registers for 64 sums and 48 of
// fragments); 64-bit places for every copy spilled in k128x256 too, so a thread keeps the place of its first copy and the distance to the
// next.
#include <cmath>

#include "gemm_tile.cuh"

namespace siri::SIRI_DEVICE {
namespace {

using Tile16x64 = TensorTile<16, 64, 16, 16, 64, 4>;
using Tile64x64 = TensorTile<64, 64, 32, 32, 64, 3>;
using Tile128x128 = TensorTile<128, 128, 64, 32, 32, 1>;
using Tile128x256 = TensorTile<128, 256, 64, 64, 32, 1>;

// kInOrder: the block sums all chunks. Otherwise blockIdx.z is its chunk. residual may be y.
template <class S, Form kForm, bool kInOrder>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks)
    gemm_kernel(In<bf16> a, In<bf16> b, Extents e, In<float> bias, Ref<const float> residual, Out<float> y) {
  int64_t row, column;
  tile_of(blockIdx.x, (e.rows + S::kRows - 1) / S::kRows, (e.columns + S::kColumns - 1) / S::kColumns, row, column);
  row *= S::kRows;
  column *= S::kColumns;
  const int64_t begin = kInOrder ? 0 : blockIdx.z * e.chunk;
  const int64_t end = kInOrder || begin + e.chunk > e.depth ? e.depth : begin + e.chunk;
  typename S::Sums sum;
  sum_tile<S, kForm, kInOrder>(a, b, e, row, column, begin, end, sum);
  SIRI_UNROLL
  for (int i = 0; i < S::kWarpRows / 8; ++i) {
    SIRI_UNROLL
    for (int j = 0; j < S::kWarpColumns / 8; ++j) {
      float v[2];
      SIRI_UNROLL
      for (int h = 0; h < 2; ++h) v[h] = sum[i / 2][j].r[i % 2 * 2 + h];
      finish(e, bias, residual, y, row + S::first_row() + 8 * i, column + S::first_column() + 8 * j, v);
    }
  }
}

template <class S, Form kForm, bool kInOrder>
void run(Device& device, const Gemm<bf16>& g, int64_t chunks, float* part) {
  const uint32_t tiles = blocks_for(g.rows, S::kRows) * blocks_for(g.columns, S::kColumns);
  launch(device.stream(), "gemm", {{tiles, 1, kInOrder ? 1 : static_cast<uint32_t>(chunks)}, {S::kThreads}, S::kBytes},
         gemm_kernel<S, kForm, kInOrder>, left_view(g), right_view(g), extents<2>(g, part), bias_view(g, part), residual_view(g, part),
         result_view(g, part, chunks));
}

// The tile that should take the least time: blocks come to an H200's multiprocessors evenly, and an element costs more in the smaller
// tiles, whose warps load 6 and 8 times for 16 products where those of k128x256 load 4 times (the shares are guesses until they are
// measured).
Tile by_size(const Gemm<bf16>& g, int64_t chunks) {
  const bool forward = g.form == Form::kForward;
  if (g.rows <= 64) return forward && g.rows <= 16 ? Tile::k16x64 : Tile::k64x64;
  const auto time = [&](int64_t rows, int64_t columns, double cost) {
    constexpr int64_t kMultiprocessors = 132;
    const int64_t blocks = blocks_for(g.rows, rows) * blocks_for(g.columns, columns) * chunks;
    return blocks_for(blocks, kMultiprocessors) * rows * columns * cost;
  };
  const double large = time(128, 256, 1), middle = forward ? time(128, 128, 1.15) : INFINITY, small = time(64, 64, 1.6);
  if (small < large && small < middle) return Tile::k64x64;
  return middle < large ? Tile::k128x128 : Tile::k128x256;
}

}  // namespace

void multiply(Device& device, const Gemm<bf16>& g, Tile tile, Chunks chunking) {
  if (g.rows == 0 || g.columns == 0) return;
  const int64_t chunks = blocks_for(g.depth, g.chunk);
  // Parts of more rows are more traffic than blocks of their own are worth.
  constexpr int64_t kRowsInParts = 512;
  if (chunks > 1 && g.form == Form::kForward && (chunking == Chunks::kInOrder || (chunking == Chunks::kBySize && g.rows > kRowsInParts)))
    return run<Tile128x128, Form::kForward, true>(device, g, chunks, nullptr);
  float* part = chunks > 1 ? device.take<float>(chunks * g.rows * g.columns) : nullptr;
  if (tile == Tile::kBySize) tile = by_size(g, chunks);
  const auto run_form = [&](auto form) {
    constexpr Form kForm = decltype(form)::value;
    if constexpr (kForm == Form::kForward) {
      if (tile == Tile::k16x64) return run<Tile16x64, kForm, false>(device, g, chunks, part);
      if (tile == Tile::k128x128) return run<Tile128x128, kForm, false>(device, g, chunks, part);
    }
    if (tile == Tile::k64x64) return run<Tile64x64, kForm, false>(device, g, chunks, part);
    run<Tile128x256, kForm, false>(device, g, chunks, part);
  };
  if (g.form == Form::kForward) run_form(std::integral_constant<Form, Form::kForward>());
  if (g.form == Form::kInput) run_form(std::integral_constant<Form, Form::kInput>());
  if (g.form == Form::kWeight) run_form(std::integral_constant<Form, Form::kWeight>());
  if (part != nullptr) add_parts(device, part, chunks, g.rows, g.columns, g.bias, g.residual, g.y, g.y_stride);
}

}  // namespace siri::SIRI_DEVICE
