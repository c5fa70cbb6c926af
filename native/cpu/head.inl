// The head, one row of logits at a time (float32, `vocab` of them): statistics, gradient, draw, divergence. Statistics read a row from
// the last-level cache once: each block of kSumBlock has a maximum of its own. Sums run over a block in float lanes, over blocks in
// double: fixed order, and as exact for 150,000 tokens as for 500. Logits of -inf are tokens that are not kept: they weigh
// nothing, and kFloor keeps 0 * inf out of the sums.

constexpr int64_t kSumBlock = 32 * W;
constexpr float kFloor = -1e30f;

static void divide_row(float* z, int64_t vocab, float temperature) {
  const vf t = set1(temperature);
  for (int64_t i = 0; i < vocab; i += W) {
    const int64_t n = lesser(W, vocab - i);
    store_some(z + i, load_some(z + i, n) / t, n);
  }
}

static inline vf load_logits(const float* z, int64_t n) { return n >= W ? load(z) : load_n(z, n, -__builtin_inff()); }

static float row_max(const float* z, int64_t vocab) {
  vf m = set1(-__builtin_inff());
  for (int64_t i = 0; i < vocab; i += W) m = max(load_logits(z + i, vocab - i), m);
  return max_lane(m);
}

// Sum of exp(z - max) over one block, and of exp(z - max) * (z - max). No logit is above max.
static inline float block_sum(const float* z, int64_t n, vf max_of_row, float* shift) {
  vf s = zero(), t = zero();
  for (int64_t i = 0; i < n; i += W) {
    const vf d = load_logits(z + i, n - i) - max_of_row;
    const vf e = exp_nonpositive(d);
    s = s + e;
    t = fma(e, max(d, set1(kFloor)), t);
  }
  *shift = sum(t);
  return sum(s);
}

// Blocks one by one, each against its own maximum; the sums so far move to the greater one of the two. max is -inf when nothing is kept
// or a logit is NaN.
static RowStatistics row_statistics(const float* z, int64_t vocab) {
  float m = -__builtin_inff();
  double s = 0.0, t = 0.0;
  for (int64_t i = 0; i < vocab; i += kSumBlock) {
    const int64_t n = lesser(kSumBlock, vocab - i);
    const float top = row_max(z + i, n), block_max = top > -__FLT_MAX__ ? top : -__FLT_MAX__;
    float shift;
    double block = static_cast<double>(block_sum(z + i, n, set1(block_max), &shift)), moment = static_cast<double>(shift);
    const double rise = static_cast<double>(block_max) - static_cast<double>(m), factor = __builtin_exp(rise > 0.0 ? -rise : rise);
    if (!(rise <= 0.0)) {
      t = s > 0.0 ? (t - s * rise) * factor : 0.0;
      s *= factor;
      m = block_max;
    } else {
      moment = (moment + block * rise) * factor;
      block *= factor;
    }
    s += block;
    t += moment;
  }
  return {s > 0.0 ? m : -__builtin_inff(), __builtin_log(s), t / s, s};
}

static void row_gradient(float* z, int64_t count, const RowStatistics& r, int64_t target, double dlogprob, double dentropy, double scale) {
  if (dlogprob == 0.0 && dentropy == 0.0) {
    for (int64_t i = 0; i < count; ++i) z[i] = 0.0f;
    return;
  }
  const vf m = set1(r.max), l = set1(static_cast<float>(r.log_sum));
  const vf c1 = set1(static_cast<float>(scale * (-dlogprob - dentropy * (r.log_sum - r.mean_shift))));
  const vf c2 = set1(static_cast<float>(-scale * dentropy));
  for (int64_t i = 0; i < count; i += W) {
    const int64_t n = lesser(W, count - i);
    const vf logp = load_logits(z + i, n) - m - l;
    store_some(z + i, exp_nonpositive(logp) * fma(c2, max(logp, set1(kFloor)), c1), n);
  }
  if (target >= 0 && target < count) z[target] += static_cast<float>(scale * dlogprob);
}

static int64_t row_draw(const float* z, int64_t vocab, const RowStatistics& r, double u) {
  const vf m = set1(r.max);
  const double goal = u * r.sum;
  double before = 0.0;
  int64_t last = 0;  // the last token with any weight: where rounding leaves the goal above the total
  for (int64_t i = 0; i < vocab; i += kSumBlock) {
    const int64_t n = lesser(kSumBlock, vocab - i);
    float unused;
    const double block = static_cast<double>(block_sum(z + i, n, m, &unused));
    if (block > 0.0) {
      const bool here = before + block > goal;
      if (here || i + n >= vocab) {
        double c = before;
        alignas(64) float e[W];
        for (int64_t j = 0; j < n; j += W) {
          store(e, exp(load_logits(z + i + j, n - j) - m));
          for (int64_t k = 0; k < lesser(W, n - j); ++k) {
            if (!(e[k] > 0.0f)) continue;
            c += static_cast<double>(e[k]);
            last = i + j + k;
            if (c > goal) return last;
          }
        }
        if (here) return last;
      } else {
        for (int64_t j = n - 1; j >= 0; --j)
          if (z[i + j] - r.max > -87.0f) {
            last = i + j;
            break;
          }
      }
    }
    before += block;
  }
  return last;
}

static int64_t row_arg_max(const float* z, int64_t vocab) {
  const float m = row_max(z, vocab);
  for (int64_t i = 0; i < vocab; ++i)
    if (z[i] == m) return i;
  return 0;
}

// log(1 + x) on [0, 1]: 2 atanh(x / (2 + x)), whose argument is at most 1/3.
static inline vf log1p_unit(vf x) {
  const vf s = x / (x + set1(2.0f)), q = s * s;
  vf p = set1(2.0f / 15);
  p = fma(p, q, set1(2.0f / 13));
  p = fma(p, q, set1(2.0f / 11));
  p = fma(p, q, set1(2.0f / 9));
  p = fma(p, q, set1(2.0f / 7));
  p = fma(p, q, set1(2.0f / 5));
  p = fma(p, q, set1(2.0f / 3));
  return fma(p * q, s, s + s);
}

static double row_divergence(float* z, const float* q, int64_t vocab, Divergence kind, double beta, bool gradient, double scale) {
  const RowStatistics rs = row_statistics(z, vocab), rq = row_statistics(q, vocab);
  const vf ms = set1(rs.max), ls = set1(static_cast<float>(rs.log_sum));
  const vf mq = set1(rq.max), lq = set1(static_cast<float>(rq.log_sum));
  const vf floor = set1(kFloor);
  const bool jsd = kind == Divergence::jsd;
  const vf log_teacher = set1(jsd ? static_cast<float>(__builtin_log(beta)) : 0.0f);
  const vf log_student = set1(jsd ? static_cast<float>(__builtin_log(1.0 - beta)) : 0.0f);
  // log of the mixture beta * teacher + (1 - beta) * student
  const auto mixture = [&](vf teacher, vf student) {
    const vf a = teacher + log_teacher, b = student + log_student;
    return max(a, b) + log1p_unit(exp(min(a, b) - max(a, b)));
  };

  double from_teacher = 0.0, from_student = 0.0;  // KL(teacher || other), KL(student || other)
  for (int64_t i = 0; i < vocab; i += kSumBlock) {
    vf a = zero(), b = zero();
    const int64_t end = lesser(i + kSumBlock, vocab);
    for (int64_t j = i; j < end; j += W) {
      const vf student = max(load_logits(z + j, end - j) - ms - ls, floor);
      const vf teacher = max(load_logits(q + j, end - j) - mq - lq, floor);
      if (jsd) {
        const vf mix = mixture(teacher, student);
        a = fma(exp(teacher), teacher - mix, a);
        b = fma(exp(student), student - mix, b);
      } else if (kind == Divergence::forward_kl) {
        a = fma(exp(teacher), teacher - student, a);
      } else {
        b = fma(exp(student), student - teacher, b);
      }
    }
    from_teacher += static_cast<double>(sum(a));
    from_student += static_cast<double>(sum(b));
  }

  if (gradient) {
    const vf by = set1(static_cast<float>(jsd ? scale * (1.0 - beta) : scale)), mean = set1(static_cast<float>(from_student));
    for (int64_t i = 0; i < vocab; i += W) {
      const int64_t n = lesser(W, vocab - i);
      const vf student = max(load_logits(z + i, n) - ms - ls, floor);
      const vf teacher = max(load_logits(q + i, n) - mq - lq, floor);
      vf g;
      if (kind == Divergence::forward_kl)
        g = exp(student) - exp(teacher);
      else
        g = exp(student) * (student - (jsd ? mixture(teacher, student) : teacher) - mean);
      store_some(z + i, by * g, n);
    }
  }
  if (jsd) return beta * from_teacher + (1.0 - beta) * from_student;
  return kind == Divergence::forward_kl ? from_teacher : from_student;
}

template <class Format>
static constexpr GemmTable gemm_table = {
    kTileRows,
    kPanel,
    Format::words,
    pack_transposed<Format>,
    pack_straight<Format>,
    rows_scratch<Format>,
    rows_product<Format>,
    outer_scratch,
    outer_product<Format>,
    column_sums,
    divide_row,
    row_statistics,
    row_gradient,
    row_draw,
    row_arg_max,
    row_divergence,
};
