// Rows copied by index, and the gradients of that.
//   embed, gather_rows: y[i, :] = x[index[i], :];  scatter_add_rows: x[index[i], :] += y[i, :] (indices distinct)
//   sum_rows: y[i, :] = sum of x[index[k], :] over k in [starts[i], starts[i + 1]), in order
//   store_rows: rows[i][:] = x[i, :];  embed_backward: dtable[tokens[i], :] += dx[i, :], rows in order
// Rows of `width` T (float32 or bfloat16); dtable float32.
//
// Passes over memory: one; copies move 8 bytes an element in float32, the additions 12.
// Floor on an H200 (4.3 TB/s), 16384 rows of 1536 in float32: copy 47 us, addition 70 us. Measured: not yet (no GPU at hand).
// Tiling: a warp per row, 16 bytes a lane. sum_rows and embed_backward: the host lists the rows of each sum (for tokens: linear, no sort),
// a warp adds them in their order for 128 columns: no atomics, the same bits each time. A token in a large share of all rows makes one long
// list; its 128-column slices run side by side, its rows do not.
#include <algorithm>
#include <unordered_map>
#include <vector>

#include "ops.h"
#include "reduce.cuh"

namespace siri::SIRI_DEVICE {
namespace {

constexpr int kThreads = 256;
constexpr int kRows = kThreads / 32;  // of a block

template <class T>
__global__ void __launch_bounds__(kThreads) gather_kernel(In<T> x, In<int32_t> index, int64_t n, int64_t width, Out<T> y, bool aligned) {
  constexpr int K = kChunk<T>;
  const int64_t row = int64_t{blockIdx.x} * kRows + threadIdx.x / 32;
  if (row >= n) return;
  const int64_t from = index[row];
  float v[K];
  for (int64_t c = threadIdx.x % 32 * K; c < width; c += 32 * K) {
    load_floats(x, from * width + c, width - c, aligned, v);
    store_floats(y, row * width + c, width - c, aligned, v);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    scatter_add_kernel(In<T> y, In<int32_t> index, int64_t n, int64_t width, Ref<T> x, bool aligned) {
  constexpr int K = kChunk<T>;
  const int64_t row = int64_t{blockIdx.x} * kRows + threadIdx.x / 32;
  if (row >= n) return;
  const int64_t to = index[row];
  float v[K], sum[K];
  for (int64_t c = threadIdx.x % 32 * K; c < width; c += 32 * K) {
    load_floats(y, row * width + c, width - c, aligned, v);
    load_floats(x, to * width + c, width - c, aligned, sum);
    for (int k = 0; k < K; ++k) sum[k] += v[k];
    store_floats(x, to * width + c, width - c, aligned, sum);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    store_rows_kernel(In<T> x, int64_t x_stride, int64_t n, int64_t width, In<T*> rows, bool aligned) {
  constexpr int K = kChunk<T>;
  const int64_t row = int64_t{blockIdx.x} * kRows + threadIdx.x / 32;
  if (row >= n) return;
  const Out<T> to(rows[row], width);
  float v[K];
  for (int64_t c = threadIdx.x % 32 * K; c < width; c += 32 * K) {
    load_floats(x, row * x_stride + c, width - c, aligned, v);
    store_floats(to, c, width - c, aligned, v);
  }
}

// Warp (i, s): columns [128 s, 128 s + 128) of the sum of x's rows listed in [begin[i], begin[i + 1]), in order; kAdd adds them to
// row target[i] of y, else they are row i of it.
template <class T, class Y, bool kAdd>
__global__ void __launch_bounds__(kThreads)
    sum_rows_kernel(In<T> x, In<int32_t> row, In<int64_t> begin, In<int32_t> target, int64_t n, int64_t width, Ref<Y> y, bool aligned) {
  const int64_t i = int64_t{blockIdx.x} * kRows + threadIdx.x / 32;
  const int64_t c = blockIdx.y * 128 + threadIdx.x % 32 * 4;
  if (i >= n || c >= width) return;
  float sum[4] = {0, 0, 0, 0}, v[4];
  int64_t at = i * width + c;
  if constexpr (kAdd) {
    at = target[i] * width + c;
    load_floats(y, at, width - c, aligned, sum);
  }
  const int64_t end = begin[i + 1];
  for (int64_t r = begin[i]; r < end; ++r) {
    load_floats(x, row[r] * width + c, width - c, aligned, v);
    for (int k = 0; k < 4; ++k) sum[k] += v[k];
  }
  store_floats(y, at, width - c, aligned, sum);
}

// The tokens that occur, in order of their first row, with the rows of each.
struct TokenRows {
  std::vector<int32_t> token, row;
  std::vector<int64_t> begin;
};

TokenRows rows_by_token(const int32_t* tokens, int64_t n) {
  TokenRows lists;
  std::unordered_map<int32_t, int32_t> place;
  std::vector<int32_t> list_of(n), count;
  for (int64_t i = 0; i < n; ++i) {
    const auto [it, fresh] = place.try_emplace(tokens[i], static_cast<int32_t>(count.size()));
    if (fresh) {
      lists.token.push_back(tokens[i]);
      count.push_back(0);
    }
    list_of[i] = it->second;
    ++count[list_of[i]];
  }
  lists.begin.assign(1, 0);
  for (int32_t c : count) lists.begin.push_back(lists.begin.back() + c);
  std::vector<int64_t> next(lists.begin.begin(), lists.begin.end() - 1);
  lists.row.resize(n);
  for (int64_t i = 0; i < n; ++i) lists.row[next[list_of[i]]++] = static_cast<int32_t>(i);
  return lists;
}

// Rows of a table that the indices reach.
int64_t rows_reached(const int32_t* index, int64_t n) { return n == 0 ? 0 : int64_t{*std::max_element(index, index + n)} + 1; }

}  // namespace

template <class T>
void gather_rows(Device& device, const T* x, const int32_t* host_index, int64_t n, int64_t width, T* y) {
  launch(device.stream(), "gather", {{blocks_for(n, kRows)}, {kThreads}}, gather_kernel<T>, In<T>(x, rows_reached(host_index, n) * width),
         In<int32_t>(device.stage(host_index, n), n), n, width, Out<T>(y, n * width), rows_aligned(x, width) && rows_aligned(y, width));
}

template <class T>
void embed(Device& device, const int32_t* host_tokens, int64_t n, const T* table, int64_t width, T* x) {
  gather_rows(device, table, host_tokens, n, width, x);
}

template <class T>
void scatter_add_rows(Device& device, const T* y, const int32_t* host_index, int64_t n, int64_t width, T* x) {
  launch(device.stream(), "scatter_add", {{blocks_for(n, kRows)}, {kThreads}}, scatter_add_kernel<T>, In<T>(y, n * width),
         In<int32_t>(device.stage(host_index, n), n), n, width, Ref<T>(x, rows_reached(host_index, n) * width),
         rows_aligned(x, width) && rows_aligned(y, width));
}

template <class T>
void store_rows(Device& device, const T* x, int64_t x_stride, int64_t n, int64_t width, T* const* host_rows) {
  bool aligned = rows_aligned(x, x_stride);
  for (int64_t i = 0; i < n; ++i) aligned = aligned && rows_aligned(host_rows[i], 0);
  launch(device.stream(), "store_rows", {{blocks_for(n, kRows)}, {kThreads}}, store_rows_kernel<T>, In<T>(x, extent(n, x_stride, width)),
         x_stride, n, width, In<T*>(device.stage(host_rows, n), n), aligned);
}

template <class T>
void embed_backward(Device& device, const int32_t* host_tokens, int64_t n, const T* dx, int64_t width, float* dtable) {
  if (n == 0) return;
  const TokenRows lists = rows_by_token(host_tokens, n);
  const int64_t tokens = static_cast<int64_t>(lists.token.size());
  launch(device.stream(), "embed_backward", {{blocks_for(tokens, kRows), blocks_for(width, 128)}, {kThreads}},
         sum_rows_kernel<T, float, true>, In<T>(dx, n * width), In<int32_t>(device.stage(lists.row.data(), n), n),
         In<int64_t>(device.stage(lists.begin.data(), tokens + 1), tokens + 1),
         In<int32_t>(device.stage(lists.token.data(), tokens), tokens), tokens, width,
         Ref<float>(dtable, rows_reached(host_tokens, n) * width), rows_aligned(dx, width) && rows_aligned(dtable, width));
}

template <class T>
void sum_rows(Device& device, const T* x, const int32_t* host_index, const int64_t* host_starts, int64_t n, int64_t width, T* y) {
  if (n == 0) return;
  const int64_t listed = host_starts[n];
  launch(device.stream(), "sum_rows", {{blocks_for(n, kRows), blocks_for(width, 128)}, {kThreads}}, sum_rows_kernel<T, T, false>,
         In<T>(x, rows_reached(host_index, listed) * width), In<int32_t>(device.stage(host_index, listed), listed),
         In<int64_t>(device.stage(host_starts, n + 1), n + 1), In<int32_t>(), n, width, Ref<T>(y, n * width),
         rows_aligned(x, width) && rows_aligned(y, width));
}

#define SIRI_INSTANTIATE(T)                                                                        \
  template void embed(Device&, const int32_t*, int64_t, const T*, int64_t, T*);                    \
  template void embed_backward(Device&, const int32_t*, int64_t, const T*, int64_t, float*);       \
  template void gather_rows(Device&, const T*, const int32_t*, int64_t, int64_t, T*);              \
  template void sum_rows(Device&, const T*, const int32_t*, const int64_t*, int64_t, int64_t, T*); \
  template void scatter_add_rows(Device&, const T*, const int32_t*, int64_t, int64_t, T*);         \
  template void store_rows(Device&, const T*, int64_t, int64_t, int64_t, T* const*);
SIRI_INSTANTIATE(float)
SIRI_INSTANTIATE(bf16)

}  // namespace siri::SIRI_DEVICE
