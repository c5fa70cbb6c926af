// Rotary positions (Su 2021) in the layout of Hugging Face: pairs (d, d + head_dim / 2) of every head are turned by an angle of the
// row's position, in place.
//   (a, b) -> (a cos - b sin, b cos + a sin);  inverse, the gradient: sin is negated
// x: n rows of `heads` heads of T, row_stride elements apart; cos, sin [positions, head_dim / 2] float32; arithmetic in float32.
//
// Passes over memory: one, read and written; the tables' rows come from the cache after the first head.
// Floor on an H200 (4.3 TB/s), 8192 rows of 12 heads of 128 in bfloat16: 50 MB, 12 us. Measured: not yet (no GPU at hand).
// Tiling: a thread turns 16 bytes of each half; nothing is shared.
#include "ops.h"
#include "reduce.cuh"

namespace siri::SIRI_DEVICE {
namespace {

constexpr int kThreads = 256;

// Thread i of the grid: chunk i % chunks of the halves of head i / chunks, counted through all rows.
template <class T>
__global__ void __launch_bounds__(kThreads) rope_kernel(Ref<T> x, int64_t stride, int64_t n, int64_t heads, int64_t dim, int64_t chunks,
                                                        In<int32_t> positions, In<float> cos, In<float> sin, bool inverse, bool aligned) {
  constexpr int K = kChunk<T>;
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n * heads * chunks) return;
  const int64_t half = dim / 2, d = i % chunks * K, head = i / chunks % heads, row = i / chunks / heads;
  const int64_t at = row * stride + head * dim + d, left = half - d;
  const int32_t position = positions[row];
  float a[K], b[K], c[K], s[K];
  load_floats(x, at, left, aligned, a);
  load_floats(x, at + half, left, aligned, b);
  load_floats(cos, position * half + d, left, aligned, c);
  load_floats(sin, position * half + d, left, aligned, s);
  for (int k = 0; k < K; ++k) {
    const float turn = inverse ? -s[k] : s[k], low = a[k];
    a[k] = low * c[k] - b[k] * turn;
    b[k] = b[k] * c[k] + low * turn;
  }
  store_floats(x, at, left, aligned, a);
  store_floats(x, at + half, left, aligned, b);
}

}  // namespace

template <class T>
void rope(Device& device, T* x, int64_t row_stride, int64_t n, int64_t heads, int64_t head_dim, const int32_t* host_positions,
          const float* cos, const float* sin, bool inverse) {
  const int64_t half = head_dim / 2, chunks = blocks_for(half, kChunk<T>);
  int64_t table = 0;
  for (int64_t i = 0; i < n; ++i) table = host_positions[i] >= table ? host_positions[i] + 1 : table;
  const bool aligned = rows_aligned(x, row_stride) && half % kChunk<T> == 0 && rows_aligned(cos, half) && rows_aligned(sin, half);
  launch(device.stream(), "rope", {{blocks_for(n * heads * chunks, kThreads)}, {kThreads}}, rope_kernel<T>,
         Ref<T>(x, extent(n, row_stride, heads * head_dim)), row_stride, n, heads, head_dim, chunks,
         In<int32_t>(device.stage(host_positions, n), n), In<float>(cos, table * half), In<float>(sin, table * half), inverse, aligned);
}

template void rope(Device&, float*, int64_t, int64_t, int64_t, int64_t, const int32_t*, const float*, const float*, bool);
template void rope(Device&, bf16*, int64_t, int64_t, int64_t, int64_t, const int32_t*, const float*, const float*, bool);

}  // namespace siri::SIRI_DEVICE
