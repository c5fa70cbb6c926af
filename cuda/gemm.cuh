// What the products in bfloat16 (gemm.cu) and in float32 (gemm_float32.cu) share: which tile a block computes, the end of an element, and
// the views of a launch.
#pragma once
#include "gemm.h"
#include "reduce.cuh"

namespace siri::SIRI_DEVICE {

// What a block needs to know beside the operands.
struct Extents {
  int64_t rows, columns, depth, chunk;
  int64_t a_stride, b_stride, y_stride;
  int64_t part;  // elements between the parts that the chunks make; 0: y is the result
  bool has_bias, has_residual;
  bool aligned;  // y and residual can be moved as many elements at a time as a thread holds side by side
};

// Tile `index` of y. Eight rows of tiles make a band, column by column: what runs at one time shares rows of a and columns of b.
__device__ inline void tile_of(int64_t index, int64_t row_tiles, int64_t column_tiles, int64_t& row, int64_t& column) {
  constexpr int64_t kBand = 8;
  const int64_t first = index / (kBand * column_tiles) * kBand, inside = index % (kBand * column_tiles);
  const int64_t height = row_tiles - first < kBand ? row_tiles - first : kBand;
  row = first + inside % height;
  column = inside / height;
}

// Elements [c, c + N) of row r from their sums. residual may be y.
template <int N>
__device__ inline void finish(const Extents& e, const In<float>& bias, const Ref<const float>& residual, const Out<float>& y, int64_t r,
                              int64_t c, float (&v)[N]) {
  const int64_t left_over = e.columns - c;
  if (r >= e.rows || left_over <= 0) return;
  float more[N];
  if (e.has_bias) {
    load_floats(bias, c, left_over, false, more);
    SIRI_UNROLL
    for (int i = 0; i < N; ++i) v[i] += more[i];
  }
  if (e.has_residual) {
    load_floats(residual, r * e.y_stride + c, left_over, e.aligned, more);
    SIRI_UNROLL
    for (int i = 0; i < N; ++i) v[i] += more[i];
  }
  store_floats(y, blockIdx.z * e.part + r * e.y_stride + c, left_over, e.aligned, v);
}

// For the host. `part`: null, or where the chunks' sums go [chunks, rows, columns].

// N: elements that a thread holds side by side.
template <int N, class T>
Extents extents(const Gemm<T>& g, const float* part) {
  const auto aligned = [](const float* p, int64_t stride) { return reinterpret_cast<uintptr_t>(p) % (4 * N) == 0 && stride % N == 0; };
  Extents e{g.rows,
            g.columns,
            g.depth,
            g.chunk,
            g.a.stride,
            g.b.stride,
            g.y_stride,
            0,
            g.bias != nullptr,
            g.residual != nullptr,
            aligned(g.y, g.y_stride) && aligned(g.residual, g.y_stride)};
  if (part != nullptr) {
    e.part = g.rows * g.columns;
    e.y_stride = g.columns;
    e.has_bias = e.has_residual = false;
    e.aligned = aligned(part, g.columns);
  }
  return e;
}

template <class T>
In<T> operand_view(const Rows<T>& operand, int64_t rows, int64_t width) {
  return In<T>(operand.data, extent(rows, operand.stride, std::is_same_v<T, bf16> ? rounded_stride(width) : width));
}
template <class T>
In<T> left_view(const Gemm<T>& g) {
  return g.form == Form::kWeight ? operand_view(g.a, g.depth, g.rows) : operand_view(g.a, g.rows, g.depth);
}
template <class T>
In<T> right_view(const Gemm<T>& g) {
  return g.form == Form::kForward ? operand_view(g.b, g.columns, g.depth) : operand_view(g.b, g.depth, g.columns);
}
template <class T>
In<float> bias_view(const Gemm<T>& g, const float* part) {
  return In<float>(g.bias, part == nullptr && g.bias != nullptr ? g.columns : 0);
}
template <class T>
Ref<const float> residual_view(const Gemm<T>& g, const float* part) {
  return Ref<const float>(g.residual, part == nullptr && g.residual != nullptr ? extent(g.rows, g.y_stride, g.columns) : 0);
}
template <class T>
Out<float> result_view(const Gemm<T>& g, float* part, int64_t chunks) {
  return part == nullptr ? Out<float>(g.y, extent(g.rows, g.y_stride, g.columns)) : Out<float>(part, chunks * g.rows * g.columns);
}

}  // namespace siri::SIRI_DEVICE
