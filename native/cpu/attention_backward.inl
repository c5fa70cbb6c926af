// Causal attention, backward, of the query heads of one kv head of one segment.
//
// Per kBackwardTile vectors: scores and dout . v into scratch, softmax and dS = scale * P (dout . v - dout . out) in place, dq from dS K;
// then dV += P^T dout and dK += dS^T q with the accumulators in registers. Key blocks after a tile's last query are never touched.
// dk and dv are one fma chain an element, over the vectors in order, that continues what is there; dq is one chain over keys. So no
// sum depends on threads or on the pieces that keys lie in, and no two threads write one element: work is cut by kv head and by
// segments that share no keys; those that do are taken one after the other.
// Keys in several pieces (and head dims that are no multiple of W) are copied into rows of their own, their dk and dv there and back.
// The softmax is taken again from the scores and not from lse: rounding lse to float32 costs 1e-5 where scores reach 100.

struct BackwardScratch {
  float *key_panels, *value_panels, *keys, *dk, *dv, *p, *ds, *queries, *douts, *sums;
  int64_t stride, padded, floats;
  BackwardScratch(const AttentionShape& shape, int64_t count, float* base) {
    Carve c{base};
    padded = round_up(shape.head_dim, W);
    stride = round_up(count, W);
    key_panels = c.take(stride * shape.head_dim);
    value_panels = c.take(stride * shape.head_dim);
    keys = c.take(count * padded);
    dk = c.take(count * padded);
    dv = c.take(count * padded);
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
    const int64_t w = n - d;
    total = w >= W ? fma(load(a + d), load(b + d), total) : fma(load_n(a + d, w), load_n(b + d, w), total);
  }
  return sum(total);
}

// Exponentials of a softmax in p and dout . v in ds, in place to P = p * inverse and dS = scale * P * (ds - delta) over [0, n), 0 up to
// `reach`. Lanes past n hold p = 0 and a finite ds already.
static inline void gradient_row(float* p, float* ds, int64_t n, int64_t reach, float inverse, float delta, float scale) {
  const vf by = set1(inverse), minus = set1(delta), scaled = set1(scale);
  int64_t j = 0;
  for (; j < n; j += W) {
    const vf e = load(p + j) * by;
    store(p + j, e);
    store(ds + j, e * (load(ds + j) - minus) * scaled);
  }
  for (; j < reach; j += W) {
    store(p + j, zero());
    store(ds + j, zero());
  }
}

static void attention_backward(const float* q, int64_t q_stride, const float* out, const float* dout, int64_t out_stride,
                               const AttentionSegment& segment, int64_t kv_head, AttentionShape shape, float* dq, int64_t dq_stride,
                               const KvGradients& gradients, int64_t kv_stride, float* scratch) {
  const int64_t dim = shape.head_dim, group = shape.heads / shape.kv_heads, offset = kv_head * dim;
  const int64_t keys = segment.key_count, before = keys - segment.query_count;
  const BackwardScratch s(shape, keys, scratch);
  const Vectors query = vectors(segment, kv_head, shape, q_stride), result = vectors(segment, kv_head, shape, out_stride),
                gradient = vectors(segment, kv_head, shape, dq_stride);
  const int64_t chunks = s.padded / W;

  pack_panels(segment.keys, offset, keys, dim, s.key_panels);
  pack_panels(segment.values, offset, keys, dim, s.value_panels);
  const KvRows dk{gradients.keys, segment.keys.ends, kv_stride}, dv{gradients.values, segment.keys.ends, kv_stride};
  const bool direct = s.padded == dim && segment.keys.ends[0] >= keys;
  const float* key_rows = segment.keys.pieces[0] + offset;
  int64_t key_stride = segment.keys.row_stride, sum_stride = kv_stride;
  float *dk_rows = gradients.keys[0] + offset, *dv_rows = gradients.values[0] + offset;
  if (!direct) {
    KvWalk key{segment.keys, offset}, dk_walk{dk, offset}, dv_walk{dv, offset};
    for (int64_t j = 0; j < keys; ++j) {
      copy_padded(key.at(j), dim, s.keys + j * s.padded, s.padded);
      copy_padded(dk_walk.at(j), dim, s.dk + j * s.padded, s.padded);
      copy_padded(dv_walk.at(j), dim, s.dv + j * s.padded, s.padded);
    }
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
      float maximum[kTile], total[kTile], delta[kTile];
      const float *query_rows[kTile], *dout_rows[kTile];
      for (int64_t m = 0; m < count; ++m) {
        const int64_t vector = v + t + m;
        float *query_row = s.queries + (t + m) * s.padded, *dout_row = s.douts + (t + m) * s.padded;
        copy_padded(q + query.at(vector), dim, query_row, s.padded);
        copy_padded(dout + result.at(vector), dim, dout_row, s.padded);
        delta[m] = dot_row(dout + result.at(vector), out + result.at(vector), dim);
        n[m] = before + vector / group + 1;
        query_rows[m] = query_row;
        dout_rows[m] = dout_row;
      }
      const int64_t panels = (n[count - 1] + W - 1) / W;

      scores(count, query_rows, s.key_panels, dim, panels, p, s.stride);
      softmax_rows(p, s.stride, count, n, shape.scale, maximum, total);
      scores(count, dout_rows, s.value_panels, dim, panels, ds, s.stride);
      for (int64_t m = 0; m < count; ++m)
        gradient_row(p + m * s.stride, ds + m * s.stride, n[m], reach, 1.0f / total[m], delta[m], shape.scale);

      for (int64_t i = 0; i < count * s.padded; ++i) s.sums[i] = 0.0f;
      weighted(count, ds, s.stride, n, key_rows, key_stride, chunks, s.sums, s.padded);
      for (int64_t m = 0; m < count; ++m) write_row(s.sums + m * s.padded, 1.0f, dim, dq + gradient.at(v + t + m));
    }
    outer_rows(s.p, s.stride, s.douts, s.padded, rows, reach, chunks, dv_rows, sum_stride);
    outer_rows(s.ds, s.stride, s.queries, s.padded, rows, reach, chunks, dk_rows, sum_stride);
  }

  if (!direct) {
    KvWalk dk_walk{dk, offset}, dv_walk{dv, offset};
    for (int64_t j = 0; j < keys; ++j) {
      std::memcpy(const_cast<float*>(dk_walk.at(j)), s.dk + j * s.padded, sizeof(float) * dim);
      std::memcpy(const_cast<float*>(dv_walk.at(j)), s.dv + j * s.padded, sizeof(float) * dim);
    }
  }
}
