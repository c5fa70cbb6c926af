// Rotary positions, Hugging Face layout: pairs (d, d + head_dim / 2) of every head turned by the row's angles, in place.
// One pass; the inverse turns back, which is also the backward pass.

static void rope(float* x, int64_t row_stride, int64_t begin, int64_t end, int64_t heads, int64_t head_dim, const int32_t* positions,
                 const float* cos, const float* sin, bool inverse) {
  const int64_t half = head_dim / 2;
  for (int64_t r = begin; r < end; ++r) {
    const float* cr = cos + positions[r] * half;
    const float* sr = sin + positions[r] * half;
    for (int64_t d = 0; d < half; d += W) {
      const int64_t n = half - d < W ? half - d : W;
      const bool full = n == W;
      const vf c = full ? load(cr + d) : load_n(cr + d, n);
      vf s = full ? load(sr + d) : load_n(sr + d, n);
      if (inverse) s = -s;
      for (int64_t h = 0; h < heads; ++h) {
        float* low = x + r * row_stride + h * head_dim + d;
        float* high = low + half;
        const vf a = full ? load(low) : load_n(low, n), b = full ? load(high) : load_n(high, n);
        const vf turned_a = fma(a, c, -(b * s)), turned_b = fma(b, c, a * s);
        if (full) {
          store(low, turned_a);
          store(high, turned_b);
        } else {
          store_n(low, turned_a, n);
          store_n(high, turned_b, n);
        }
      }
    }
  }
}
