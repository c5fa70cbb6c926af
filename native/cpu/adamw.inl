// The optimiser's elementwise step and the sum of squares that clipping needs. Both are bound by memory: AdamW reads four
// arrays and writes three, once.

// Decoupled weight decay (Loshchilov and Hutter 2019), bias corrections in double:
//   g = gradient_scale * gradient; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2
//   weight = weight (1 - lr wd) - lr / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)
static void adamw(float* weight, const float* gradient, float* m, float* v, int64_t begin, int64_t end, const AdamWStep& step) {
  const double t = static_cast<double>(step.step);
  const double first = 1.0 - __builtin_pow(static_cast<double>(step.beta1), t);
  const double second = 1.0 - __builtin_pow(static_cast<double>(step.beta2), t);
  const vf scale = set1(step.gradient_scale), b1 = set1(step.beta1), b2 = set1(step.beta2);
  const vf c1 = set1(1.0f - step.beta1), c2 = set1(1.0f - step.beta2), eps = set1(step.eps);
  const vf rate = set1(static_cast<float>(step.lr / first));
  const vf root = set1(static_cast<float>(1.0 / __builtin_sqrt(second)));
  const vf keep = set1(static_cast<float>(1.0 - static_cast<double>(step.lr) * step.weight_decay));
  for (int64_t i = begin; i < end; i += W) {
    const int64_t n = end - i < W ? end - i : W;
    const bool full = n == W;
    const vf g = (full ? load(gradient + i) : load_n(gradient + i, n)) * scale;
    const vf mn = fma(b1, full ? load(m + i) : load_n(m + i, n), c1 * g);
    const vf vn = fma(b2, full ? load(v + i) : load_n(v + i, n), c2 * g * g);
    const vf w = (full ? load(weight + i) : load_n(weight + i, n)) * keep - rate * mn / fma(sqrt(vn), root, eps);
    if (full) {
      store(m + i, mn);
      store(v + i, vn);
      store(weight + i, w);
    } else {
      store_n(m + i, mn, n);
      store_n(v + i, vn, n);
      store_n(weight + i, w, n);
    }
  }
}

typedef float half_vf __attribute__((vector_size(W * 2)));
typedef double half_vd __attribute__((vector_size(W * 4)));

static double sum_of_squares(const float* x, int64_t n) {
  constexpr int H = W / 2;
  half_vd part[4] = {};
  int64_t i = 0;
  for (; i + 4 * H <= n; i += 4 * H)
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      half_vf f;
      std::memcpy(&f, x + i + k * H, sizeof f);
      const half_vd d = __builtin_convertvector(f, half_vd);
      part[k] += d * d;
    }
  const half_vd all = (part[0] + part[1]) + (part[2] + part[3]);
  double total = 0.0;
  for (int k = 0; k < H; ++k) total += all[k];
  for (; i < n; ++i) total += static_cast<double>(x[i]) * x[i];
  return total;
}
