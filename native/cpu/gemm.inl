// Matrix products, float32 or bfloat16 operands (gemm_format.inl: Format), float32 sums. One register tile of kTileRows x 2 vectors of
// accumulators (14 x 32 with AVX-512, 6 x 16 with AVX2) runs over the whole summed dimension, in blocks of kDepth that keep the packed
// operands in the second-level cache:
//   rows_product   y = x B: x is packed by the tile (plain vector copies: W consecutive k of one row stay together, the kernel
//                  broadcasts from them), B comes packed (weights change rarely; gemm.h keeps the panels).
//   outer_product  c += a^T b: both are packed on the way, in blocks that fit the second-level cache.
// Few rows (decode) leave too few independent chains to hide the latency of fma, so 1 to 3 rows take 4 or 2 panels at once.
// Floor: 2 fma per cycle, 28 fma against 16 loads in the 14 x 32 tile. Measured on 2 cores of an AMD EPYC with AVX-512, 2,048 rows,
// widths 128 to 1,024: rows_product 410 to 440 GFLOP/s (AVX2 225 to 240), outer_product 280 to 360; 1 row by [256, 1024]: 3.4 us. Tried and
// lost: reading x unpacked (rows a multiple of 4 KiB apart fall into one set of the first-level cache); blocks of 1024 in depth (no faster,
// and too big for older caches); in outer_product, blocks of 256 in depth (the sums are read and written twice as often: 10% in bfloat16).
// A result that lies in memory is fetched a tile ahead, spread over the steps of the tile before it: 10% of an outer product, nothing when
// all of its lines are asked for at once.

#include "cpu/gemm_format.inl"

#if defined(__AVX512F__)
constexpr int kTileRows = 14;
#else
constexpr int kTileRows = 6;
#endif
constexpr int kPanel = 2 * W;
constexpr int64_t kDepth = 512;       // words of rows_product; a multiple of W
constexpr int64_t kOuterDepth = 512;  // words of outer_product
constexpr int64_t kOuterRows = 20 * kTileRows;
constexpr int64_t kOuterColumns = 4 * kPanel;

// acc[r][v] += sum over k of A[r, k] * B[k, v] in the order of Format, k counted in words. A: by blocks of W in k, [block][R][W]; or
// k-major, [k][kTileRows]. B: panels b_stride apart. The lines of R rows at `ahead`, ahead_stride apart, are fetched meanwhile, one every
// few steps: all at once they would fill the queue that the operands wait in.
template <class Format, int R, int P, bool KMajor>
static inline __attribute__((always_inline)) void multiply(int64_t depth, const float* a, const float* b, int64_t b_stride,
                                                           const float* ahead, int64_t ahead_stride, vf (&acc)[R][2 * P]) {
  constexpr int V = 2 * P;
  const auto step = [&](const float* ak, int row_step) __attribute__((always_inline)) {
    vf bv[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) bv[v] = load(b + (v / 2) * b_stride + (v % 2) * W);
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r) {
      const vf av = set1(ak[r * row_step]);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) acc[r][v] = Format::multiply_add(av, bv[v], acc[r][v]);
    }
    b += kPanel;
  };
  constexpr int kLineFloats = 64 / sizeof(float), kRowLines = (P * kPanel + kLineFloats - 1) / kLineFloats, kLines = R * kRowLines;
  const auto fetch = [&](int line) __attribute__((always_inline)) {
    __builtin_prefetch(ahead + line / kRowLines * ahead_stride + line % kRowLines * kLineFloats, 1, 2);
  };
  if constexpr (KMajor) {
    int64_t k = 0;
    for (int line = 0; line < kLines; ++line) {
      fetch(line);
      for (const int64_t end = depth * (line + 1) / kLines; k < end; ++k) step(a + k * kTileRows, 1);
    }
  } else {
    const int64_t some = kLines * W / (depth + 1) + 1;  // lines a block
    int64_t line = 0;
    for (int64_t k0 = 0; k0 < depth; k0 += W, a += R * W) {
      for (const int64_t end = lesser(line + some, kLines); line < end; ++line) fetch(static_cast<int>(line));
      const int64_t n = lesser(W, depth - k0);
      for (int64_t k = 0; k < n; ++k) step(a + k, W);
    }
  }
}

struct Tile {
  int64_t depth;  // words
  const float* a;
  const float* b;
  int64_t b_stride;
  int64_t rows, columns;  // to write
  const float* from;      // the chain so far, or null: starts at 0
  int64_t from_stride;
  float* to;
  int64_t to_stride;
  const float* ahead;     // what the next tile will write, and read before that when it continues a chain; to_stride between rows
  const float* bias;      // added at the end, or null
  const float* residual;  // or null
  int64_t residual_stride;
};

template <class Format, int R, int P, bool KMajor>
static void run_tile(const Tile& t) {
  constexpr int V = 2 * P;
  vf acc[R][V];
  const bool whole = t.columns >= P * kPanel && (!KMajor || t.rows == R);
  if (t.from == nullptr) {
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) acc[r][v] = zero();
  } else if (whole) {
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) acc[r][v] = load(t.from + r * t.from_stride + v * W);
  } else {
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        const int64_t n = r < t.rows ? lesser(W, t.columns - v * W) : 0;
        acc[r][v] = n > 0 ? load_some(t.from + r * t.from_stride + v * W, n) : zero();
      }
  }

  multiply<Format, R, P, KMajor>(t.depth, t.a, t.b, t.b_stride, t.ahead, t.to_stride, acc);

  if (whole && t.bias == nullptr && t.residual == nullptr) {
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) store(t.to + r * t.to_stride + v * W, acc[r][v]);
    return;
  }
#pragma GCC unroll 14
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      const int64_t n = r < t.rows ? lesser(W, t.columns - v * W) : 0;
      if (n <= 0) continue;
      vf y = acc[r][v];
      if (t.bias != nullptr) y = y + load_some(t.bias + v * W, n);
      if (t.residual != nullptr) y = y + load_some(t.residual + r * t.residual_stride + v * W, n);
      store_some(t.to + r * t.to_stride + v * W, y, n);
    }
}

constexpr int panels_at_once(int rows) { return rows == 1 ? 4 : rows <= 3 ? 2 : 1; }

using TileFunction = void (*)(const Tile&);
// [wide][rows]; wide: panels_at_once(rows) panels.
template <class F>
static constexpr TileFunction kTiles[2][15] = {
    {nullptr, run_tile<F, 1, 1, false>, run_tile<F, 2, 1, false>, run_tile<F, 3, 1, false>, run_tile<F, 4, 1, false>,
     run_tile<F, 5, 1, false>, run_tile<F, 6, 1, false>,
#if defined(__AVX512F__)
     run_tile<F, 7, 1, false>, run_tile<F, 8, 1, false>, run_tile<F, 9, 1, false>, run_tile<F, 10, 1, false>, run_tile<F, 11, 1, false>,
     run_tile<F, 12, 1, false>, run_tile<F, 13, 1, false>, run_tile<F, 14, 1, false>
#endif
    },
    {nullptr, run_tile<F, 1, 4, false>, run_tile<F, 2, 2, false>, run_tile<F, 3, 2, false>}};

template <class Format>
static void pack_transposed(const float* w, int64_t stride, int64_t k, int64_t columns, float* out) {
  for (int64_t k0 = 0; k0 < k; k0 += Format::kRowElements) {
    const int64_t m = lesser(Format::kRowElements, k - k0), words = Format::words(m);
    for (int64_t c = 0; c < kPanel; ++c) {
      alignas(64) float t[W];
      store(t, c < columns ? Format::row_words(w + c * stride + k0, m) : zero());
      for (int64_t i = 0; i < words; ++i) out[i * kPanel + c] = t[i];
    }
    out += words * kPanel;
  }
}

// Columns of k rows, in strips of Width columns: [strip][words(k)][Width], zero beyond the last column. Row after row, because rows
// of a wide matrix lie pages apart.
template <class Format, int Width>
static void pack_columns(const float* w, int64_t stride, int64_t k, int64_t columns, float* out) {
  const int64_t strip = Format::words(k) * Width;
  for (int64_t i = 0; i < k; i += Format::kGroup, out += Format::kGroupWords * Width) {
    const float* row = w + i * stride;
    const bool pair = Format::kGroup == 2 && i + 1 < k;
    float* to = out;
    for (int64_t s = 0; s < columns; s += Width, to += strip) {
      if (Format::kGroup == 1 && columns - s >= Width) {  // words are elements
        __builtin_memcpy(to, row + s, Width * sizeof(float));
        continue;
      }
      for (int64_t c = 0; c < Width; c += W) {
        const float* from = row + s + c;
        const int64_t n = lesser(W, columns - s - c);
        const vf first = n > 0 ? load_some(from, n) : zero();
        const vf second = pair && n > 0 ? load_some(from + stride, n) : zero();
        Format::group_words(first, second, to + c, Width, lesser(W, Width - c));
      }
    }
  }
}

template <class Format>
static void pack_straight(const float* w, int64_t stride, int64_t k, int64_t columns, float* out) {
  pack_columns<Format, kPanel>(w, stride, k, lesser(columns, kPanel), out);
}

// R rows of x, [block of W words in k][R][W].
template <class Format>
static void pack_rows(const float* x, int64_t stride, int64_t rows, int64_t depth, float* a) {
  for (int64_t k0 = 0; k0 < depth; k0 += Format::kRowElements) {
    const int64_t n = lesser(Format::kRowElements, depth - k0);
    for (int64_t r = 0; r < rows; ++r, a += W) store(a, Format::row_words(x + r * stride + k0, n));
  }
}

static int64_t rounded(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

template <class Format>
static int64_t rows_scratch(int64_t rows, int64_t k, int64_t columns) {
  const int64_t words = Format::words(k), packed = rows * rounded(lesser(words, kDepth), W);
  return packed + (words > kDepth ? rows * rounded(columns, kPanel) : 0);
}

template <class Format>
static void rows_product(const RowsBlock& p) {
  [[maybe_unused]] const typename Format::Environment environment;
  const int64_t words = Format::words(p.k);
  float* packed = p.scratch;
  // A residual that lies in y must outlive the unfinished chains, so these go to scratch.
  float* part = p.y;
  int64_t part_stride = p.y_stride;
  if (p.residual != nullptr && words > kDepth) {
    part = p.scratch + p.rows * rounded(kDepth, W);
    part_stride = rounded(p.columns, kPanel);
  }
  int64_t k0 = 0;
  do {  // once even when k is 0
    const int64_t depth = lesser(kDepth, words - k0);
    const bool last = k0 + depth >= words;
    const int64_t padded = rounded(depth, W);
    const int64_t element = k0 * Format::kRowElements / W, elements = lesser(depth * Format::kRowElements / W, p.k - element);
    for (int64_t r = 0; r < p.rows; r += kTileRows)
      pack_rows<Format>(p.x + r * p.x_stride + element, p.x_stride, lesser(kTileRows, p.rows - r), elements, packed + r * padded);
    for (int64_t j = 0; j < p.columns;) {
      int64_t advance = kPanel;
      for (int64_t r = 0; r < p.rows; r += kTileRows) {
        const int64_t rows = lesser(kTileRows, p.rows - r);
        // The last few rows take one panel at a time when there are full tiles above them.
        const bool wide = p.rows <= 3 && p.columns - j >= panels_at_once(p.rows) * kPanel;
        if (wide) advance = panels_at_once(p.rows) * kPanel;
        Tile t;
        t.depth = depth;
        t.a = packed + r * padded;
        t.b = p.panels + j * words + k0 * kPanel;
        t.b_stride = words * kPanel;
        t.rows = rows;
        t.columns = p.columns - j;
        t.from = k0 == 0 && !p.continued ? nullptr : part + r * part_stride + j;
        t.from_stride = part_stride;
        t.to = last ? p.y + r * p.y_stride + j : part + r * part_stride + j;
        t.to_stride = last ? p.y_stride : part_stride;
        t.ahead = r + rows < p.rows ? t.to + rows * t.to_stride : t.to - r * t.to_stride + advance;
        t.bias = last && p.bias != nullptr ? p.bias + j : nullptr;
        t.residual = last && p.residual != nullptr ? p.residual + r * p.residual_stride + j : nullptr;
        t.residual_stride = p.residual_stride;
        kTiles<Format>[wide][rows](t);
      }
      j += advance;
    }
    k0 += depth;
  } while (k0 < words);
}

static int64_t outer_scratch(int64_t rows) { return kOuterDepth * (rounded(lesser(rows, kOuterRows), kTileRows) + kOuterColumns); }

template <class Format>
static void outer_product(const OuterBlock& p) {
  [[maybe_unused]] const typename Format::Environment environment;
  float* b = p.scratch;
  float* a = p.scratch + kOuterDepth * kOuterColumns;
  constexpr int64_t kElements = kOuterDepth * Format::kRowElements / W;
  for (int64_t k0 = 0; k0 < p.n; k0 += kElements) {
    const int64_t elements = lesser(kElements, p.n - k0), depth = Format::words(elements);
    for (int64_t r0 = 0; r0 < p.rows; r0 += kOuterRows) {
      const int64_t rows = lesser(kOuterRows, p.rows - r0);
      pack_columns<Format, kTileRows>(p.a + k0 * p.a_stride + r0, p.a_stride, elements, rows, a);
      for (int64_t j0 = 0; j0 < p.columns; j0 += kOuterColumns) {
        const int64_t columns = lesser(kOuterColumns, p.columns - j0);
        pack_columns<Format, kPanel>(p.b + k0 * p.b_stride + j0, p.b_stride, elements, columns, b);
        for (int64_t j = 0; j < columns; j += kPanel)
          for (int64_t r = 0; r < rows; r += kTileRows) {
            Tile t;
            t.depth = depth;
            t.a = a + r * depth;
            t.b = b + j * depth;
            t.b_stride = 0;
            t.rows = lesser(kTileRows, rows - r);
            t.columns = columns - j;
            t.to = p.c + (r0 + r) * p.c_stride + j0 + j;
            t.to_stride = p.c_stride;
            t.from = t.to;
            t.from_stride = p.c_stride;
            t.ahead = r + kTileRows < rows ? t.to + kTileRows * p.c_stride : t.to - r * p.c_stride + kPanel;
            t.bias = t.residual = nullptr;
            t.residual_stride = 0;
            run_tile<Format, kTileRows, 1, true>(t);
          }
      }
    }
  }
}

static void column_sums(const float* a, int64_t stride, int64_t n, int64_t columns, float* out) {
  for (int64_t j = 0; j < columns; j += W) {
    const int64_t m = lesser(W, columns - j);
    vf s = load_some(out + j, m);
    for (int64_t i = 0; i < n; ++i) s = s + load_some(a + i * stride + j, m);
    store_some(out + j, s, m);
  }
}
