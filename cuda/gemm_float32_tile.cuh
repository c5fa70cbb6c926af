// A block's tile of a product of float32 on the ordinary units, summed in its threads' registers: what gemm_float32.cu and the head share.
// Knows nothing of what becomes of the sums.
#pragma once
#include "gemm.cuh"

namespace siri::SIRI_DEVICE {

template <int kTileSide, int kSquaresOfThread>
struct FloatTile {
  static constexpr int kDepth = 8, kStages = 4;
  static constexpr int kSide = kTileSide, kSquares = kSquaresOfThread;  // squares of a thread in each direction
  static constexpr int kAcross = kSide / 4 / kSquares;                  // threads side by side
  static constexpr int kThreads = kAcross * kAcross;
  static constexpr int kLine = kSide + 4, kStage = kDepth * kLine;  // elements of shared memory
  static constexpr int kShift = kSide / kSquares;                   // between a thread's squares

  // A thread's sums: sum[i][j] is element (first_row() + i / 4 * kShift + i % 4, first_column() + j / 4 * kShift + j % 4) of the tile.
  // kAcross lanes side by side hold the same rows.
  using Sums = float[4 * kSquares][4 * kSquares];
  static __device__ int first_row() { return static_cast<int>(threadIdx.x) / kAcross * 4; }
  static __device__ int first_column() { return static_cast<int>(threadIdx.x) % kAcross * 4; }
};

// Brings `lines` of an operand from `line` on and kDepth of the depth from k on to tile [kDepth, kLine], zeros beyond the edges.
template <class S, bool kAcross>
__device__ inline void bring(const Shared<float>& tile, const In<float>& from, int64_t stride, int64_t line, int64_t lines, int64_t k,
                             int64_t end) {
  SIRI_UNROLL
  for (int i = 0; i < S::kSide * S::kDepth / S::kThreads; ++i) {
    const int c = i * S::kThreads + static_cast<int>(threadIdx.x);
    const int l = kAcross ? c % S::kSide : c / S::kDepth, d = kAcross ? c / S::kSide : c % S::kDepth;
    copy_async<1>(tile, d * S::kLine + l, from, (kAcross ? (k + d) * stride + line + l : (line + l) * stride + k + d),
                  line + l < lines && k + d < end);
  }
}

// Sums the tile at (row, column) over depths [begin, end) in one chain, zeros beyond the edges. e: how the operands lie (not y).
template <class S, Form kForm>
__device__ inline void sum_tile(const In<float>& a, const In<float>& b, const Extents& e, int64_t row, int64_t column, int64_t begin,
                                int64_t end, typename S::Sums& sum) {
  SIRI_SHARED(float, tiles, 2 * S::kStages * S::kStage);
  constexpr int Q = S::kSquares;
  const int steps = static_cast<int>((end - begin + S::kDepth - 1) / S::kDepth);
  const int down = S::first_row(), along = S::first_column();

  const auto fetch = [&](int step) {
    if (step < steps) {
      const int stage = step % S::kStages * 2 * S::kStage;
      const int64_t k = begin + int64_t{step} * S::kDepth;
      bring<S, kForm == Form::kWeight>(tiles.slice(stage, S::kStage), a, e.a_stride, row, e.rows, k, end);
      bring<S, kForm != Form::kForward>(tiles.slice(stage + S::kStage, S::kStage), b, e.b_stride, column, e.columns, k, end);
    }
    copy_commit();
  };
  SIRI_UNROLL
  for (int i = 0; i < 4 * Q; ++i) {
    SIRI_UNROLL
    for (int j = 0; j < 4 * Q; ++j) sum[i][j] = 0;
  }
  for (int s = 0; s < S::kStages - 1; ++s) fetch(s);
  for (int step = 0; step < steps; ++step) {
    copy_wait<S::kStages - 2>();
    __syncthreads();  // this step is there, and nobody reads the one before any more
    fetch(step + S::kStages - 1);
    const Shared<float> tile = tiles.slice(step % S::kStages * 2 * S::kStage, 2 * S::kStage);
    SIRI_UNROLL
    for (int k = 0; k < S::kDepth; ++k) {
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
}

}  // namespace siri::SIRI_DEVICE
