// Matrix products of bfloat16 on tensor cores (mma m16n8k16), sums in float32; what gemm.h promises of their order.
//
// A block computes a tile of y. Both operands come through shared memory in steps of 32 or 64 along the depth, four steps deep, by
// asynchronous copies that write zeros beyond the edges; chunks of 16 bytes are turned (exclusive or with the row) so that ldmatrix meets
// no bank twice. Warps hold their part of the tile in registers and read the next sixteen of the depth while they multiply the last.
//
// Passes over memory: with tiles of R x C, a is read columns / C times and b rows / R times, mostly from L2; y is written once, a residual
// read once. Floor on an H200 (790 TFLOP/s measured for bfloat16, 4.3 TB/s), 8192 rows through 1536 -> 17920: 571 us; 1 row: 12.8 us, the
// weight's bytes. mma of sm_80's kind reaches about 60% of that machine's tensor cores, wgmma would reach more. Measured: not yet (no GPU
// at hand).
//
// Why these tiles: k128x256 has warps of 64 x 64, 32 of whose products take 8 loads from shared memory, and asks L2 for 6 TB/s at 500
// TFLOP/s; one block a multiprocessor, 96 KiB, which sm_86, 89 and 120 have too. k128x128 (warps of 64 x 32) leaves registers for a second
// sum (kInOrder). k64x64 fills the machine when y is small; k16x64 is for decoding a few rows, where the weights' bytes count.
// Why chunks: in decoding, 1536 columns are 12 tiles for 132 multiprocessors. A depth cut in five makes 60. The cut must then hold for
// any number of rows, so long products sum the same chunks one after another in the block (kInOrder), a second set of registers instead
// of parts in memory. How a depth is cut is decided from the shape of the weight alone (linear.cu).
#include "gemm.cuh"

namespace siri::SIRI_DEVICE {
namespace {

template <int kTileRows, int kTileColumns, int kWarpTileRows, int kWarpTileColumns, int kStep, int kMinBlocks>
struct Shape {
  static constexpr int kRows = kTileRows, kColumns = kTileColumns, kWarpRows = kWarpTileRows, kWarpColumns = kWarpTileColumns;
  static constexpr int kDepth = kStep, kStages = 4, kBlocks = kMinBlocks;  // kBlocks: of a multiprocessor
  static constexpr int kAcross = kColumns / kWarpColumns;                  // warps side by side
  static constexpr int kThreads = 32 * (kRows / kWarpRows) * kAcross;
  static constexpr int kStageA = kRows * kDepth, kStageB = kColumns * kDepth;  // elements
  static constexpr size_t kBytes = kStages * (kStageA + kStageB) * sizeof(bf16);
};
using Tile16x64 = Shape<16, 64, 16, 16, 64, 4>;
using Tile64x64 = Shape<64, 64, 32, 32, 64, 3>;
using Tile128x128 = Shape<128, 128, 64, 32, 32, 1>;
using Tile128x256 = Shape<128, 256, 64, 64, 32, 1>;

// Element (row, 8 * chunk) of a tile in shared memory whose rows have kWidth elements. Eight rows at one chunk, as ldmatrix reads them,
// and eight chunks of a row, as they are written, lie in eight different groups of four banks.
template <int kWidth>
__device__ inline int place(int row, int chunk) {
  static_assert(kWidth == 32 || kWidth % 64 == 0);
  return row * kWidth + (chunk ^ (kWidth == 32 ? row / 2 % 4 : row % 8)) * 8;
}

// Brings an operand to shared memory step by step: kLines of its rows (or columns of y) and kDepth of the depth at a time, zeros beyond
// the edges. A thread's chunks lie one below the other, kBelow lines of memory apart.
template <bool kAcross, int kLines, int kDepth, int kThreads>
class Feed {
  static constexpr int kWidth = kAcross ? kLines : kDepth, kChunks = kWidth / 8;  // of a row of memory
  static constexpr int kBelow = kThreads / kChunks, kCount = kLines * kDepth / 8 / kThreads;
  static_assert(kBelow % 8 == 0 && kCount * kThreads * 8 == kLines * kDepth);

 public:
  // From depth `begin` to `end`.
  __device__ Feed(const In<bf16>& from, int64_t stride, int64_t line, int64_t lines, int64_t begin, int64_t end) : from_(from) {
    const int row = static_cast<int>(threadIdx.x) / kChunks, chunk = static_cast<int>(threadIdx.x) % kChunks;
    const int64_t down = (kAcross ? begin : line) + row, along = (kAcross ? line : begin) + chunk * 8;
    at_ = down * stride + along;
    below_ = kBelow * stride;
    step_ = kAcross ? kDepth * stride : kDepth;
    depth_ = static_cast<int>(end - (kAcross ? down : along));
    const int64_t left = lines - (kAcross ? along : down);
    lines_ = left < kLines ? static_cast<int>(left) : kLines;
    place_ = place<kWidth>(row, chunk);
  }

  __device__ void next(const Shared<bf16>& tile) {
    SIRI_UNROLL
    for (int i = 0; i < kCount; ++i) {
      const bool present = (kAcross ? depth_ : lines_) > i * kBelow && (kAcross ? lines_ : depth_) > 0;
      copy_async<8>(tile, place_ + i * kBelow * kWidth, from_, at_ + i * below_, present);
    }
    at_ += step_;
    depth_ -= kDepth;
  }

 private:
  In<bf16> from_;
  int64_t at_, below_, step_;
  int depth_, lines_, place_;  // depth and lines that are left, from the first of the thread's chunks on
};

// Rows [row, row + 16) and depths [k, k + 16) of a tile of the left operand.
template <bool kAcross, int kLines, int kDepth>
__device__ inline FragmentA left(const Shared<bf16>& tile, int row, int k) {
  const int lane = threadIdx.x % 32;
  if constexpr (kAcross)
    return load_fragment_a_transposed(tile, place<kLines>(k + lane / 16 * 8 + lane % 8, row / 8 + lane / 8 % 2));
  else
    return load_fragment_a(tile, place<kDepth>(row + lane % 16, k / 8 + lane / 16));
}

// Columns [column, column + 16) and depths [k, k + 16) of a tile of the right operand: four matrices at once are two fragments.
template <bool kAcross, int kLines, int kDepth>
__device__ inline void right(const Shared<bf16>& tile, int column, int k, FragmentB& low, FragmentB& high) {
  const int lane = threadIdx.x % 32;
  FragmentA four;
  if constexpr (kAcross)
    four = load_fragment_a_transposed(tile, place<kLines>(k + lane % 16, column / 8 + lane / 16));
  else
    four = load_fragment_a(tile, place<kDepth>(column + lane / 16 * 8 + lane % 8, k / 8 + lane / 8 % 2));
  low = {{four.r[0], four.r[1]}};
  high = {{four.r[2], four.r[3]}};
}

// kInOrder: the block sums all chunks. Otherwise blockIdx.z is its chunk. residual may be y.
template <class S, Form kForm, bool kInOrder>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks)
    gemm_kernel(In<bf16> a, In<bf16> b, Extents e, In<float> bias, Ref<const float> residual, Out<float> y) {
  constexpr bool kAcrossA = kForm == Form::kWeight, kAcrossB = kForm != Form::kForward;
  constexpr int kI = S::kWarpRows / 16, kJ = S::kWarpColumns / 8, kSlices = S::kDepth / 16;
  static_assert(kSlices % 2 == 0 && kJ % 2 == 0);
  const Shared<bf16> tiles_a = dynamic_shared<bf16>(0, S::kStages * S::kStageA),
                     tiles_b = dynamic_shared<bf16>(S::kStages * S::kStageA * sizeof(bf16), S::kStages * S::kStageB);
  int64_t row, column;
  tile_of(blockIdx.x, (e.rows + S::kRows - 1) / S::kRows, (e.columns + S::kColumns - 1) / S::kColumns, row, column);
  row *= S::kRows;
  column *= S::kColumns;
  const int64_t begin = kInOrder ? 0 : blockIdx.z * e.chunk;
  const int64_t end = kInOrder || begin + e.chunk > e.depth ? e.depth : begin + e.chunk;
  const int steps = static_cast<int>((end - begin + S::kDepth - 1) / S::kDepth);
  const int steps_of_chunk = static_cast<int>(e.chunk / S::kDepth);
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int warp_row = warp / S::kAcross * S::kWarpRows, warp_column = warp % S::kAcross * S::kWarpColumns;

  Feed<kAcrossA, S::kRows, S::kDepth, S::kThreads> feed_a(a, e.a_stride, row, e.rows, begin, end);
  Feed<kAcrossB, S::kColumns, S::kDepth, S::kThreads> feed_b(b, e.b_stride, column, e.columns, begin, end);
  const auto fetch = [&](int step) {
    if (step < steps) {
      const int stage = step % S::kStages;
      feed_a.next(tiles_a.slice(stage * S::kStageA, S::kStageA));
      feed_b.next(tiles_b.slice(stage * S::kStageB, S::kStageB));
    }
    copy_commit();
  };
  FragmentA of_a[2][kI];
  FragmentB of_b[2][kJ];
  const auto read = [&](int step, int slice, FragmentA(&fa)[kI], FragmentB(&fb)[kJ]) {
    const int stage = step % S::kStages;
    const Shared<bf16> tile_a = tiles_a.slice(stage * S::kStageA, S::kStageA), tile_b = tiles_b.slice(stage * S::kStageB, S::kStageB);
    SIRI_UNROLL
    for (int i = 0; i < kI; ++i) fa[i] = left<kAcrossA, S::kRows, S::kDepth>(tile_a, warp_row + 16 * i, 16 * slice);
    SIRI_UNROLL
    for (int j = 0; j < kJ; j += 2) right<kAcrossB, S::kColumns, S::kDepth>(tile_b, warp_column + 8 * j, 16 * slice, fb[j], fb[j + 1]);
  };

  FragmentC sum[kI][kJ] = {}, total[kInOrder ? kI : 1][kInOrder ? kJ : 1] = {};
  for (int s = 0; s < S::kStages - 1; ++s) fetch(s);
  copy_wait<S::kStages - 2>();
  __syncthreads();  // the first step is there
  read(0, 0, of_a[0], of_b[0]);
  for (int step = 0; step < steps; ++step) {
    SIRI_UNROLL
    for (int slice = 0; slice < kSlices; ++slice) {
      const int next = (slice + 1) % kSlices;
      if (next == 0) {
        copy_wait<S::kStages - 2>();
        __syncthreads();  // the next step is there, and nobody reads this one any more
        if (step + 1 < steps) read(step + 1, 0, of_a[0], of_b[0]);
      } else {
        read(step, next, of_a[next % 2], of_b[next % 2]);
      }
      if (slice == 0) fetch(step + S::kStages - 1);  // where the step before was
      SIRI_UNROLL
      for (int i = 0; i < kI; ++i) {
        SIRI_UNROLL
        for (int j = 0; j < kJ; ++j) mma(sum[i][j], of_a[slice % 2][i], of_b[slice % 2][j]);
      }
    }
    if constexpr (kInOrder)
      if ((step + 1) % steps_of_chunk == 0 || step + 1 == steps) {
        SIRI_UNROLL
        for (int i = 0; i < kI * kJ * 4; ++i) {
          float& part = sum[i / 4 / kJ][i / 4 % kJ].r[i % 4];
          total[i / 4 / kJ][i / 4 % kJ].r[i % 4] += part;
          part = 0;
        }
      }
  }

  SIRI_UNROLL
  for (int i = 0; i < 2 * kI; ++i) {
    SIRI_UNROLL
    for (int j = 0; j < kJ; ++j) {
      float v[2];
      SIRI_UNROLL
      for (int h = 0; h < 2; ++h) {
        if constexpr (kInOrder)
          v[h] = total[i / 2][j].r[i % 2 * 2 + h];
        else
          v[h] = sum[i / 2][j].r[i % 2 * 2 + h];
      }
      finish(e, bias, residual, y, row + warp_row + 8 * i + lane / 4, column + warp_column + 8 * j + lane % 4 * 2, v);
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

// Enough to give each of an H200's 132 multiprocessors something, nearly.
constexpr int64_t kEnoughBlocks = 120;

Tile by_size(const Gemm<bf16>& g, int64_t chunks) {
  if (g.form == Form::kForward && g.rows <= 16) return Tile::k16x64;
  if (g.rows <= 64) return Tile::k64x64;
  const auto blocks = [&](int64_t rows, int64_t columns) { return blocks_for(g.rows, rows) * blocks_for(g.columns, columns) * chunks; };
  if (blocks(128, 256) >= kEnoughBlocks) return Tile::k128x256;
  if (g.form == Form::kForward && blocks(128, 128) >= kEnoughBlocks) return Tile::k128x128;
  return Tile::k64x64;
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
