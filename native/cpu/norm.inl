// RMS norm. x, y, dx: rows of `width` float32; two passes over a row that the first pass leaves in the first-level cache.
// Sums over a row: lane = column mod W, four accumulators by (column / W) mod 4, then a fixed tree; nothing depends on other
// rows.

struct RowSum {
  vf part[4] = {zero(), zero(), zero(), zero()};
  float total() const { return sum((part[0] + part[1]) + (part[2] + part[3])); }
};

static void rms_norm(const float* x, int64_t x_stride, const float* weight, int64_t begin, int64_t end, int64_t width, float eps, float* y,
                     int64_t y_stride, float* rstd) {
  for (int64_t r = begin; r < end; ++r) {
    const float* xr = x + r * x_stride;
    float* yr = y + r * y_stride;
    RowSum s;
    int64_t c = 0;
    for (; c + 4 * W <= width; c += 4 * W)
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        const vf v = load(xr + c + k * W);
        s.part[k] = fma(v, v, s.part[k]);
      }
    for (int k = 0; c < width; c += W, ++k) {
      const vf v = load_n(xr + c, width - c < W ? width - c : W);
      s.part[k] = fma(v, v, s.part[k]);
    }
    const float scale = 1.0f / __builtin_sqrtf(s.total() / static_cast<float>(width) + eps);
    rstd[r] = scale;
    const vf vs = set1(scale);
    for (c = 0; c + W <= width; c += W) store(yr + c, load(xr + c) * vs * load(weight + c));
    if (c < width) store_n(yr + c, load_n(xr + c, width - c) * vs * load_n(weight + c, width - c), width - c);
  }
}

// With u = x * rstd and g = dy * weight: dx = rstd * (g - u * mean(g * u)), dweight += dy * u.
static void rms_norm_backward(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, const float* weight, const float* rstd,
                              int64_t begin, int64_t end, int64_t width, float* dx, int64_t dx_stride, bool accumulate, float* dweight) {
  for (int64_t r = begin; r < end; ++r) {
    const float* xr = x + r * x_stride;
    const float* dyr = dy + r * dy_stride;
    float* dxr = dx + r * dx_stride;
    const vf vs = set1(rstd[r]);
    RowSum s;
    int64_t c = 0;
    const auto add = [&](int k, vf d, vf w, vf u) __attribute__((always_inline)) { s.part[k] = fma(d * w, u, s.part[k]); };
    for (; c + 4 * W <= width; c += 4 * W)
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        const vf d = load(dyr + c + k * W), u = load(xr + c + k * W) * vs;
        add(k, d, load(weight + c + k * W), u);
        store(dweight + c + k * W, fma(d, u, load(dweight + c + k * W)));
      }
    for (int k = 0; c < width; c += W, ++k) {
      const int64_t n = width - c < W ? width - c : W;
      const vf d = load_n(dyr + c, n), u = load_n(xr + c, n) * vs;
      add(k, d, load_n(weight + c, n), u);
      store_n(dweight + c, fma(d, u, load_n(dweight + c, n)), n);
    }
    const vf mean = set1(s.total() / static_cast<float>(width));
    for (c = 0; c < width; c += W) {
      const int64_t n = width - c < W ? width - c : W;
      const bool full = n == W;
      const vf g = full ? load(dyr + c) * load(weight + c) : load_n(dyr + c, n) * load_n(weight + c, n);
      const vf u = (full ? load(xr + c) : load_n(xr + c, n)) * vs;
      vf out = vs * (g - u * mean);
      if (accumulate) out = (full ? load(dxr + c) : load_n(dxr + c, n)) + out;
      if (full)
        store(dxr + c, out);
      else
        store_n(dxr + c, out, n);
    }
  }
}
