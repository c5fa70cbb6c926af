// What attention forward and backward are built from: register tiles of products, transposed key panels, query vectors.
//
// Queries of one kv head are taken as vectors v = query * group + head (group = query heads per kv head), so that all heads of a
// group share one pass over keys and values; a tile is kTile vectors.

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

// s[m, j] = sum over d of x[m][d] * panel[d][j], for M vectors and B panels of W keys.
template <int M, int B>
static inline void score_tile(const float* const* x, const float* panels, int64_t dim, float* s, int64_t s_stride) {
  const float* row[M];
  vf acc[M][B];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
    row[m] = x[m];
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) acc[m][b] = zero();
  }
  for (int64_t d = 0; d < dim; ++d) {
    vf k[B];
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) k[b] = load(panels + (b * dim + d) * W);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const vf a = set1(row[m][d]);
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
static void score_rows(const float* const* x, const float* panels, int64_t dim, int64_t count, float* s, int64_t s_stride) {
  constexpr int B = M <= kTile / 2 ? 4 : 2;
  int64_t b = 0;
  for (; b + B <= count; b += B) score_tile<M, B>(x, panels + b * dim * W, dim, s + b * W, s_stride);
  for (; b < count; ++b) score_tile<M, 1>(x, panels + b * dim * W, dim, s + b * W, s_stride);
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

static void scores(int64_t count, const float* const* x, const float* panels, int64_t dim, int64_t panel_count, float* s,
                   int64_t s_stride) {
  SIRI_TILE_CASES(score_rows, x, panels, dim, panel_count, s, s_stride)
}
static void weighted(int64_t count, const float* p, int64_t p_stride, const int64_t* n, const float* rows, int64_t stride, int64_t chunks,
                     float* sums, int64_t sums_stride) {
  SIRI_TILE_CASES(weighted_rows, p, p_stride, n, rows, stride, chunks, sums, sums_stride)
}
#undef SIRI_TILE_CASES
#undef SIRI_TILE_CASES_REST

// ---- Layout ---------------------------------------------------------------------------------------------------------------

template <int H, int... L>
static inline __attribute__((always_inline)) void transpose_stage(vf* r, Lanes<L...>) {
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i)
    if ((i & H) == 0) {
      const vf a = r[i], b = r[i + H];
      // Lanes of a without bit H and of b for those with it, and the other way round.
      r[i] = shuffle<(L & H ? L - H + W : L)...>(a, b);
      r[i + H] = shuffle<(L & H ? L + W : L + H)...>(a, b);
    }
}
static inline __attribute__((always_inline)) void transpose(vf* r) {
  if constexpr (W >= 16) transpose_stage<8>(r, AllLanes());
  if constexpr (W >= 8) transpose_stage<4>(r, AllLanes());
  transpose_stage<2>(r, AllLanes());
  transpose_stage<1>(r, AllLanes());
}

// Walks the rows of keys or values, at `offset` of each; positions ascend.
struct KvWalk {
  const KvRows& rows;
  int64_t offset;
  int64_t piece = 0, first = 0;
  const float* at(int64_t j) {
    while (j >= rows.ends[piece]) first = rows.ends[piece++];
    return rows.pieces[piece] + (j - first) * rows.row_stride + offset;
  }
};

// Rows [0, count) at `offset` of each position into panels [ceil(count / W)][dim][W]; lanes past the end are 0.
static void pack_panels(const KvRows& rows, int64_t offset, int64_t count, int64_t dim, float* panels) {
  KvWalk walk{rows, offset};
  for (int64_t j = 0; j < count; j += W, panels += dim * W) {
    const float* row[W];
    const int64_t n = smaller(W, count - j);
    for (int64_t i = 0; i < n; ++i) row[i] = walk.at(j + i);
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

// One row of dim to a row of `padded` columns, the rest 0.
static inline void copy_padded(const float* from, int64_t dim, float* to, int64_t padded) {
  int64_t d = 0;
  for (; d + W <= dim; d += W) store(to + d, load(from + d));
  if (d < padded) store(to + d, load_n(from + d, dim - d));
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
