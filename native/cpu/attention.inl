// Causal attention of the query heads of one kv head of one segment, forward.
//
// K of the chunk's prefix is transposed once into panels [key / W][head_dim][W]. Per tile of vectors: scores [vectors, keys] into
// scratch, the exact maximum, exponentials and their sum, then the weighted sum over V. Two passes over a score row, which stays in
// the first-level cache up to about 1,000 keys.
//
// Which bits come out: a score is one fma chain over head_dim; the sum of a row has lanes by absolute key index; out is one
// fma chain over keys in ascending order, stopped at the row's own last key. So a row's result depends on its query and the
// keys and values before it, not on its tile, its chunk, the pieces the keys lie in, or threads.
//
// Measured on one core of a shared AMD EPYC (Zen 5, AVX-512), best of 12: 64 sequences of 150 tokens, 4/2 heads of 32: 4.1 ms forward
// (90 GFLOP/s of the causal half), 8.3 ms backward (112); 2,048 tokens, 12/2 heads of 128: 67 ms (190) and 180 ms (180).
// At 150 tokens half of the time is the products, a quarter the exponentials.
// Lost: lane sums through memory (1.5 times slower at 150 tokens), queries packed into tile order (15% of the time).

#include "cpu/attention_tiles.inl"

// Dot products of `count` vectors in place to exp(scale * dot - maximum) over [0, n[m]), 0 to the end of the last panel, and their
// sums. Pass by pass over all vectors, so that no pass waits for a lane sum.
static inline void softmax_rows(float* s, int64_t stride, int64_t count, const int64_t* n, float scale, float* maximum, float* total) {
  const vf none = set1(-std::numeric_limits<float>::infinity()), by = set1(scale);
  vi lane;
  for (int i = 0; i < W; ++i) lane[i] = i;
  for (int64_t m = 0; m < count; ++m) {
    float* row = s + m * stride;
    const int64_t whole = n[m] / W * W, rest = n[m] - whole;
    if (rest > 0) store(row + whole, lane < static_cast<int32_t>(rest) ? load(row + whole) : none);
    vf top = none;
    for (int64_t j = 0; j < n[m]; j += W) top = max(load(row + j) * by, top);
    maximum[m] = max_lane(top);
  }
  vf part[kTile];
  for (int64_t m = 0; m < count; ++m) {
    float* row = s + m * stride;
    const vf shift = set1(maximum[m]);
    vf sums = zero();
    for (int64_t j = 0; j < n[m]; j += W) {
      const vf e = exp_nonpositive(load(row + j) * by - shift);
      store(row + j, e);
      sums = sums + e;
    }
    part[m] = sums;
  }
  for (int64_t m = 0; m < count; ++m) total[m] = sum(part[m]);
}

static void write_row(const float* from, float factor, int64_t dim, float* to) {
  int64_t d = 0;
  for (; d + W <= dim; d += W) store(to + d, load(from + d) * set1(factor));
  if (d < dim) store_n(to + d, load_n(from + d, dim - d) * set1(factor), dim - d);
}

struct ForwardScratch {
  float *panels, *values, *scores, *sums;
  int64_t stride, padded, floats;
  ForwardScratch(const AttentionShape& shape, int64_t keys, float* base) {
    Carve c{base};
    padded = round_up(shape.head_dim, W);
    stride = round_up(keys, W);
    panels = c.take(stride * shape.head_dim);
    values = c.take(padded == shape.head_dim ? 0 : keys * padded);
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
  if (!direct) {
    KvWalk walk{segment.values, offset};
    for (int64_t j = 0; j < keys; ++j) copy_padded(walk.at(j), dim, s.values + j * s.padded, s.padded);
  }

  for (int64_t v = begin * group; v < end * group; v += kTile) {
    const int64_t count = smaller(kTile, end * group - v);
    int64_t n[kTile];
    float maximum[kTile], total[kTile];
    const float* rows[kTile];
    for (int64_t m = 0; m < count; ++m) {
      n[m] = before + (v + m) / group + 1;
      rows[m] = q + from.at(v + m);
    }
    const int64_t reach = n[count - 1];

    scores(count, rows, s.panels, dim, (reach + W - 1) / W, s.scores, s.stride);
    softmax_rows(s.scores, s.stride, count, n, shape.scale, maximum, total);
    if (lse != nullptr)
      for (int64_t m = 0; m < count; ++m) {
        const int64_t row = segment.query_row + (v + m) / group, head = kv_head * group + (v + m) % group;
        lse[row * shape.heads + head] = maximum[m] + __builtin_logf(total[m]);
      }

    for (int64_t i = 0; i < count * s.padded; ++i) s.sums[i] = 0.0f;
    if (direct) {
      const KvRows& values = segment.values;
      for (int64_t first = 0, b = 0; first < reach; first = values.ends[b++]) {
        // The part of every row's range that lies in this piece; whole rows may lie before it.
        int64_t part[kTile], skip = 0;
        for (int64_t m = 0; m < count; ++m) {
          part[m] = smaller(n[m], values.ends[b]) - first;
          if (part[m] <= 0) skip = m + 1;
        }
        weighted(count - skip, s.scores + skip * s.stride + first, s.stride, part + skip, values.pieces[b] + offset, values.row_stride,
                 s.padded / W, s.sums + skip * s.padded, s.padded);
      }
    } else {
      weighted(count, s.scores, s.stride, n, s.values, s.padded, s.padded / W, s.sums, s.padded);
    }
    for (int64_t m = 0; m < count; ++m) write_row(s.sums + m * s.padded, 1.0f / total[m], dim, out + to.at(v + m));
  }
}
