// Causal attention, forward and backward, for the query heads of one kv head of one segment.
//
// Queries are taken as vectors v = query * group + head (group = query heads per kv head), so that all heads of a group share
// one pass over keys and values. Work is done on register tiles of kTile vectors.
//   forward   K of the chunk's prefix is transposed once into panels [key / W][head_dim][W]; per tile: scores [vectors, keys]
//             into scratch, exact maximum, exponentials and their sum, weighted sum over V. Two passes over a score row that
//             stays in the first-level cache up to about 1,000 keys.
//   backward  probabilities are recomputed from lse; per 4 tiles: P and dS into scratch, dq from dS K, then dV += P^T dout and
//             dK += dS^T q with the accumulators in registers.
//
// Which bits come out: a score is one fma chain over head_dim; the sum of a row has lanes by absolute key index; out is one
// fma chain over keys in ascending order, stopped at the row's own last key. So a row's result depends on its query and the
// keys and values before it, not on its tile, its chunk, the blocks the cache is cut in, or threads. dk and dv are one fma chain
// an element over the vectors in order.
// Tried and lost: lanes along head_dim with a lane sum per score (the sums cost more than the products).

#if defined(__AVX512F__) || defined(__ARM_NEON)
constexpr int kTile = 8;
#else
constexpr int kTile = 4;
#endif
constexpr int kBackwardTile = 4 * kTile;

static inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Hands out 64-byte aligned pieces of the scratch; with a null base it only counts.
struct Carve {
  float* base;
  int64_t used = 0;
  float* take(int64_t floats) {
    float* p = base == nullptr ? nullptr : base + used;
    used += round_up(floats, 16);
    return p;
  }
};

// ---- Register tiles -------------------------------------------------------------------------------------------------------

// s[m, j] = sum over d of qt[d, m] * panel[d][j], for M vectors and B panels of W keys.
template <int M, int B>
static inline void score_tile(const float* qt, const float* panels, int64_t dim, float* s, int64_t s_stride) {
  vf acc[M][B];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) acc[m][b] = zero();
  for (int64_t d = 0; d < dim; ++d) {
    vf k[B];
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) k[b] = load(panels + (b * dim + d) * W);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const vf a = set1(qt[d * kTile + m]);
#pragma GCC unroll 4
      for (int b = 0; b < B; ++b) acc[m][b] = fma(a, k[b], acc[m][b]);
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) store(s + m * s_stride + b * W, acc[m][b]);
}

template <int M>
static void score_rows(const float* qt, const float* panels, int64_t dim, int64_t count, float* s, int64_t s_stride) {
  constexpr int B = M <= kTile / 2 ? 4 : 2;
  int64_t b = 0;
  for (; b + B <= count; b += B) score_tile<M, B>(qt, panels + b * dim * W, dim, s + b * W, s_stride);
  for (; b < count; ++b) score_tile<M, 1>(qt, panels + b * dim * W, dim, s + b * W, s_stride);
}

// acc[m, c] += sum over j in [0, n[m]) of p[m, j] * rows[j, c] for M vectors and C chunks of W columns; n ascends.
template <int M, int C>
static inline void weighted_tile(const float* p, int64_t p_stride, const int64_t* n, const float* rows, int64_t stride, float* sums,
                                 int64_t sums_stride) {
  vf acc[M][C];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) acc[m][c] = load(sums + m * sums_stride + c * W);
  int64_t j = 0;
  for (; j < n[0]; ++j) {
    vf r[C];
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) r[c] = load(rows + j * stride + c * W);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const vf a = set1(p[m * p_stride + j]);
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) acc[m][c] = fma(a, r[c], acc[m][c]);
    }
  }
  for (; j < n[M - 1]; ++j) {
    vf r[C];
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) r[c] = load(rows + j * stride + c * W);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m)
      if (j < n[m]) {
        const vf a = set1(p[m * p_stride + j]);
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) acc[m][c] = fma(a, r[c], acc[m][c]);
      }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) store(sums + m * sums_stride + c * W, acc[m][c]);
}

template <int M>
static void weighted_rows(const float* p, int64_t p_stride, const int64_t* n, const float* rows, int64_t stride, int64_t chunks,
                          float* sums, int64_t sums_stride) {
  constexpr int C = M <= kTile / 2 ? 4 : 2;
  int64_t c = 0;
  for (; c + C <= chunks; c += C) weighted_tile<M, C>(p, p_stride, n, rows + c * W, stride, sums + c * W, sums_stride);
  if constexpr (C == 4)
    for (; c + 2 <= chunks; c += 2) weighted_tile<M, 2>(p, p_stride, n, rows + c * W, stride, sums + c * W, sums_stride);
  for (; c < chunks; ++c) weighted_tile<M, 1>(p, p_stride, n, rows + c * W, stride, sums + c * W, sums_stride);
}

// out[k, c] += sum over m in [0, count) of p[m, k] * rows[m, c] for K keys and C chunks: the transposed product of the backward.
template <int K, int C>
static inline void outer_tile(const float* p, int64_t p_stride, const float* rows, int64_t stride, int64_t count, float* out,
                              int64_t out_stride) {
  vf acc[K][C];
#pragma GCC unroll 8
  for (int k = 0; k < K; ++k)
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) acc[k][c] = load(out + k * out_stride + c * W);
  for (int64_t m = 0; m < count; ++m) {
    vf r[C];
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) r[c] = load(rows + m * stride + c * W);
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k) {
      const vf a = set1(p[m * p_stride + k]);
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) acc[k][c] = fma(a, r[c], acc[k][c]);
    }
  }
#pragma GCC unroll 8
  for (int k = 0; k < K; ++k)
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) store(out + k * out_stride + c * W, acc[k][c]);
}

template <int K>
static inline void outer_keys(const float* p, int64_t p_stride, const float* rows, int64_t stride, int64_t count, int64_t chunks,
                              float* out, int64_t out_stride) {
  int64_t c = 0;
  for (; c + 2 <= chunks; c += 2) outer_tile<K, 2>(p, p_stride, rows + c * W, stride, count, out + c * W, out_stride);
  if (c < chunks) outer_tile<K, 1>(p, p_stride, rows + c * W, stride, count, out + c * W, out_stride);
}

static void outer_rows(const float* p, int64_t p_stride, const float* rows, int64_t stride, int64_t count, int64_t keys, int64_t chunks,
                       float* out, int64_t out_stride) {
  int64_t k = 0;
  for (; k + kTile <= keys; k += kTile) outer_keys<kTile>(p + k, p_stride, rows, stride, count, chunks, out + k * out_stride, out_stride);
  for (; k < keys; ++k) outer_keys<1>(p + k, p_stride, rows, stride, count, chunks, out + k * out_stride, out_stride);
}

// Calls f<M>(arguments) for M = count in [1, kTile].
#define SIRI_TILE_CASES(f, ...) \
  switch (count) {              \
    case 1:                     \
      f<1>(__VA_ARGS__);        \
      break;                    \
    case 2:                     \
      f<2>(__VA_ARGS__);        \
      break;                    \
    case 3:                     \
      f<3>(__VA_ARGS__);        \
      break;                    \
    default:                    \
      SIRI_TILE_CASES_REST(f, __VA_ARGS__)
#if defined(__AVX512F__) || defined(__ARM_NEON)
#define SIRI_TILE_CASES_REST(f, ...) \
  switch (count) {                   \
    case 4:                          \
      f<4>(__VA_ARGS__);             \
      break;                         \
    case 5:                          \
      f<5>(__VA_ARGS__);             \
      break;                         \
    case 6:                          \
      f<6>(__VA_ARGS__);             \
      break;                         \
    case 7:                          \
      f<7>(__VA_ARGS__);             \
      break;                         \
    default:                         \
      f<kTile>(__VA_ARGS__);         \
  }                                  \
  }
#else
#define SIRI_TILE_CASES_REST(f, ...) \
  f<kTile>(__VA_ARGS__);             \
  }
#endif

static void scores(int64_t count, const float* qt, const float* panels, int64_t dim, int64_t panel_count, float* s, int64_t s_stride) {
  SIRI_TILE_CASES(score_rows, qt, panels, dim, panel_count, s, s_stride)
}
static void weighted(int64_t count, const float* p, int64_t p_stride, const int64_t* n, const float* rows, int64_t stride, int64_t chunks,
                     float* sums, int64_t sums_stride) {
  SIRI_TILE_CASES(weighted_rows, p, p_stride, n, rows, stride, chunks, sums, sums_stride)
}
#undef SIRI_TILE_CASES
#undef SIRI_TILE_CASES_REST

// ---- Layout ---------------------------------------------------------------------------------------------------------------

template <int H, int... L>
struct Exchange {
  // Of lanes (a, b): keep a's lanes without bit H and take b's for those with it, and the other way round.
  static constexpr vi low = {(L & H ? L - H + W : L)...};
  static constexpr vi high = {(L & H ? L + W : L + H)...};
};
template <int... L>
struct Lanes {};
template <int N, int... L>
struct MakeLanes : MakeLanes<N - 1, N - 1, L...> {};
template <int... L>
struct MakeLanes<0, L...> {
  typedef Lanes<L...> type;
};

template <int H, int... L>
static inline __attribute__((always_inline)) void transpose_stage(vf* r, Lanes<L...>) {
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i)
    if ((i & H) == 0) {
      const vf a = r[i], b = r[i + H];
      r[i] = __builtin_shuffle(a, b, Exchange<H, L...>::low);
      r[i + H] = __builtin_shuffle(a, b, Exchange<H, L...>::high);
    }
}
static inline __attribute__((always_inline)) void transpose(vf* r) {
  typedef MakeLanes<W>::type All;
  if constexpr (W >= 16) transpose_stage<8>(r, All());
  if constexpr (W >= 8) transpose_stage<4>(r, All());
  transpose_stage<2>(r, All());
  transpose_stage<1>(r, All());
}

static inline const float* kv_row(const KvRows& rows, int64_t j, int64_t offset) {
  return rows.blocks[j / rows.block_tokens] + (j % rows.block_tokens) * rows.row_stride + offset;
}

// Rows [0, count) at `offset` of each position into panels [ceil(count / W)][dim][W]; lanes past the end are 0.
static void pack_panels(const KvRows& rows, int64_t offset, int64_t count, int64_t dim, float* panels) {
  for (int64_t j = 0; j < count; j += W, panels += dim * W) {
    const float* row[W];
    const int64_t n = smaller(W, count - j);
    for (int64_t i = 0; i < n; ++i) row[i] = kv_row(rows, j + i, offset);
    for (int64_t d = 0; d < dim; d += W) {
      const int64_t width = smaller(W, dim - d);
      vf r[W];
      if (n == W && width == W) {
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) r[i] = load(row[i] + d);
      } else {
        for (int64_t i = 0; i < W; ++i) r[i] = i < n ? load_n(row[i] + d, width) : zero();
      }
      transpose(r);
      if (width == W) {
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) store(panels + (d + i) * W, r[i]);
      } else {
        for (int64_t i = 0; i < width; ++i) store(panels + (d + i) * W, r[i]);
      }
    }
  }
}

// count rows of dim to rows of `padded` columns, the rest 0.
static void copy_padded(const float* from, int64_t stride, int64_t count, int64_t dim, float* to, int64_t padded) {
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(to + i * padded, from + i * stride, sizeof(float) * dim);
    for (int64_t d = dim; d < padded; ++d) to[i * padded + d] = 0.0f;
  }
}

// Queries of one kv head as vectors: vector v is head v % group of query v / group, in a tensor of rows * heads * dim.
struct Vectors {
  int64_t group, dim, stride, first;  // first: element of (row 0, first head of the group)
  int64_t at(int64_t v) const { return first + (v / group) * stride + (v % group) * dim; }
};

static inline Vectors vectors(const AttentionSegment& segment, int64_t kv_head, const AttentionShape& shape, int64_t stride) {
  const int64_t group = shape.heads / shape.kv_heads;
  return {group, shape.head_dim, stride, segment.query_row * stride + kv_head * group * shape.head_dim};
}

// x vectors [v, v + count) times scale into tile layout [dim][kTile].
static void pack_tile(const float* x, const Vectors& at, int64_t v, int64_t count, float scale, float* tile) {
  for (int64_t m = 0; m < count; ++m) {
    const float* row = x + at.at(v + m);
    for (int64_t d = 0; d < at.dim; ++d) tile[d * kTile + m] = row[d] * scale;
  }
}

static void write_row(const float* from, float factor, int64_t dim, float* to) {
  int64_t d = 0;
  for (; d + W <= dim; d += W) store(to + d, load(from + d) * set1(factor));
  if (d < dim) store_n(to + d, load_n(from + d, dim - d) * set1(factor), dim - d);
}

// ---- Forward --------------------------------------------------------------------------------------------------------------

// Scores of one vector in place to exp(score - maximum) over [0, n), 0 to the end of the last panel; returns the sum.
static inline float softmax_row(float* s, int64_t n, float* maximum) {
  const vf none = set1(-std::numeric_limits<float>::infinity());
  const int64_t whole = n / W * W, rest = n - whole;
  if (rest > 0) store(s + whole, load_n(s + whole, rest, -std::numeric_limits<float>::infinity()));
  vf top = none;
  for (int64_t j = 0; j < n; j += W) top = max(load(s + j), top);
  *maximum = max_lane(top);
  const vf shift = set1(*maximum);
  vf total = zero();
  for (int64_t j = 0; j < n; j += W) {
    const vf e = exp(load(s + j) - shift);
    store(s + j, e);
    total = total + e;
  }
  return sum(total);
}

struct ForwardScratch {
  float *panels, *values, *tile, *scores, *sums;
  int64_t stride, padded, floats;
  ForwardScratch(const AttentionShape& shape, int64_t keys, float* base) {
    Carve c{base};
    padded = round_up(shape.head_dim, W);
    stride = round_up(keys, W);
    panels = c.take(stride * shape.head_dim);
    values = c.take(padded == shape.head_dim ? 0 : keys * padded);
    tile = c.take(kTile * shape.head_dim);
    scores = c.take(kTile * stride);
    sums = c.take(kTile * padded);
    floats = c.used;
  }
};

static int64_t attention_scratch(AttentionShape shape, int64_t keys) { return ForwardScratch(shape, keys, nullptr).floats; }

static void attention(const float* q, int64_t q_stride, const AttentionSegment& segment, int64_t kv_head, int64_t begin, int64_t end,
                      AttentionShape shape, float* out, int64_t out_stride, float* lse, float* scratch) {
  const int64_t dim = shape.head_dim, group = shape.heads / shape.kv_heads, offset = kv_head * dim;
  const int64_t before = segment.key_count - segment.query_count;  // keys before query 0
  const int64_t keys = before + end;
  const ForwardScratch s(shape, keys, scratch);
  const Vectors from = vectors(segment, kv_head, shape, q_stride), to = vectors(segment, kv_head, shape, out_stride);

  pack_panels(segment.keys, offset, keys, dim, s.panels);
  const bool direct = s.padded == dim;
  if (!direct)
    for (int64_t j = 0; j < keys; ++j) copy_padded(kv_row(segment.values, j, offset), 0, 1, dim, s.values + j * s.padded, s.padded);

  for (int64_t v = begin * group; v < end * group; v += kTile) {
    const int64_t count = smaller(kTile, end * group - v);
    int64_t n[kTile];
    float inverse[kTile];
    for (int64_t m = 0; m < count; ++m) n[m] = before + (v + m) / group + 1;
    const int64_t reach = n[count - 1];

    pack_tile(q, from, v, count, shape.scale, s.tile);
    scores(count, s.tile, s.panels, dim, (reach + W - 1) / W, s.scores, s.stride);
    for (int64_t m = 0; m < count; ++m) {
      float maximum;
      const float total = softmax_row(s.scores + m * s.stride, n[m], &maximum);
      inverse[m] = 1.0f / total;
      if (lse != nullptr) {
        const int64_t row = segment.query_row + (v + m) / group, head = kv_head * group + (v + m) % group;
        lse[row * shape.heads + head] = maximum + __builtin_logf(total);
      }
    }

    for (int64_t i = 0; i < count * s.padded; ++i) s.sums[i] = 0.0f;
    if (direct) {
      const KvRows& values = segment.values;
      for (int64_t first = 0, b = 0; first < reach; first += values.block_tokens, ++b) {
        // The part of every row's range that lies in this block; whole rows may lie before it.
        int64_t part[kTile], skip = 0;
        for (int64_t m = 0; m < count; ++m) {
          part[m] = smaller(n[m] - first, values.block_tokens);
          if (part[m] <= 0) skip = m + 1;
        }
        weighted(count - skip, s.scores + skip * s.stride + first, s.stride, part + skip, values.blocks[b] + offset, values.row_stride,
                 s.padded / W, s.sums + skip * s.padded, s.padded);
      }
    } else {
      weighted(count, s.scores, s.stride, n, s.values, s.padded, s.padded / W, s.sums, s.padded);
    }
    for (int64_t m = 0; m < count; ++m) write_row(s.sums + m * s.padded, inverse[m], dim, out + to.at(v + m));
  }
}

// ---- Backward -------------------------------------------------------------------------------------------------------------

struct BackwardScratch {
  float *key_panels, *value_panels, *keys, *dk, *dv, *tile, *p, *ds, *queries, *douts, *sums;
  int64_t stride, padded, floats;
  BackwardScratch(const AttentionShape& shape, int64_t count, float* base) {
    Carve c{base};
    padded = round_up(shape.head_dim, W);
    stride = round_up(count, W);
    const bool direct = padded == shape.head_dim;
    key_panels = c.take(stride * shape.head_dim);
    value_panels = c.take(stride * shape.head_dim);
    keys = c.take(direct ? 0 : count * padded);
    dk = c.take(direct ? 0 : count * padded);
    dv = c.take(direct ? 0 : count * padded);
    tile = c.take(kTile * shape.head_dim);
    p = c.take(kBackwardTile * stride);
    ds = c.take(kBackwardTile * stride);
    queries = c.take(kBackwardTile * padded);
    douts = c.take(kBackwardTile * padded);
    sums = c.take(kTile * padded);
    floats = c.used;
  }
};

static int64_t attention_backward_scratch(AttentionShape shape, int64_t keys) { return BackwardScratch(shape, keys, nullptr).floats; }

static inline float dot_row(const float* a, const float* b, int64_t n) {
  vf total = zero();
  for (int64_t d = 0; d < n; d += W) {
    const int64_t w = smaller(W, n - d);
    total = fma(load_n(a + d, w), load_n(b + d, w), total);
  }
  return sum(total);
}

// Scores in p and dout . v in ds, in place to P = exp(score - lse) and dS = P * (ds - delta) over [0, n), 0 up to `reach`.
static inline void gradient_row(float* p, float* ds, int64_t n, int64_t reach, float lse, float delta) {
  const vf shift = set1(lse), minus = set1(delta);
  const int64_t whole = n / W * W;
  int64_t j = 0;
  for (; j < whole; j += W) {
    const vf e = exp(load(p + j) - shift);
    store(p + j, e);
    store(ds + j, e * (load(ds + j) - minus));
  }
  if (j < n) {
    const vf e = exp(load_n(p + j, n - j, -std::numeric_limits<float>::infinity()) - shift);
    store(p + j, e);
    store(ds + j, e * (load_n(ds + j, n - j, delta) - minus));
    j += W;
  }
  for (; j < reach; j += W) {
    store(p + j, zero());
    store(ds + j, zero());
  }
}

static void attention_backward(const float* q, int64_t q_stride, const float* out, const float* dout, int64_t out_stride, const float* lse,
                               const AttentionSegment& segment, int64_t kv_head, AttentionShape shape, float* dq, int64_t dq_stride,
                               float* dk, float* dv, int64_t kv_stride, float* scratch) {
  const int64_t dim = shape.head_dim, group = shape.heads / shape.kv_heads, offset = kv_head * dim;
  const int64_t keys = segment.key_count, before = keys - segment.query_count;
  const BackwardScratch s(shape, keys, scratch);
  const Vectors query = vectors(segment, kv_head, shape, q_stride), result = vectors(segment, kv_head, shape, out_stride),
                gradient = vectors(segment, kv_head, shape, dq_stride);
  const int64_t chunks = s.padded / W;

  pack_panels(segment.keys, offset, keys, dim, s.key_panels);
  pack_panels(segment.values, offset, keys, dim, s.value_panels);
  const bool direct = s.padded == dim;
  const float* key_rows = segment.keys.blocks[0] + offset;
  int64_t key_stride = segment.keys.row_stride, sum_stride = kv_stride;
  float *dk_rows = dk + offset, *dv_rows = dv + offset;
  if (!direct) {
    copy_padded(key_rows, key_stride, keys, dim, s.keys, s.padded);
    copy_padded(dk_rows, kv_stride, keys, dim, s.dk, s.padded);
    copy_padded(dv_rows, kv_stride, keys, dim, s.dv, s.padded);
    key_rows = s.keys, dk_rows = s.dk, dv_rows = s.dv;
    key_stride = sum_stride = s.padded;
  }

  const int64_t last = segment.query_count * group;
  for (int64_t v = 0; v < last; v += kBackwardTile) {
    const int64_t rows = smaller(kBackwardTile, last - v);
    const int64_t reach = before + (v + rows - 1) / group + 1;
    for (int64_t t = 0; t < rows; t += kTile) {
      const int64_t count = smaller(kTile, rows - t);
      float *p = s.p + t * s.stride, *ds = s.ds + t * s.stride;
      int64_t n[kTile];
      for (int64_t m = 0; m < count; ++m) n[m] = before + (v + t + m) / group + 1;
      const int64_t panels = (n[count - 1] + W - 1) / W;

      pack_tile(q, query, v + t, count, shape.scale, s.tile);
      scores(count, s.tile, s.key_panels, dim, panels, p, s.stride);
      pack_tile(dout, result, v + t, count, 1.0f, s.tile);
      scores(count, s.tile, s.value_panels, dim, panels, ds, s.stride);
      for (int64_t m = 0; m < count; ++m) {
        const int64_t vector = v + t + m;
        const float* d = dout + result.at(vector);
        const float delta = dot_row(d, out + result.at(vector), dim);
        const int64_t row = segment.query_row + vector / group, head = kv_head * group + vector % group;
        gradient_row(p + m * s.stride, ds + m * s.stride, n[m], reach, lse[row * shape.heads + head], delta);
        copy_padded(d, 0, 1, dim, s.douts + (t + m) * s.padded, s.padded);
        float* scaled = s.queries + (t + m) * s.padded;
        for (int64_t c = dim; c < s.padded; ++c) scaled[c] = 0.0f;
        write_row(q + query.at(vector), shape.scale, dim, scaled);
      }

      for (int64_t i = 0; i < count * s.padded; ++i) s.sums[i] = 0.0f;
      weighted(count, ds, s.stride, n, key_rows, key_stride, chunks, s.sums, s.padded);
      for (int64_t m = 0; m < count; ++m) write_row(s.sums + m * s.padded, shape.scale, dim, dq + gradient.at(v + t + m));
    }
    outer_rows(s.p, s.stride, s.douts, s.padded, rows, reach, chunks, dv_rows, sum_stride);
    outer_rows(s.ds, s.stride, s.queries, s.padded, rows, reach, chunks, dk_rows, sum_stride);
  }

  if (!direct)
    for (int64_t j = 0; j < keys; ++j) {
      std::memcpy(dk + offset + j * kv_stride, s.dk + j * s.padded, sizeof(float) * dim);
      std::memcpy(dv + offset + j * kv_stride, s.dv + j * s.padded, sizeof(float) * dim);
    }
}
