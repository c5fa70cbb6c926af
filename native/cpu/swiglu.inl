// h = silu(gate) * up with silu(g) = g / (1 + exp(-g)); gate_up rows hold gate, then up. Elementwise, one pass; the exponential
// and one division an element are what it costs.

static void swiglu(const float* gate_up, int64_t begin, int64_t end, int64_t width, float* h) {
  const vf one = set1(1.0f);
  for (int64_t r = begin; r < end; ++r) {
    const float* gate = gate_up + r * 2 * width;
    const float* up = gate + width;
    float* hr = h + r * width;
    int64_t c = 0;
    for (; c + W <= width; c += W) {
      const vf g = load(gate + c);
      store(hr + c, g / (one + exp(-g)) * load(up + c));
    }
    if (c < width) {
      const vf g = load_n(gate + c, width - c);
      store_n(hr + c, g / (one + exp(-g)) * load_n(up + c, width - c), width - c);
    }
  }
}

// With s = sigmoid(g): dup = dh * g * s, dgate = dh * up * s * (1 + g * (1 - s)).
static void swiglu_backward(const float* gate_up, const float* dh, int64_t begin, int64_t end, int64_t width, float* dgate_up) {
  const vf one = set1(1.0f);
  for (int64_t r = begin; r < end; ++r) {
    const float* gate = gate_up + r * 2 * width;
    const float* dhr = dh + r * width;
    float* dgate = dgate_up + r * 2 * width;
    for (int64_t c = 0; c < width; c += W) {
      const int64_t n = width - c < W ? width - c : W;
      const bool full = n == W;
      const vf g = full ? load(gate + c) : load_n(gate + c, n);
      const vf u = full ? load(gate + width + c) : load_n(gate + width + c, n);
      const vf d = full ? load(dhr + c) : load_n(dhr + c, n);
      const vf s = one / (one + exp(-g));
      const vf ds = d * s;
      const vf dup = ds * g, dg = ds * u * fma(g, one - s, one);
      if (full) {
        store(dgate + c, dg);
        store(dgate + width + c, dup);
      } else {
        store_n(dgate + c, dg, n);
        store_n(dgate + width + c, dup, n);
      }
    }
  }
}
