// What the kernels over query rows (attention forward, its gradient to the queries) share: which rows a block has and where its keys lie.
#pragma once
#include "attention_plan.cuh"
#include "attention_tile.cuh"
#include "ops.h"

namespace siri::SIRI_DEVICE {

// Vectors of a block: four warps, two where float32 rows take twice the memory; one for few.
template <class E>
constexpr int kWideRows = std::is_same_v<E, bf16> ? 64 : 32;
constexpr int kNarrowRows = 16;

// One call, as the kernels see it.
struct AttentionGeometry {
  int32_t heads, group, dim;  // group: query heads of a kv head
  float scale;                // of the scores
  float exponent;             // scale * log2(e)
  int64_t q_stride, out_stride;
  bool aligned_queries, aligned_keys, aligned_out;
};

template <class T, class E>
AttentionSizes sizes_of(const AttentionShape& shape) {
  return {static_cast<int32_t>(shape.heads / shape.kv_heads), kWideRows<E>, kNarrowRows, kChunk<T>};
}

template <class T>
AttentionGeometry geometry(const RowWork& rows, const FirstPlaces<T>& first, const T* q, int64_t q_stride, const T* out, int64_t out_stride,
                           const AttentionShape& shape) {
  const bool chunks = shape.head_dim % kChunk<T> == 0;
  return {static_cast<int32_t>(shape.heads),
          static_cast<int32_t>(shape.heads / shape.kv_heads),
          static_cast<int32_t>(shape.head_dim),
          shape.scale,
          static_cast<float>(shape.scale * 1.4426950408889634),
          q_stride,
          out_stride,
          chunks && rows_aligned(q, q_stride),
          chunks && rows.aligned && rows_aligned(first.keys, 0) && rows_aligned(first.values, 0),
          chunks && rows_aligned(out, out_stride)};
}

// Calls f with the kernels' head dimension as a constant: the least that holds `dim`.
template <class F>
void at_dim(int64_t dim, const F& f) {
  if (dim <= 64)
    f(std::integral_constant<int, 64>());
  else
    f(std::integral_constant<int, kMostHeadDim>());
}

// The vectors of an item: row of q, query head, and how many keys are seen (0: no vector).
template <int kRows>
struct RowTable {
  Shared<int32_t> row, head, limit;

  __device__ void fill(const In<int32_t>& runs, const RowItem& item, int group, int threads) const {
    for (int r = threadIdx.x; r < kRows; r += threads) {
      limit[r] = 0;
      if (r >= item.rows) continue;
      int v = item.first + r, i = item.run;
      QueryRun run = record<QueryRun>(runs, i);
      while (v >= run.count * group) {
        v -= run.count * group;
        run = record<QueryRun>(runs, ++i);
      }
      row[r] = run.row + v / group;
      head[r] = blockIdx.y * group + v % group;
      limit[r] = run.before + v / group + 1;
    }
  }
};

// Where keys and values of an item lie: the `locate` of its stream.
template <class T>
struct KeyPlaces {
  const RowTables& tables;
  const RowItem& item;
  const T *keys, *values;  // the first ones
  int dim, threads;

  __device__ const T* find(const T* from, const PieceList& list, int position) const {
    const int32_t length = tables.ends[list.begin];
    int piece = min(position / length, list.pieces - 1);  // right for pages, close for others
    while (tables.ends[list.begin + piece] <= position) ++piece;
    while (piece > 0 && tables.ends[list.begin + piece - 1] > position) --piece;
    const int first = piece == 0 ? 0 : static_cast<int>(tables.ends[list.begin + piece - 1]);
    const int64_t offset = tables.offsets[list.begin + piece];
    return from + offset + int64_t{position - first} * list.stride + blockIdx.y * dim;
  }
  __device__ void operator()(int tile, const Shared<const T*>& pointers) const {
    for (int r = threadIdx.x; r < 2 * kStreamRows; r += threads) {
      const int position = item.key_begin + tile * kStreamRows + r % kStreamRows;
      const T* p = nullptr;
      if (position < item.key_end) p = r < kStreamRows ? find(keys, item.keys, position) : find(values, item.values, position);
      pointers[r] = p;
    }
  }
};

// The rows of an item out of x (rows `stride` apart) to a shared tile, zeros where there is no vector.
template <int kRows, int kDim, int kThreads, class T, class E>
__device__ void load_rows(const Shared<E>& tile, const In<T>& x, const RowTable<kRows>& table, int64_t stride, int dim, bool aligned) {
  constexpr int K = kChunk<T>, kChunks = kDim / K;
  for (int c = threadIdx.x; c < kRows * kChunks; c += kThreads) {
    const int r = c / kChunks, d = c % kChunks * K;
    float from[K] = {};
    const int32_t limit = table.limit[r];
    if (limit > 0) {
      const int32_t row = table.row[r], head = table.head[r];
      load_floats(x, row * stride + head * dim + d, dim - d, aligned, from);
    }
    Vec<E, K> v;
    for (int k = 0; k < K; ++k) v[k] = from_float<E>(from[k]);
    store(tile, r * kTileStride<E, kDim> + d, v);
  }
}

// Two neighbours of a row of `dim` elements that begins at element `begin`.
template <class V>
__device__ void store_pair(const V& view, int64_t begin, int column, int dim, bool aligned, float a, float b) {
  using T = std::remove_pointer_t<decltype(view.data())>;
  if (aligned && column < dim) {
    store(view, begin + column, Vec<T, 2>{{from_float<T>(a), from_float<T>(b)}});
  } else {
    if (column < dim) view[begin + column] = from_float<T>(a);
    if (column + 1 < dim) view[begin + column + 1] = from_float<T>(b);
  }
}

// The same, added to what is there.
template <class V>
__device__ void add_pair(const V& view, int column, int dim, bool aligned, float a, float b) {
  using T = std::remove_pointer_t<decltype(view.data())>;
  if (aligned && column < dim) {
    const Vec<T, 2> old = load<2>(view, column);
    store(view, column, Vec<T, 2>{{from_float<T>(to_float(old[0]) + a), from_float<T>(to_float(old[1]) + b)}});
  } else {
    if (column < dim) {
      const T old = view[column];
      view[column] = from_float<T>(to_float(old) + a);
    }
    if (column + 1 < dim) {
      const T old = view[column + 1];
      view[column + 1] = from_float<T>(to_float(old) + b);
    }
  }
}

}  // namespace siri::SIRI_DEVICE
