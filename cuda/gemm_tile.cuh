// A block's tile of a product of bfloat16 on tensor cores (mma m16n8k16), summed in float32 in its threads' registers: what gemm.cu and the
// head share. How the operands travel and why the tiles are what they are: gemm.cu. Knows nothing of what becomes of the sums.
#pragma once
#include "gemm.cuh"

namespace siri::SIRI_DEVICE {

template <int kTileRows, int kTileColumns, int kWarpTileRows, int kWarpTileColumns, int kStep, int kMinBlocks>
struct TensorTile {
  static constexpr int kRows = kTileRows, kColumns = kTileColumns, kWarpRows = kWarpTileRows, kWarpColumns = kWarpTileColumns;
  static constexpr int kDepth = kStep, kStages = 4, kBlocks = kMinBlocks;  // kBlocks: of a multiprocessor
  static constexpr int kAcross = kColumns / kWarpColumns;                  // warps side by side
  static constexpr int kThreads = 32 * (kRows / kWarpRows) * kAcross;
  static constexpr int kStageA = kRows * kDepth, kStageB = kColumns * kDepth;  // elements
  static constexpr size_t kBytes = kStages * (kStageA + kStageB) * sizeof(bf16);

  // A thread's sums: sum[i / 2][j].r[i % 2 * 2 + h] is element (first_row() + 8 i, first_column() + 8 j + h) of the tile. The four lanes of
  // a quad hold the same rows, kWarpColumns of each.
  using Sums = FragmentC[kWarpRows / 16][kWarpColumns / 8];
  static __device__ int first_row() {
    return static_cast<int>(threadIdx.x) / 32 / kAcross * kWarpRows + static_cast<int>(threadIdx.x) % 32 / 4;
  }
  static __device__ int first_column() {
    return static_cast<int>(threadIdx.x) / 32 % kAcross * kWarpColumns + static_cast<int>(threadIdx.x) % 4 * 2;
  }
};

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

// Sums the tile at (row, column) over depths [begin, end), zeros beyond the edges. e: how the operands lie (not y). kInOrder: each chunk by
// itself, then the chunks in order; otherwise one chain.
template <class S, Form kForm, bool kInOrder>
__device__ inline void sum_tile(const In<bf16>& a, const In<bf16>& b, const Extents& e, int64_t row, int64_t column, int64_t begin,
                                int64_t end, typename S::Sums& sum) {
  constexpr bool kAcrossA = kForm == Form::kWeight, kAcrossB = kForm != Form::kForward;
  constexpr int kI = S::kWarpRows / 16, kJ = S::kWarpColumns / 8, kSlices = S::kDepth / 16;
  static_assert(kSlices % 2 == 0 && kJ % 2 == 0);
  const Shared<bf16> tiles_a = dynamic_shared<bf16>(0, S::kStages * S::kStageA),
                     tiles_b = dynamic_shared<bf16>(S::kStages * S::kStageA * sizeof(bf16), S::kStages * S::kStageB);
  const int steps = static_cast<int>((end - begin + S::kDepth - 1) / S::kDepth);
  const int steps_of_chunk = static_cast<int>(e.chunk / S::kDepth);
  const int warp = static_cast<int>(threadIdx.x) / 32;
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

  FragmentC total[kInOrder ? kI : 1][kInOrder ? kJ : 1] = {};
  SIRI_UNROLL
  for (int i = 0; i < kI * kJ * 4; ++i) sum[i / 4 / kJ][i / 4 % kJ].r[i % 4] = 0;
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
  if constexpr (kInOrder) {
    SIRI_UNROLL
    for (int i = 0; i < kI * kJ * 4; ++i) sum[i / 4 / kJ][i / 4 % kJ].r[i % 4] = total[i / 4 / kJ][i / 4 % kJ].r[i % 4];
  }
}

}  // namespace siri::SIRI_DEVICE
