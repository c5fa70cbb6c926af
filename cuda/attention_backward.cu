// Causal attention with grouped queries, backward. With P = exp(scale q K^T - lse), the softmax:
//   dV = P^T dout;  dP = dout V^T;  dS = scale P (dP - delta), delta = the row sums of dout * out;  dq = dS K;  dK = dS^T q
// Shapes, types and pieces: attention.cu; dq rows [heads, head_dim] of T is written, dk and dv, piece by piece, are +=.
//
// Two kernels. Of the queries: a block walks the keys of up to 64 vectors as the forward pass does and writes dq, and for the other
// kernel delta and the reciprocal of the sum of P: lse was rounded to float32, which takes 1e-5 of P where scores reach 100, and the
// reciprocal makes up for it. Of the keys: a block has up to 64 keys of one piece, 16 a warp, holds their dK and dV in registers and walks
// 32 vectors at a time all queries that see them, segment by segment: every sum has one block, no atomics, the same order each time.
//
// Passes over memory: q, dout twice and out once, keys and values once for each block of queries, which are in the second-level cache.
// Floor on an H200 (790 TFLOP/s), 6 sequences of 1,300 tokens, 12 heads of 128: 2.5 times the forward pass, 97 us (we multiply seven times
// where five would do: 136). Measured: not yet (no GPU at hand).
// Tiling: two kernels take S and dP twice. One kernel would have to add dq with atomics, in no order, or to keep it for each block of
// keys. K and V of a block's own keys are read from shared memory: held in registers beside dK and dV they would not fit.
#include "attention_rows.cuh"

namespace siri::SIRI_DEVICE {
namespace {

constexpr float kLog2E = 1.4426950408889634f;

// What the kernel of the queries leaves for that of the keys, a vector [rows, heads].
struct VectorStatistics {
  float inverse;  // 1 / sum of P
  float delta;
};

// The scores of a tile to P, and dP to dS / scale.
__device__ inline float probability(float score, float exponent, float shift, bool seen) {
  return seen ? fast_exp2(fmaf(score, exponent, -shift)) : 0.0f;
}

// The dynamic shared memory of both kernels: the stream, the warps' passing rows, two tiles of the block's own rows.
template <class T, class E, int kDim, int kWarps>
struct BackwardLayout {
  using Tiles = TileStream<T, E, kDim, 32 * kWarps>;
  static constexpr int kOwn = 16 * kWarps * kTileStride<E, kDim>;
  static constexpr int kPassAt = Tiles::kBytes;
  static constexpr int kOwnAt = kPassAt + kWarps * kPassing<E> * static_cast<int>(sizeof(float));
  static constexpr int kBytes = kOwnAt + 2 * kOwn * static_cast<int>(sizeof(E));

  __device__ static Shared<E> own(int i) { return dynamic_shared<E>(kOwnAt + i * kOwn * static_cast<int>(sizeof(E)), kOwn); }
  __device__ static Shared<float> pass(int warp) {
    return dynamic_shared<float>(kPassAt, kWarps * kPassing<E>).slice(warp * kPassing<E>, kPassing<E>);
  }
};

// Block (i, kv head): item i.
template <class T, class E, int kDim, int kWarps>
__global__ void __launch_bounds__(32 * kWarps)
    query_gradient_kernel(In<int32_t> items, RowTables tables, AttentionGeometry g, const T* keys, const T* values, In<T> q, In<T> out,
                          In<T> dout, In<float> lse, Out<T> dq, int64_t dq_stride, bool aligned_dq, Out<float> statistics) {
  using Layout = BackwardLayout<T, E, kDim, kWarps>;
  using Tiles = typename Layout::Tiles;
  constexpr int kRows = 16 * kWarps, kThreads = 32 * kWarps;
  SIRI_SHARED(const T*, pointers, Tiles::kSlots* Tiles::kRows);
  SIRI_SHARED(int32_t, row_of, kRows);
  SIRI_SHARED(int32_t, head_of, kRows);
  SIRI_SHARED(int32_t, limit_of, kRows);
  SIRI_SHARED(float, delta_of, kRows);
  const RowItem item = record<RowItem>(items, blockIdx.x);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const RowTable<kRows> table{row_of, head_of, limit_of};
  table.fill(tables.runs, item, g.group, kThreads);
  __syncthreads();
  load_rows<kRows, kDim, kThreads>(Layout::own(0), q, table, g.q_stride, g.dim, g.aligned_queries);
  load_rows<kRows, kDim, kThreads>(Layout::own(1), dout, table, g.out_stride, g.dim, g.aligned_out);
  for (int r = warp * 16; r < warp * 16 + 16; ++r) {
    float delta = 0;
    const int32_t seen = limit_of[r];
    if (seen > 0) {
      const int32_t row = row_of[r], head = head_of[r];
      const int64_t at = row * g.out_stride + head * g.dim;
      for (int d = lane; d < g.dim; d += 32) delta = fmaf(to_float(out[at + d]), to_float(dout[at + d]), delta);
    }
    delta = warp_sum(delta);
    if (lane == 0) delta_of[r] = delta;
  }

  const int tiles = (item.key_end + kStreamRows - 1) / kStreamRows;
  const KeyPlaces<T> places{tables, item, keys, values, g.dim, kThreads};
  Tiles stream(0, pointers, tiles, g.dim, g.aligned_keys);
  stream.start(places);

  const LeftRows<E, kDim> queries{Layout::own(0), warp * 16 * kTileStride<E, kDim>};
  const LeftRows<E, kDim> gradients{Layout::own(1), warp * 16 * kTileStride<E, kDim>};
  const int rows[2] = {warp * 16 + lane / 4, warp * 16 + lane / 4 + 8};
  const int limit[2] = {limit_of[rows[0]], limit_of[rows[1]]};
  const int reach = warp_max(max(limit[0], limit[1]));
  float shift[2] = {0, 0}, total[2] = {0, 0};
  SIRI_UNROLL
  for (int h = 0; h < 2; ++h)
    if (limit[h] > 0) {
      const int32_t row = row_of[rows[h]], head = head_of[rows[h]];
      shift[h] = lse[int64_t{row} * g.heads + head] * kLog2E;
    }

  FragmentC sum[kDim / 8] = {};
  for (int i = 0; i < tiles; ++i) {
    stream.next(i, places);
    const int at = i * kStreamRows;
    if (at >= reach) continue;
    StreamProduct s, dp;
    row_product<kDim>(s, queries, stream.first(i));
    row_product<kDim>(dp, gradients, stream.second(i));
    const float delta[2] = {delta_of[rows[0]], delta_of[rows[1]]};  // not held: registers are short
    SIRI_UNROLL
    for (int n = 0; n < kStreamRows / 8; ++n) SIRI_UNROLL
    for (int e = 0; e < 4; ++e) {
      const int h = e / 2;
      const float p = probability(s[n].r[e], g.exponent, shift[h], at + 8 * n + 2 * (lane % 4) + e % 2 < limit[h]);
      total[h] += p;
      s[n].r[e] = p * (dp[n].r[e] - delta[h]);
    }
    weighted_product<kDim>(sum, s, stream.first(i), Layout::pass(warp));
  }

  SIRI_UNROLL
  for (int h = 0; h < 2; ++h) {
    const float inverse = 1.0f / row_sum(total[h]);
    if (limit[h] == 0) continue;
    const int32_t row = row_of[rows[h]], head = head_of[rows[h]];
    const float factor = g.scale * inverse, delta = delta_of[rows[h]];
    SIRI_UNROLL
    for (int n = 0; n < kDim / 8; ++n)
      store_pair(dq, row * dq_stride + head * g.dim, sum_column<E>(n), g.dim, aligned_dq, factor * sum[n].r[2 * h],
                 factor * sum[n].r[2 * h + 1]);
    if (lane % 4 == 0) store(statistics, 2 * (int64_t{row} * g.heads + head), Vec<float, 2>{{inverse, delta}});
  }
}

// The queries that see an item's keys, in tiles of kStreamRows vectors: the `locate` of the stream of q and dout. Also what the
// softmax of each vector needs.
template <class T>
struct QueryPlaces {
  static constexpr int kSlots = 3;  // one is read while the stream is two ahead
  const In<int32_t>& runs;
  const KeyItem& item;
  const AttentionGeometry& g;
  const In<T>&q, &dout;
  const In<float>&lse, &statistics;
  Shared<int32_t> limit;                // [kSlots * kStreamRows]
  Shared<float> shift, inverse, delta;  // the same
  int threads;
  int run, vector;  // of the tile that is located next

  // Vector of a run from which on queries see the item's first key.
  __device__ int first(const QueryRun& r) const { return max(item.position - r.before, 0) * g.group; }

  __device__ int count() const {
    int tiles = 0;
    for (int i = 0; i < item.runs; ++i) {
      const QueryRun r = record<QueryRun>(runs, item.run + i);
      tiles += max(r.count * g.group - first(r) + kStreamRows - 1, 0) / kStreamRows;
    }
    return tiles;
  }
  // To the first run that has vectors.
  __device__ void begin() {
    run = 0;
    vector = 0;
    seek();
  }
  __device__ void seek() {
    for (; run < item.runs; ++run) {
      const QueryRun r = record<QueryRun>(runs, item.run + run);
      vector = max(vector, first(r));
      if (vector < r.count * g.group) return;
      vector = 0;
    }
  }
  __device__ void operator()(int tile, const Shared<const T*>& pointers) {
    const QueryRun r = record<QueryRun>(runs, item.run + run);
    for (int i = threadIdx.x; i < kStreamRows; i += threads) {
      const int v = vector + i, slot = tile % kSlots * kStreamRows + i;
      const T *query = nullptr, *gradient = nullptr;
      limit[slot] = 0;
      if (v < r.count * g.group) {
        const int64_t row = r.row + v / g.group, head = blockIdx.y * g.group + v % g.group, at = row * g.heads + head;
        query = q.data() + row * g.q_stride + head * g.dim;
        gradient = dout.data() + row * g.out_stride + head * g.dim;
        const Vec<float, 2> known = load<2>(statistics, 2 * at);
        const float sum = lse[at];
        limit[slot] = r.before + v / g.group + 1;
        shift[slot] = sum * kLog2E;
        inverse[slot] = known[0];
        delta[slot] = known[1];
      }
      pointers[i] = query;
      pointers[kStreamRows + i] = gradient;
    }
    vector += kStreamRows;
    seek();
  }
};

// Block (i, kv head): item i. offsets [., 2]: of a piece's keys and values; key_sums, value_sums [.]: of where their
// gradients are added.
template <class T, class E, int kDim, int kWarps>
__global__ void __launch_bounds__(32 * kWarps)
    key_gradient_kernel(In<int32_t> items, In<int32_t> runs, AttentionGeometry g, In<T> q, In<T> dout, In<float> lse, In<float> statistics,
                        In<int64_t> offsets, In<int64_t> key_sums, In<int64_t> value_sums, FirstPlaces<T> first, int64_t sum_stride,
                        bool aligned_sums) {
  using Layout = BackwardLayout<T, E, kDim, kWarps>;
  using Tiles = typename Layout::Tiles;
  using Places = QueryPlaces<T>;
  constexpr int kRows = 16 * kWarps, kThreads = 32 * kWarps, kStride = kTileStride<E, kDim>, kEntries = Places::kSlots * kStreamRows;
  SIRI_SHARED(const T*, pointers, Tiles::kSlots* Tiles::kRows);
  SIRI_SHARED(int32_t, limit, kEntries);
  SIRI_SHARED(float, shift, kEntries);
  SIRI_SHARED(float, inverse, kEntries);
  SIRI_SHARED(float, delta, kEntries);
  const KeyItem item = record<KeyItem>(items, blockIdx.x);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int i = 0; i < 2; ++i) {
    const int64_t offset = offsets[2 * item.piece + i];
    const T* piece = (i == 0 ? first.keys : first.values) + offset;
    const int stride = i == 0 ? item.key_stride : item.value_stride;
    for (int c = threadIdx.x; c < kRows * (kDim / kChunk<T>); c += kThreads) {
      const int r = c / (kDim / kChunk<T>), d = c % (kDim / kChunk<T>)*kChunk<T>;
      float from[kChunk<T>] = {};
      if (r < item.count) {
        const In<T> row(piece + int64_t{item.begin + r} * stride + blockIdx.y * g.dim, g.dim);
        load_floats(row, d, g.dim - d, g.aligned_keys, from);
      }
      Vec<E, kChunk<T>> v;
      for (int k = 0; k < kChunk<T>; ++k) v[k] = from_float<E>(from[k]);
      store(Layout::own(i), r * kStride + d, v);
    }
  }
  Places places{runs, item, g, q, dout, lse, statistics, limit, shift, inverse, delta, kThreads, 0, 0};
  const int tiles = places.count();
  places.begin();
  Tiles stream(0, pointers, tiles, g.dim, g.aligned_queries && g.aligned_out);
  stream.start(places);

  const LeftRows<E, kDim> keys{Layout::own(0), warp * 16 * kStride}, values{Layout::own(1), warp * 16 * kStride};
  const int row = warp * 16 + lane / 4;  // and row + 8
  FragmentC dk[kDim / 8] = {}, dv[kDim / 8] = {};
  for (int i = 0; i < tiles; ++i) {
    stream.next(i, places);
    if (warp * 16 >= item.count) continue;
    const int slot = i % Places::kSlots * kStreamRows;
    StreamProduct p, ds;
    row_product<kDim>(p, keys, stream.first(i));
    row_product<kDim>(ds, values, stream.second(i));
    SIRI_UNROLL
    for (int n = 0; n < kStreamRows / 8; ++n) SIRI_UNROLL
    for (int e = 0; e < 2; ++e) {
      const int column = slot + 8 * n + 2 * (lane % 4) + e;
      const int32_t seen = limit[column];
      if (seen == 0) {
        p[n].r[e] = p[n].r[2 + e] = ds[n].r[e] = ds[n].r[2 + e] = 0;
        continue;
      }
      const float from = shift[column], by = inverse[column], mean = delta[column];
      SIRI_UNROLL
      for (int h = 0; h < 2; ++h) {
        float &x = p[n].r[2 * h + e], &y = ds[n].r[2 * h + e];
        x = by * probability(x, g.exponent, from, item.position + row + 8 * h < seen);
        y = x * (y - mean);
      }
    }
    weighted_product<kDim>(dv, p, stream.second(i), Layout::pass(warp));
    if constexpr (kPassing<E> > 0) __syncwarp();
    weighted_product<kDim>(dk, ds, stream.first(i), Layout::pass(warp));
  }

  const auto add = [&](const FragmentC(&sum)[kDim / 8], T* piece, int64_t offset, float factor) {
    SIRI_UNROLL
    for (int h = 0; h < 2; ++h) {
      if (row + 8 * h >= item.count) continue;
      const Ref<T> to(piece + offset + int64_t{item.begin + row + 8 * h} * sum_stride + blockIdx.y * g.dim, g.dim);
      SIRI_UNROLL
      for (int n = 0; n < kDim / 8; ++n)
        add_pair(to, sum_column<E>(n), g.dim, aligned_sums, factor * sum[n].r[2 * h], factor * sum[n].r[2 * h + 1]);
    }
  };
  add(dk, first.key_sums, key_sums[item.piece], g.scale);
  add(dv, first.value_sums, value_sums[item.piece], 1.0f);
}

template <class T, class E, int kDim>
void backward(Device& device, const T* q, const T* out, const T* dout, const float* lse, const RowWork& rows, const KeyWork& keys,
              const FirstPlaces<T>& first, const AttentionGeometry& g, int64_t kv_heads, T* dq, int64_t dq_stride, int64_t kv_stride) {
  constexpr int kWarps = kWideRows<E> / 16;
  using Layout = BackwardLayout<T, E, kDim, kWarps>;
  const int64_t width = int64_t{g.heads} * g.dim, n = rows.query_rows;
  const In<T> queries(q, extent(n, g.q_stride, width)), gradients(dout, extent(n, g.out_stride, width));
  float* statistics = device.take<float>(2 * n * g.heads);
  const bool chunks = g.dim % kChunk<T> == 0;
  const auto y = static_cast<uint32_t>(kv_heads);
  launch(device.stream(), "attention_query_gradient", {{rows.wide_items, y}, {32 * kWarps}, size_t{Layout::kBytes}},
         query_gradient_kernel<T, E, kDim, kWarps>, rows.wide, rows.tables, g, first.keys, first.values, queries,
         In<T>(out, extent(n, g.out_stride, width)), gradients, In<float>(lse, n * g.heads), Out<T>(dq, extent(n, dq_stride, width)),
         dq_stride, chunks && rows_aligned(dq, dq_stride), Out<float>(statistics, 2 * n * g.heads));
  launch(device.stream(), "attention_key_gradient", {{keys.count, y}, {32 * kWarps}, size_t{Layout::kBytes}},
         key_gradient_kernel<T, E, kDim, kWarps>, keys.items, keys.runs, g, queries, gradients, In<float>(lse, n * g.heads),
         In<float>(statistics, 2 * n * g.heads), keys.offsets, keys.key_sums, keys.value_sums, first, kv_stride,
         chunks && keys.aligned_sums && rows_aligned(first.key_sums, kv_stride) && rows_aligned(first.value_sums, kv_stride));
}

}  // namespace

template <class T, class E>
void attention_backward(AttentionPlans<T>& plans, const T* q, int64_t q_stride, const T* out, const T* dout, int64_t out_stride,
                        const float* lse, const AttentionSegmentOf<T>* host_segments, int64_t count, const AttentionShape& shape, T* dq,
                        int64_t dq_stride, const KvGradientsOf<T>* host_gradients, int64_t kv_stride) {
  const auto& plan = plans.backward(host_segments, count, host_gradients, sizes_of<T, E>(shape));
  const AttentionGeometry g = geometry(plan.rows, plan.first, q, q_stride, dout, out_stride, shape);
  at_dim(shape.head_dim, [&](auto dim) {
    backward<T, E, decltype(dim)::value>(plans.device(), q, out, dout, lse, plan.rows, plan.keys, plan.first, g, shape.kv_heads, dq,
                                         dq_stride, kv_stride);
  });
}

template void attention_backward<float, float>(AttentionPlans<float>&, const float*, int64_t, const float*, const float*, int64_t,
                                               const float*, const AttentionSegment*, int64_t, const AttentionShape&, float*, int64_t,
                                               const KvGradients*, int64_t);
template void attention_backward<float, bf16>(AttentionPlans<float>&, const float*, int64_t, const float*, const float*, int64_t,
                                              const float*, const AttentionSegment*, int64_t, const AttentionShape&, float*, int64_t,
                                              const KvGradients*, int64_t);
template void attention_backward<bf16, bf16>(AttentionPlans<bf16>&, const bf16*, int64_t, const bf16*, const bf16*, int64_t, const float*,
                                             const AttentionSegmentOf<bf16>*, int64_t, const AttentionShape&, bf16*, int64_t,
                                             const KvGradientsOf<bf16>*, int64_t);

}  // namespace siri::SIRI_DEVICE
