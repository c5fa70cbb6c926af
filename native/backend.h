// The operations a device implements. The decoder (native/model) is written once over this; cpu/, reference/ and, later,
// cuda/ implement it. All tensors are float32, row-major and contiguous unless a comment says otherwise; sizes are in
// elements. "+=" marks outputs that are accumulated into. Float tensors and KV pages are device memory; everything else (tokens,
// positions, indices, segments, targets, sampling, seeds, log-probs, pointer lists) is host memory.
//
// Promise of every implementation: an output element is summed in an order that depends on neither the other rows of the
// call nor the number of threads. (Weight gradients sum over rows: there the order is that of the rows.)
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

namespace siri {

// Keys or values of one sequence: rows [kv_heads, head_dim] in pieces that lie anywhere: the pages of the cache, or in training the
// segments that lead from the root of a prefix tree to this one.
template <class T>
struct KvRowsOf {
  const T* const* pieces;  // piece i holds positions [ends[i - 1], ends[i])
  const int64_t* ends;     // ascending, the last at least the number of keys
  int64_t row_stride;      // between positions inside a piece, in elements
};
using KvRows = KvRowsOf<float>;

// Where the gradients of one segment's keys and values are added: piece by piece as its keys lie.
template <class T>
struct KvGradientsOf {
  T* const* keys;
  T* const* values;
};
using KvGradients = KvGradientsOf<float>;

// One sequence's part in an attention call: queries are its positions [key_count - query_count, key_count).
template <class T>
struct AttentionSegmentOf {
  int64_t query_row;    // first row of this segment in q / out
  int64_t query_count;  // >= 0
  int64_t key_count;    // >= query_count
  KvRowsOf<T> keys;
  KvRowsOf<T> values;
};
using AttentionSegment = AttentionSegmentOf<float>;

struct AttentionShape {
  int64_t heads;  // query heads, a multiple of kv_heads
  int64_t kv_heads;
  int64_t head_dim;
  float scale;  // 1 / sqrt(head_dim)
};

// How the distribution of a row was shaped when it was sampled; log-prob and entropy are those of that distribution.
// temperature > 0. top_k == 0 and top_p == 1 keep everything. Kept tokens are renormalised; a target outside the kept set has
// log-prob -inf and no gradient.
struct RowSampling {
  float temperature = 1.0f;
  int32_t top_k = 0;
  float top_p = 1.0f;
};

// Called once per chunk of head rows [begin, end): given log-probs and entropies, writes d loss / d logprob and
// d loss / d entropy for the same rows. Arrays are indexed from `begin`.
using TokenLoss =
    std::function<void(int64_t begin, int64_t end, const float* logprob, const float* entropy, float* dlogprob, float* dentropy)>;

// The same for a loss that reads the student's logits and a teacher's: given both rows [chunk, vocab], overwrites the student's
// logits with d loss / d logits.
using LogitLoss = std::function<void(int64_t begin, int64_t end, const float* logprob, float* logits, const float* teacher_logits)>;

// Divergence of a student's distribution to a teacher's, both at `temperature`. jsd mixes m = beta * teacher + (1 - beta) * student.
struct DivergenceSpec {
  enum class Kind { kForwardKl, kReverseKl, kJsd } kind = Kind::kForwardKl;
  double beta = 0.5;
  double temperature = 1.0;
};

struct AdamWStep {
  float lr, beta1, beta2, eps, weight_decay;
  float gradient_scale;  // from clipping
  int64_t step;          // 1-based, for the bias correction
};

// What AdamW's moments are kept in; arithmetic is float32.
enum class Moments { kFloat32, kBfloat16 };

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const char* name() const = 0;
  // Called by a thread before it calls anything else here, but for the one that made the device.
  virtual void enter_thread() {}

  // Device memory, zeroed, 64-byte aligned. Throws MemoryError with the numbers.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* p) = 0;
  virtual void upload(void* device, const void* host, size_t bytes) = 0;
  virtual void download(void* host, const void* device, size_t bytes) = 0;
  virtual void zero(void* device, size_t bytes) = 0;
  // Bytes of the copy of a weight [rows, columns] that this device keeps for products in one direction; 0 where it keeps none.
  virtual size_t packed_bytes(int64_t rows, int64_t columns, bool backward) const {
    (void)rows, (void)columns, (void)backward;
    return 0;
  }
  // Bytes of device memory that operations keep for themselves between calls: it grows to the largest operation.
  virtual size_t scratch_bytes() const { return 0; }
  // Whether a pass over the largest batch is to be run before the first real one, so that what grows has grown.
  virtual bool wants_warm_up() const { return false; }
  // Weights may have changed: packed copies are stale.
  virtual void weights_changed() = 0;

  // x[i, :] = table[tokens[i], :].  table [vocab, width], x [n, width]
  virtual void embed(const int32_t* tokens, int64_t n, const float* table, int64_t width, float* x) = 0;
  // dtable[tokens[i], :] += dx[i, :], rows in order.
  virtual void embed_backward(const int32_t* tokens, int64_t n, const float* dx, int64_t width, int64_t vocab, float* dtable) = 0;

  // y[i, :] = x[index[i], :]  and  x[index[i], :] += y[i, :] (indices distinct).
  virtual void gather_rows(const float* x, const int32_t* index, int64_t n, int64_t width, float* y) = 0;
  virtual void scatter_add_rows(const float* y, const int32_t* index, int64_t n, int64_t width, float* x) = 0;
  // y[i, :] = sum of x[index[k], :] over k in [starts[i], starts[i + 1]), in order. starts [n + 1]
  virtual void sum_rows(const float* x, const int32_t* index, const int64_t* starts, int64_t n, int64_t width, float* y) = 0;

  // Row i of x (x_stride between rows) goes to rows[i], `width` elements each: new keys and values go to their cache pages.
  // This body is for devices whose memory the host can write.
  virtual void store_rows(const float* x, int64_t x_stride, int64_t n, int64_t width, float* const* rows) {
    for (int64_t i = 0; i < n; ++i) std::memcpy(rows[i], x + i * x_stride, static_cast<size_t>(width) * sizeof(float));
  }

  // y = x / sqrt(mean(x^2) + eps) * weight over the last dimension; rstd [rows]. y may alias x only when rstd consumers do not
  // need x. Used for layer norms (rows = tokens) and for q/k norms (rows = tokens * heads, row stride given).
  virtual void rms_norm(const float* x, int64_t x_stride, const float* weight, int64_t rows, int64_t width, float eps, float* y,
                        int64_t y_stride, float* rstd) = 0;
  // dx = (accumulate ? dx : 0) + ...; dweight [width] +=.
  virtual void rms_norm_backward(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, const float* weight,
                                 const float* rstd, int64_t rows, int64_t width, float* dx, int64_t dx_stride, bool accumulate,
                                 float* dweight) = 0;

  // y [n, out] = x [n, in] * weight^T [out, in] + bias [out]? + residual [n, out]?   (bias, residual may be null;
  // y may alias residual). x_stride / y_stride: elements between rows, so that q, k and v can share one buffer.
  virtual void linear(const float* x, int64_t x_stride, const float* weight, const float* bias, const float* residual, int64_t n,
                      int64_t in, int64_t out, float* y, int64_t y_stride) = 0;
  // dx [n, in] = (accumulate ? dx : 0) + dy [n, out] * weight [out, in]
  virtual void linear_backward_input(const float* dy, int64_t dy_stride, const float* weight, int64_t n, int64_t in, int64_t out, float* dx,
                                     int64_t dx_stride, bool accumulate) = 0;
  // dweight [out, in] += dy^T x;  dbias [out] += column sums of dy (dbias may be null)
  virtual void linear_backward_weight(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, int64_t n, int64_t in,
                                      int64_t out, float* dweight, float* dbias) = 0;

  // Rotates pairs (d, d + head_dim / 2) in place (Hugging Face layout). cos, sin: [max_position, head_dim / 2].
  // x: n rows of `heads` heads, row_stride elements between rows. inverse = the backward pass.
  virtual void rope(float* x, int64_t row_stride, int64_t n, int64_t heads, int64_t head_dim, const int32_t* positions, const float* cos,
                    const float* sin, bool inverse) = 0;

  // The largest head_dim that attention takes.
  virtual int64_t most_head_dim() const { return INT64_MAX; }
  // Causal attention. q, out: rows of heads * head_dim with the given strides; lse [rows, heads] (log-sum-exp of the scaled
  // scores, may be null when no backward follows).
  virtual void attention(const float* q, int64_t q_stride, const AttentionSegment* segments, int64_t count, AttentionShape shape,
                         float* out, int64_t out_stride, float* lse) = 0;
  // Its gradient. gradients[s] belongs to segment s, whose keys and values have the same ends; rows are kv_stride apart. dq is
  // written, dk and dv are +=. Segments that share a piece share the first one and stand side by side: they add in their order.
  virtual void attention_backward(const float* q, int64_t q_stride, const float* out, const float* dout, int64_t out_stride,
                                  const float* lse, const AttentionSegment* segments, int64_t count, AttentionShape shape, float* dq,
                                  int64_t dq_stride, const KvGradients* gradients, int64_t kv_stride) = 0;

  // h = silu(gate) * up, elementwise over n = rows * width; gate_up holds [rows, 2 * width] (gate first).
  virtual void swiglu(const float* gate_up, int64_t rows, int64_t width, float* h) = 0;
  virtual void swiglu_backward(const float* gate_up, const float* dh, int64_t rows, int64_t width, float* dgate_up) = 0;

  // The head. hidden [n, width], head [vocab, width], target [n]; logprob, entropy [n] of the shaped distribution. Logits are
  // held for one chunk of rows at a time. entropy may be null.
  virtual void head_score(const float* hidden, const float* head, const int32_t* target, const RowSampling* sampling, int64_t n,
                          int64_t width, int64_t vocab, float* logprob, float* entropy) = 0;
  // The same with the loss's gradient: dhidden is written, dhead +=.
  virtual void head_train(const float* hidden, const float* head, const int32_t* target, const RowSampling* sampling, int64_t n,
                          int64_t width, int64_t vocab, const TokenLoss& loss, float* logprob, float* entropy, float* dhidden,
                          float* dhead) = 0;
  // Distillation through the head: teacher [n, width] is the teacher's hidden state under the same head, no gradient to it.
  virtual void head_distill(const float* hidden, const float* teacher, const float* head, const int32_t* target, int64_t n, int64_t width,
                            int64_t vocab, const LogitLoss& loss, float* logprob, float* dhidden, float* dhead) = 0;
  // For a LogitLoss: value [rows] = divergence of each student row to its teacher row [vocab]; logits are overwritten with
  // row_scale[i] * d value[i] / d logits. row_scale and value are host memory.
  virtual void divergence_rows(const DivergenceSpec& spec, const double* row_scale, int64_t rows, int64_t vocab, float* logits,
                               const float* teacher_logits, double* value) = 0;
  // Draws one token per row: token [n], logprob [n]. temperature 0 in `sampling` = arg max (lowest id on a tie), log-prob at
  // temperature 1. Random numbers: uniform(seed[i], 0, position[i]).
  virtual void head_sample(const float* hidden, const float* head, const RowSampling* sampling, const uint64_t* seed,
                           const uint64_t* position, int64_t n, int64_t width, int64_t vocab, int32_t* token, float* logprob) = 0;

  // Sum of squares in double, order fixed by n alone.
  virtual double sum_of_squares(const float* x, int64_t n) = 0;
  // m, v [n]: float or bfloat16, as `moments` says. In bfloat16 m is rounded to nearest. v changes by less than its last place at a step,
  // so it is rounded up with the probability of what is cut off (core/bfloat16.h), by a number that depends on the step and on first + i
  // alone, where element i of this call is element first + i of the whole.
  virtual void adamw(float* weight, const float* gradient, void* m, void* v, Moments moments, int64_t first, int64_t n,
                     const AdamWStep& step) = 0;
};

}  // namespace siri
