// How the matrix products hold their operands: words of 32 bits, packed along the summed index.
//   Float32    one float32 a word; fused multiply-adds in ascending order.
//   Bfloat16   operands rounded to bfloat16 (to nearest even, denormals to zero) as they are packed. Elements go in pairs, the second of a
//              pair before the first: the order of vdpbf16ps, which adds two products to a float32 sum, one fused rounding each.
//              With AVX512_BF16 a word is a pair; elsewhere it is one rounded value in float32, swapped inside its pair, and the
//              float32 kernel runs. A product of two bfloat16 is exact in float32, so both give the same bits, also without fma;
//              denormal sums are zero in both (Environment). Out of reach: products below 2^-126, which are lost without fma.

static inline int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
// Whole vectors without a mask, which costs the narrow instruction sets a round trip through memory.
static inline vf load_some(const float* p, int64_t n) { return n >= W ? load(p) : load_n(p, n); }
static inline void store_some(float* p, vf v, int64_t n) {
  if (n >= W)
    store(p, v);
  else
    store_n(p, v, n);
}

struct Float32 {
  static constexpr int64_t kRowElements = W;  // elements in W words of a row
  static constexpr int kGroup = 1, kGroupWords = 1;
  struct Environment {};
  static int64_t words(int64_t k) { return k; }
  static vf multiply_add(vf a, vf b, vf c) { return fma(a, b, c); }
  // The words of up to kRowElements elements of a row; the rest are zero.
  static vf row_words(const float* x, int64_t n) { return load_some(x, n); }
  // n words of W columns of one group of rows, kGroupWords rows of words `stride` apart.
  static void group_words(vf first, vf /*second*/, float* out, int64_t /*stride*/, int64_t n) { store_some(out, first, n); }
};

// Denormal operands and results count as zero while this lives.
class FlushDenormals {
 public:
  FlushDenormals() : saved_(get()) { set(saved_ | kFlush); }
  ~FlushDenormals() { set(saved_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#if defined(__x86_64__)
  static constexpr uint64_t kFlush = 0x8040;
  static uint64_t get() { return __builtin_ia32_stmxcsr(); }
  static void set(uint64_t v) { __builtin_ia32_ldmxcsr(static_cast<unsigned>(v)); }
#elif defined(__aarch64__)
  static constexpr uint64_t kFlush = uint64_t{1} << 24;
  static uint64_t get() {
    uint64_t v;
    asm volatile("mrs %0, fpcr" : "=r"(v));
    return v;
  }
  static void set(uint64_t v) { asm volatile("msr fpcr, %0" ::"r"(v)); }
#else
  static constexpr uint64_t kFlush = 0;
  static uint64_t get() { return 0; }
  static void set(uint64_t) {}
#endif
  uint64_t saved_;
};

#if defined(__AVX512BF16__)

struct Bfloat16 {
  static constexpr int64_t kRowElements = 2 * W;
  static constexpr int kGroup = 2, kGroupWords = 1;
  using Environment = FlushDenormals;
  static int64_t words(int64_t k) { return (k + 1) / 2; }
  static vf multiply_add(vf a, vf b, vf c) { return (vf)_mm512_dpbf16_ps((__m512)c, (__m512bh)a, (__m512bh)b); }
  static vf row_words(const float* x, int64_t n) {
    return (vf)_mm512_cvtne2ps_pbh((__m512)(n > W ? load_some(x + W, n - W) : zero()), (__m512)load_some(x, n));
  }
  static void group_words(vf first, vf second, float* out, int64_t /*stride*/, int64_t n) {
    const __m512i interleave = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4,
                                                19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
    store_some(out, (vf)_mm512_maskz_permutexvar_epi16((__mmask32)-1, interleave, both), n);
  }
};

#else

static inline vf round_to_bfloat16(vf x) {
  vi bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  const vi magnitude = bits & 0x7fffffff;
  vi rounded = bits + 0x7fff + ((bits >> 16) & 1);
  rounded = magnitude > 0x7f800000 ? bits | 0x00400000 : rounded;  // NaN
  rounded = magnitude < 0x00800000 ? bits & (vi{} - 0x7fffffff - 1) : rounded;
  rounded &= vi{} - 0x10000;
  vf y;
  __builtin_memcpy(&y, &rounded, sizeof y);
  return y;
}

template <int... L>
static inline vf swap_pairs(vf v, Lanes<L...>) {
  return shuffle<(L ^ 1)...>(v, v);
}

struct Bfloat16 {
  static constexpr int64_t kRowElements = W;
  static constexpr int kGroup = 2, kGroupWords = 2;
  using Environment = FlushDenormals;
  static int64_t words(int64_t k) { return (k + 1) / 2 * 2; }
  static vf multiply_add(vf a, vf b, vf c) { return fma(a, b, c); }
  static vf row_words(const float* x, int64_t n) { return swap_pairs(round_to_bfloat16(load_some(x, n)), AllLanes()); }
  static void group_words(vf first, vf second, float* out, int64_t stride, int64_t n) {
    store_some(out, round_to_bfloat16(second), n);
    store_some(out + stride, round_to_bfloat16(first), n);
  }
};

#endif
