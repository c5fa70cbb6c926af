// What the attention kernels are made of: products of a warp's sixteen rows with a tile of streamed rows, and the stream of tiles.
// T: type in memory; E: type that is multiplied, bfloat16 (tensor cores) or float32 (fused multiply-adds), sums always in float32.
// Knows no softmax and no causality.
//
// A lane holds results as FragmentC lays them out: rows lane / 4 and lane / 4 + 8 of the warp's sixteen; of a tile's rows the columns
// 8 n + 2 (lane % 4) and the next, of a sum over them the columns sum_column(n) and the next.
// Shared tiles have rows of kDim + 16 bytes, so that eight rows at one column lie in different banks.
#pragma once
#include "reduce.cuh"

namespace siri::SIRI_DEVICE {

constexpr int kStreamRows = 32;  // of a tile

template <class E, int kDim>
constexpr int kTileStride = kDim + kChunk<E>;

using StreamProduct = FragmentC[kStreamRows / 8];

// The warp's sixteen rows, from element `begin` of a shared tile, as the left operand.
template <class E, int kDim>
struct LeftRows {
  Shared<E> tile;
  int begin;

  __device__ FragmentA operator()(int k) const {
    const int lane = threadIdx.x % 32;
    return load_fragment_a(tile, begin + (lane / 8 % 2 * 8 + lane % 8) * kTileStride<E, kDim> + lane / 16 * 8 + 16 * k);
  }
  __device__ LeftRows held() const { return *this; }
};

// The same in registers.
template <int kDim>
struct HeldRows {
  FragmentA part[kDim / 16];

  __device__ explicit HeldRows(const LeftRows<bf16, kDim>& rows) {
    SIRI_UNROLL
    for (int k = 0; k < kDim / 16; ++k) part[k] = rows(k);
  }
  __device__ FragmentA operator()(int k) const { return part[k]; }
};

// c = left times the tile's rows, transposed.
template <int kDim, class Left>
__device__ void row_product(StreamProduct& c, const Left& left, const Shared<bf16>& tile) {
  constexpr int kStride = kTileStride<bf16, kDim>;
  const int lane = threadIdx.x % 32, at = (lane / 16 * 8 + lane % 8) * kStride + lane / 8 % 2 * 8;
  SIRI_UNROLL
  for (int n = 0; n < kStreamRows / 8; ++n) c[n] = FragmentC{};
  SIRI_UNROLL
  for (int k = 0; k < kDim / 16; ++k) {
    const FragmentA a = left(k);
    SIRI_UNROLL
    for (int n = 0; n < kStreamRows / 16; ++n) {
      const FragmentA b = load_fragment_a(tile, at + n * 16 * kStride + k * 16);  // two FragmentB at once
      mma(c[2 * n], a, FragmentB{{b.r[0], b.r[1]}});
      mma(c[2 * n + 1], a, FragmentB{{b.r[2], b.r[3]}});
    }
  }
}
template <int kDim>
__device__ void row_product(StreamProduct& c, const LeftRows<float, kDim>& left, const Shared<float>& tile) {
  constexpr int kStride = kTileStride<float, kDim>;
  const int lane = threadIdx.x % 32, g = lane / 4, q = lane % 4;
  SIRI_UNROLL
  for (int n = 0; n < kStreamRows / 8; ++n) c[n] = FragmentC{};
  for (int d = 0; d < kDim; d += 4) {
    const Vec<float, 4> low = load<4>(left.tile, left.begin + g * kStride + d),
                        high = load<4>(left.tile, left.begin + (g + 8) * kStride + d);
    SIRI_UNROLL
    for (int n = 0; n < kStreamRows / 8; ++n) {
      SIRI_UNROLL
      for (int e = 0; e < 2; ++e) {
        const Vec<float, 4> b = load<4>(tile, (8 * n + 2 * q + e) * kStride + d);
        SIRI_UNROLL
        for (int i = 0; i < 4; ++i) {
          c[n].r[e] = fmaf(low[i], b[i], c[n].r[e]);
          c[n].r[2 + e] = fmaf(high[i], b[i], c[n].r[2 + e]);
        }
      }
    }
  }
}

// The first of the two columns that a lane holds in sum[n].
template <class E>
__device__ int sum_column(int n) {
  const int q = threadIdx.x % 4;
  return std::is_same_v<E, bf16> ? 8 * n + 2 * q : 16 * (n / 2) + 4 * q + 2 * (n % 2);
}

// Elements of shared memory that a warp needs to pass its weights between lanes.
template <class E>
constexpr int kPassing = std::is_same_v<E, bf16> ? 0 : 16 * (kStreamRows + 4);

// sum += weights times the tile's rows. Between two of these a warp has to meet: they pass through the same memory.
template <int kDim>
__device__ void weighted_product(FragmentC (&sum)[kDim / 8], const StreamProduct& weights, const Shared<bf16>& tile, const Shared<float>&) {
  constexpr int kStride = kTileStride<bf16, kDim>;
  const int lane = threadIdx.x % 32, at = (lane / 8 % 2 * 8 + lane % 8) * kStride + lane / 16 * 8;
  SIRI_UNROLL
  for (int k = 0; k < kStreamRows / 16; ++k) {
    const FragmentC &even = weights[2 * k], &odd = weights[2 * k + 1];
    const FragmentA a = {
        {pack_bf16(even.r[0], even.r[1]), pack_bf16(even.r[2], even.r[3]), pack_bf16(odd.r[0], odd.r[1]), pack_bf16(odd.r[2], odd.r[3])}};
    SIRI_UNROLL
    for (int n = 0; n < kDim / 16; ++n) {
      const FragmentA b = load_fragment_a_transposed(tile, at + k * 16 * kStride + n * 16);  // two FragmentB at once
      mma(sum[2 * n], a, FragmentB{{b.r[0], b.r[1]}});
      mma(sum[2 * n + 1], a, FragmentB{{b.r[2], b.r[3]}});
    }
  }
}
template <int kDim>
__device__ void weighted_product(FragmentC (&sum)[kDim / 8], const StreamProduct& weights, const Shared<float>& tile,
                                 const Shared<float>& passing) {
  constexpr int kStride = kTileStride<float, kDim>, kRow = kStreamRows + 4;
  const int lane = threadIdx.x % 32, g = lane / 4, q = lane % 4;
  SIRI_UNROLL
  for (int n = 0; n < kStreamRows / 8; ++n) {
    store(passing, g * kRow + 8 * n + 2 * q, Vec<float, 2>{{weights[n].r[0], weights[n].r[1]}});
    store(passing, (g + 8) * kRow + 8 * n + 2 * q, Vec<float, 2>{{weights[n].r[2], weights[n].r[3]}});
  }
  __syncwarp();
  for (int k = 0; k < kStreamRows; k += 4) {
    const Vec<float, 4> low = load<4>(passing, g * kRow + k), high = load<4>(passing, (g + 8) * kRow + k);
    SIRI_UNROLL
    for (int i = 0; i < 4; ++i) {
      SIRI_UNROLL
      for (int n = 0; n < kDim / 16; ++n) {
        const Vec<float, 4> b = load<4>(tile, (k + i) * kStride + 16 * n + 4 * q);
        SIRI_UNROLL
        for (int e = 0; e < 4; ++e) {
          float* c = sum[2 * n + e / 2].r + e % 2;
          c[0] = fmaf(low[i], b[e], c[0]);
          c[2] = fmaf(high[i], b[e], c[2]);
        }
      }
    }
  }
}

// The most of the four lanes that hold a row, and their sum in an order of its own.
__device__ inline float row_max(float x) {
  x = max(x, __shfl_xor_sync(kAllLanes, x, 1));
  return max(x, __shfl_xor_sync(kAllLanes, x, 2));
}
__device__ inline float row_sum(float x) {
  x += __shfl_xor_sync(kAllLanes, x, 1);
  return x + __shfl_xor_sync(kAllLanes, x, 2);
}
// Of all lanes.
__device__ inline int warp_max(int x) {
  for (int lanes = 16; lanes > 0; lanes /= 2) x = max(x, __shfl_xor_sync(kAllLanes, x, lanes));
  return x;
}

// Two tiles of kStreamRows rows each (keys and values, or queries and gradients), tile after tile. The rows lie anywhere: `locate(i,
// pointers)`, called for i = 0, 1, ..., writes their addresses in the order of the block's threads, null for a row of zeros. While tile
// i is used the next one is on its way: bfloat16 into a second tile; float32 that is multiplied in bfloat16 into a buffer as it is;
// float32 that is multiplied as it is waits, since nothing else would fit.
template <class T, class E, int kDim, int kThreads>
class TileStream {
 public:
  static constexpr bool kConverts = !std::is_same_v<T, E>, kWaits = std::is_same_v<E, float>;
  static constexpr int kTiles = kConverts || kWaits ? 1 : 2;
  static constexpr int kRows = 2 * kStreamRows, kStride = kTileStride<E, kDim>, kSlots = 2;
  static constexpr int kTileBytes = kRows * kStride * static_cast<int>(sizeof(E));
  static constexpr int kBytes = kTiles * kTileBytes + (kConverts ? kRows * kDim * static_cast<int>(sizeof(T)) : 0);
  using Pointers = Shared<const T*>;  // [kSlots * kRows]

  // kBytes of dynamic shared memory from `offset`.
  __device__ TileStream(int offset, const Pointers& pointers, int count, int dim, bool aligned)
      : pointers_(pointers), offset_(offset), count_(count), dim_(dim), aligned_(aligned) {}

  template <class Locate>
  __device__ void start(Locate& locate) {
    if (count_ > 0) locate(0, pointers_.slice(0, kRows));
    __syncthreads();
    if constexpr (!kWaits) fetch(0, locate);
  }

  // Until tile i can be read; called for every i in order. Nobody reads the one before any more.
  template <class Locate>
  __device__ void next(int i, Locate& locate) {
    if constexpr (kWaits) {
      __syncthreads();
      fetch(i, locate);
    }
    copy_wait<0>();
    if constexpr (!kWaits) __syncthreads();
    if constexpr (kConverts) convert();
    if constexpr (!kWaits) fetch(i + 1, locate);
    if constexpr (kWaits || kConverts) __syncthreads();
  }

  __device__ Shared<E> first(int i) const { return tile(i).slice(0, kStreamRows * kStride); }
  __device__ Shared<E> second(int i) const { return tile(i).slice(kStreamRows * kStride, kStreamRows * kStride); }

 private:
  static constexpr int kChunks = kDim / kChunk<T>;

  __device__ Shared<E> tile(int i) const { return dynamic_shared<E>(offset_ + i % kTiles * kTileBytes, kRows * kStride); }
  __device__ Shared<T> buffer() const { return dynamic_shared<T>(offset_ + kTileBytes, kRows * kDim); }

  template <class Locate>
  __device__ void fetch(int i, Locate& locate) {
    if (i >= count_) return;
    if constexpr (kConverts)
      copy(i, buffer(), kDim);
    else
      copy(i, tile(i), kStride);
    copy_commit();
    if (i + 1 < count_) locate(i + 1, pointers_.slice((i + 1) % kSlots * kRows, kRows));
  }

  __device__ void copy(int i, const Shared<T>& to, int stride) {
    for (int c = threadIdx.x; c < kRows * kChunks; c += kThreads) {
      const int row = c / kChunks, d = c % kChunks * kChunk<T>;
      const T* from = pointers_[i % kSlots * kRows + row];
      const In<T> view(from, from == nullptr ? 0 : dim_);
      if (aligned_) {
        copy_async<kChunk<T>>(to, row * stride + d, view, d, from != nullptr && d < dim_);
      } else {
        float x[kChunk<T>] = {};
        if (from != nullptr) load_floats(view, d, dim_ - d, false, x);
        for (int k = 0; k < kChunk<T>; ++k) to[row * stride + d + k] = from_float<T>(x[k]);
      }
    }
  }

  // Every thread what it copied itself.
  __device__ void convert() {
    const Shared<T> from = buffer();
    const Shared<E> to = tile(0);
    for (int c = threadIdx.x; c < kRows * kChunks; c += kThreads) {
      const Vec<T, kChunk<T>> v = load<kChunk<T>>(from, c * kChunk<T>);
      Vec<E, kChunk<T>> w;
      for (int k = 0; k < kChunk<T>; ++k) w[k] = from_float<E>(to_float(v[k]));
      store(to, c / kChunks * kStride + c % kChunks * kChunk<T>, w);
    }
  }

  Pointers pointers_;
  int offset_, count_, dim_;
  bool aligned_;
};

}  // namespace siri::SIRI_DEVICE
