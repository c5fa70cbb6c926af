// Causal attention with grouped queries over packed sequences, forward: prefill, training and decoding in one kernel.
//   out = softmax(scale q K^T, causal) V, lse = the log-sum-exp of the scaled scores
// q, out: rows [heads, head_dim] of T, any stride; keys, values: pieces [positions, kv_heads, head_dim] of T that lie anywhere; lse [rows,
// heads] float32. T float32 or bfloat16, products in E: bfloat16 on tensor cores or float32; softmax and sums in float32. head_dim <= 128.
//
// A block has up to 64 vectors (query, head of the group) of one kv head, 16 a warp, and walks the keys in tiles of 32 with an online
// softmax (Dao 2023): scores stay in registers. At every 512th key it closes its sums: result, largest score and sum of
// exponentials are joined to those of the keys before.
//
// Which bits come out: keys are cut in tiles and parts by position alone, a tile of which a row sees nothing changes none of its bits, and
// parts are joined in order by one function. So a row's result depends on its query and its keys only, neither on the rows beside
// it, nor on the pieces the keys lie in, nor on whether one block walks all parts or one block each (join_parts then joins them): what
// was sampled one token at a time and what is trained in one piece have the same bits. On a GPU that rests on a tensor core's giving
// an element of a product the same bits in any row of a fragment.
//
// Segments of up to 64 vectors (decoding) take a block for each 512 keys, so that few sequences fill the device; where
// sequences share those keys (a prompt's pages) one block has the rows of all and reads them once. Partial results are float32, 516
// bytes a row of 128, against 256 KiB and more of keys and values.
//
// Passes over memory: q, out once; keys and values once for each block that walks them: 64 vectors in prefill, all that share in decoding.
// Floor on an H200 (4.3 TB/s, 790 TFLOP/s): decoding 256 sequences at 2,048 keys, 2 kv heads of 128 in bfloat16: 537 MB, 125 us;
// training 6 sequences of 1,300 tokens, 12 heads of 128: 31 GFLOP, 39 us. Measured: not yet (no GPU at hand).
// Tiling: 32 keys and not 64, so that two tiles, a float32 copy on its way and 64 queries fit into 99 KB (sm_86, sm_89, sm_120) and three
// blocks into an H200's multiprocessor. One warp alone decodes: its 64 products a tile take less time than its 16 KB take to arrive.
#include "attention_rows.cuh"

namespace siri::SIRI_DEVICE {
namespace {

constexpr float kNone = -INFINITY;

// What a lane keeps of the softmax of its two rows. Exponents are in base 2.
struct RowStatistics {
  float top[2] = {kNone, kNone};  // largest scaled score
  float sum[2] = {0, 0};          // of exponentials; of this lane's columns only while the part is open
};

// Scores of a tile that begins at key `at` to their exponentials; alpha: by what earlier sums shrink.
__device__ inline void softmax_tile(StreamProduct& s, int at, const int (&limit)[2], float exponent, RowStatistics& row,
                                    float (&alpha)[2]) {
  const int q = threadIdx.x % 4;
  SIRI_UNROLL
  for (int h = 0; h < 2; ++h) {
    float most = kNone;
    SIRI_UNROLL
    for (int n = 0; n < kStreamRows / 8; ++n) SIRI_UNROLL
    for (int e = 0; e < 2; ++e) {
      float& x = s[n].r[2 * h + e];
      if (at + 8 * n + 2 * q + e >= limit[h]) x = kNone;
      most = max(most, x);
    }
    const float top = max(row.top[h], row_max(most) * exponent);
    const float shift = top == kNone ? 0.0f : top;
    float part = 0;
    SIRI_UNROLL
    for (int n = 0; n < kStreamRows / 8; ++n) SIRI_UNROLL
    for (int e = 0; e < 2; ++e) {
      float& x = s[n].r[2 * h + e];
      x = fast_exp2(fmaf(x, exponent, -shift));
      part += x;
    }
    alpha[h] = fast_exp2(row.top[h] - shift);
    row.sum[h] = fmaf(row.sum[h], alpha[h], part);
    row.top[h] = top;
  }
}

// Joins the part (top, sum) to all before it; a result x of the part and y of those become joined(x, y, weights).
struct JoinWeights {
  float before = 1, part = 0;
};
__device__ inline JoinWeights join(float& all_top, float& all_sum, float top, float sum) {
  JoinWeights w;
  if (sum == 0) return w;  // the row sees nothing of this part
  const float most = max(all_top, top);
  w.before = fast_exp2(all_top - most);
  w.part = fast_exp2(top - most);
  all_sum = fmaf(sum, w.part, all_sum * w.before);
  all_top = most;
  return w;
}
__device__ inline float joined(float before, float part, const JoinWeights& w) { return fmaf(part, w.part, before * w.before); }

// The result, never -0, so that adding nothing changes no bit.
__device__ inline float normalised(float x, float inverse) { return fmaf(x, inverse, 0.0f); }
__device__ inline float log_sum(float top, float sum) { return fmaf(top, 0.69314718055994531f, logf(sum)); }

// The dynamic shared memory of a block, in bytes.
template <class T, class E, int kDim, int kWarps>
struct ForwardLayout {
  using Tiles = TileStream<T, E, kDim, 32 * kWarps>;
  static constexpr int kQueries = 16 * kWarps * kTileStride<E, kDim> * static_cast<int>(sizeof(E));
  static constexpr int kPass = kWarps * kPassing<E> * static_cast<int>(sizeof(float));
  static constexpr int kSums = 32 * kWarps * (kDim / 2) * static_cast<int>(sizeof(float));
  // Results of closed parts take the place of queries that are held in registers.
  static constexpr int kSumsAt = Tiles::kBytes + kPass + (std::is_same_v<E, bf16> ? 0 : kQueries);
  static constexpr int kQueriesAt = Tiles::kBytes + kPass;
  static constexpr int bytes(bool long_rows) { return long_rows ? max_of(kSumsAt + kSums, kQueriesAt + kQueries) : kQueriesAt + kQueries; }
  static constexpr int max_of(int a, int b) { return a < b ? b : a; }
};

// Block (i, kv head): item i. `partial`: results [partial row, kv head, dim], `statistics` the same [2].
template <class T, class E, int kDim, int kWarps>
__global__ void __launch_bounds__(32 * kWarps)
    attention_kernel(In<int32_t> items, RowTables tables, AttentionGeometry g, const T* keys, const T* values, In<T> q, Out<T> out,
                     Out<float> lse, bool with_lse, Out<float> partial, Out<float> statistics) {
  using Layout = ForwardLayout<T, E, kDim, kWarps>;
  using Tiles = typename Layout::Tiles;
  constexpr int kRows = 16 * kWarps, kThreads = 32 * kWarps;
  SIRI_SHARED(const T*, pointers, Tiles::kSlots* Tiles::kRows);
  SIRI_SHARED(int32_t, row_of, kRows);
  SIRI_SHARED(int32_t, head_of, kRows);
  SIRI_SHARED(int32_t, limit_of, kRows);
  const RowItem item = record<RowItem>(items, blockIdx.x);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const RowTable<kRows> table{row_of, head_of, limit_of};
  table.fill(tables.runs, item, g.group, kThreads);
  __syncthreads();
  const Shared<E> queries = dynamic_shared<E>(Layout::kQueriesAt, kRows * kTileStride<E, kDim>);
  load_rows<kRows, kDim, kThreads>(queries, q, table, g.q_stride, g.dim, g.aligned_queries);

  const int tiles = (item.key_end - item.key_begin + kStreamRows - 1) / kStreamRows;
  const KeyPlaces<T> places{tables, item, keys, values, g.dim, kThreads};
  Tiles stream(0, pointers, tiles, g.dim, g.aligned_keys);
  stream.start(places);

  const LeftRows<E, kDim> shared_rows{queries, warp * 16 * kTileStride<E, kDim>};
  const auto left = [&] {
    if constexpr (std::is_same_v<E, bf16>)
      return HeldRows<kDim>(shared_rows);
    else
      return shared_rows;
  }();
  const Shared<float> pass = dynamic_shared<float>(Tiles::kBytes, kWarps * kPassing<E>).slice(warp * kPassing<E>, kPassing<E>);
  const int rows[2] = {warp * 16 + lane / 4, warp * 16 + lane / 4 + 8};
  const int limit[2] = {limit_of[rows[0]], limit_of[rows[1]]};
  const int reach = warp_max(max(limit[0], limit[1]));

  RowStatistics open, closed;
  FragmentC sum[kDim / 8] = {};
  for (int i = 0; i < tiles; ++i) {
    stream.next(i, places);
    const int at = item.key_begin + i * kStreamRows;
    if (at < reach) {
      StreamProduct s;
      row_product<kDim>(s, left, stream.first(i));
      float alpha[2];
      softmax_tile(s, at, limit, g.exponent, open, alpha);
      if (alpha[0] != 1 || alpha[1] != 1) {
        SIRI_UNROLL
        for (int n = 0; n < kDim / 8; ++n) SIRI_UNROLL
        for (int e = 0; e < 4; ++e) sum[n].r[e] *= alpha[e / 2];
      }
      weighted_product<kDim>(sum, s, stream.second(i), pass);
    }
    const bool last = i + 1 == tiles;
    if (!last && (at + kStreamRows) % kSplitKeys != 0) continue;
    // The end of a part.
    JoinWeights weights[2];
    const bool first = at < item.key_begin + kSplitKeys;
    SIRI_UNROLL
    for (int h = 0; h < 2; ++h) {
      open.sum[h] = row_sum(open.sum[h]);
      if (first)
        closed.top[h] = open.top[h], closed.sum[h] = open.sum[h];
      else
        weights[h] = join(closed.top[h], closed.sum[h], open.top[h], open.sum[h]);
    }
    open = RowStatistics();
    if (first && last) break;
    const Shared<float> sums = dynamic_shared<float>(Layout::kSumsAt, kThreads * (kDim / 2));  // each thread its own
    SIRI_UNROLL
    for (int n = 0; n < kDim / 8; ++n) {
      const int place = 4 * (n * kThreads + static_cast<int>(threadIdx.x));
      if (!first) {
        const Vec<float, 4> before = load<4>(sums, place);
        SIRI_UNROLL
        for (int e = 0; e < 4; ++e) sum[n].r[e] = joined(before[e], sum[n].r[e], weights[e / 2]);
      }
      if (!last) {
        store(sums, place, Vec<float, 4>{{sum[n].r[0], sum[n].r[1], sum[n].r[2], sum[n].r[3]}});
        sum[n] = FragmentC{};
      }
    }
  }

  SIRI_UNROLL
  for (int h = 0; h < 2; ++h) {
    if (limit[h] == 0) continue;
    const int32_t row = row_of[rows[h]], head = head_of[rows[h]];
    if (item.partial >= 0) {
      const int64_t part = int64_t{item.partial + rows[h]} * gridDim.y + blockIdx.y;
      SIRI_UNROLL
      for (int n = 0; n < kDim / 8; ++n)
        store_pair(partial, part * g.dim, sum_column<E>(n), g.dim, false, sum[n].r[2 * h], sum[n].r[2 * h + 1]);
      if (lane % 4 == 0) {
        statistics[2 * part] = closed.top[h];
        statistics[2 * part + 1] = closed.sum[h];
      }
      continue;
    }
    const float inverse = 1.0f / closed.sum[h];
    SIRI_UNROLL
    for (int n = 0; n < kDim / 8; ++n)
      store_pair(out, row * g.out_stride + head * g.dim, sum_column<E>(n), g.dim, g.aligned_out, normalised(sum[n].r[2 * h], inverse),
                 normalised(sum[n].r[2 * h + 1], inverse));
    if (with_lse && lane % 4 == 0) lse[int64_t{row} * g.heads + head] = log_sum(closed.top[h], closed.sum[h]);
  }
}

constexpr int kJoinWarps = 4;

// Block (i, kv head): query i of those whose keys were cut, a warp for each head of the group.
template <class T>
__global__ void __launch_bounds__(32 * kJoinWarps)
    join_kernel(In<int32_t> queries, In<int32_t> parts, In<float> partial, In<float> statistics, AttentionGeometry g, Out<T> out,
                Out<float> lse, bool with_lse) {
  constexpr int kColumns = kMostHeadDim / 32;
  const CutQuery query = record<CutQuery>(queries, blockIdx.x);
  const int lane = threadIdx.x % 32;
  for (int h = threadIdx.x / 32; h < g.group; h += kJoinWarps) {
    float top = kNone, total = 0, sum[kColumns] = {};
    for (int i = 0; i < query.parts; ++i) {
      const int64_t part = int64_t{parts[query.begin + i] + query.vector + h} * gridDim.y + blockIdx.y;
      const float part_top = statistics[2 * part], part_sum = statistics[2 * part + 1];
      JoinWeights weights;
      if (i == 0)
        top = part_top, total = part_sum;
      else
        weights = join(top, total, part_top, part_sum);
      SIRI_UNROLL
      for (int c = 0; c < kColumns; ++c) {
        const int d = lane + 32 * c;
        if (d >= g.dim) continue;
        const float x = partial[part * g.dim + d];
        sum[c] = i == 0 ? x : joined(sum[c], x, weights);
      }
    }
    const int head = blockIdx.y * g.group + h;
    const float inverse = 1.0f / total;
    SIRI_UNROLL
    for (int c = 0; c < kColumns; ++c) {
      const int d = lane + 32 * c;
      if (d < g.dim) out[query.row * g.out_stride + head * g.dim + d] = from_float<T>(normalised(sum[c], inverse));
    }
    if (with_lse && lane == 0) lse[int64_t{query.row} * g.heads + head] = log_sum(top, total);
  }
}

template <class T, class E, int kDim>
void forward(Device& device, const T* q, const RowWork& work, const FirstPlaces<T>& first, const AttentionGeometry& g, int64_t kv_heads,
             T* out, float* lse) {
  constexpr int kWide = kWideRows<E> / 16;
  const int64_t width = int64_t{g.heads} * g.dim, rows = work.query_rows, parts = work.partial_rows * kv_heads;
  const In<T> queries(q, extent(rows, g.q_stride, width));
  const Out<T> result(out, extent(rows, g.out_stride, width));
  const Out<float> sums(lse, lse == nullptr ? 0 : rows * g.heads);
  float *partial = device.take<float>(parts * g.dim), *statistics = device.take<float>(parts * 2);
  const auto y = static_cast<uint32_t>(kv_heads);
  const auto run = [&](uint32_t count, const In<int32_t>& items, auto warps, bool long_rows) {
    constexpr int kWarps = decltype(warps)::value;
    launch(device.stream(), "attention",
           {{count, y}, {32 * kWarps}, static_cast<size_t>(ForwardLayout<T, E, kDim, kWarps>::bytes(long_rows))},
           attention_kernel<T, E, kDim, kWarps>, items, work.tables, g, first.keys, first.values, queries, result, sums, lse != nullptr,
           Out<float>(partial, parts * g.dim), Out<float>(statistics, parts * 2));
  };
  run(work.wide_items, work.wide, std::integral_constant<int, kWide>(), work.long_rows);
  run(work.narrow_items, work.narrow, std::integral_constant<int, kNarrowRows / 16>(), false);
  launch(device.stream(), "attention_join", {{work.cut_queries, y}, {32 * kJoinWarps}}, join_kernel<T>, work.cut, work.parts,
         In<float>(partial, parts * g.dim), In<float>(statistics, parts * 2), g, result, sums, lse != nullptr);
}

}  // namespace

template <class T, class E>
void attention(AttentionPlans<T>& plans, const T* q, int64_t q_stride, const AttentionSegmentOf<T>* host_segments, int64_t count,
               const AttentionShape& shape, T* out, int64_t out_stride, float* lse) {
  const auto& plan = plans.forward(host_segments, count, sizes_of<T, E>(shape));
  const AttentionGeometry g = geometry(plan.rows, plan.first, q, q_stride, out, out_stride, shape);
  at_dim(shape.head_dim,
         [&](auto dim) { forward<T, E, decltype(dim)::value>(plans.device(), q, plan.rows, plan.first, g, shape.kv_heads, out, lse); });
}

template void attention<float, float>(AttentionPlans<float>&, const float*, int64_t, const AttentionSegment*, int64_t,
                                      const AttentionShape&, float*, int64_t, float*);
template void attention<float, bf16>(AttentionPlans<float>&, const float*, int64_t, const AttentionSegment*, int64_t, const AttentionShape&,
                                     float*, int64_t, float*);
template void attention<bf16, bf16>(AttentionPlans<bf16>&, const bf16*, int64_t, const AttentionSegmentOf<bf16>*, int64_t,
                                    const AttentionShape&, bf16*, int64_t, float*);

}  // namespace siri::SIRI_DEVICE
