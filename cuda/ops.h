// The operations of this folder as functions of host code: they check nothing, take scratch from the device and launch. Pointers
// are device memory unless `host_` stands before their name; T is float or bf16, all arithmetic is float32. Shapes: native/backend.h,
// where a comment says no other.
#pragma once
#include "backend.h"
#include "cpu/gigpo.h"
#include "gemm.h"
#include "runtime.h"

namespace siri::SIRI_DEVICE {

// embedding.cu
template <class T>
void embed(Device& device, const int32_t* host_tokens, int64_t n, const T* table, int64_t width, T* x);
template <class T>
void embed_backward(Device& device, const int32_t* host_tokens, int64_t n, const T* dx, int64_t width, float* dtable);
template <class T>
void gather_rows(Device& device, const T* x, const int32_t* host_index, int64_t n, int64_t width, T* y);
template <class T>
void scatter_add_rows(Device& device, const T* y, const int32_t* host_index, int64_t n, int64_t width, T* x);
template <class T>
void sum_rows(Device& device, const T* x, const int32_t* host_index, const int64_t* host_starts, int64_t n, int64_t width, T* y);
template <class T>
void store_rows(Device& device, const T* x, int64_t x_stride, int64_t n, int64_t width, T* const* host_rows);

// norm.cu
template <class T>
void rms_norm(Device& device, const T* x, int64_t x_stride, const float* weight, int64_t rows, int64_t width, float eps, T* y,
              int64_t y_stride, float* rstd);
template <class T>
void rms_norm_backward(Device& device, const T* dy, int64_t dy_stride, const T* x, int64_t x_stride, const float* weight, const float* rstd,
                       int64_t rows, int64_t width, T* dx, int64_t dx_stride, bool accumulate, float* dweight);

// linear.cu. T: what the operands of the products are, float or bf16 (of RoundedWeights).
template <class T>
void linear(Device& device, const float* x, int64_t x_stride, const Rows<T>& weight, const float* bias, const float* residual, int64_t n,
            int64_t in, int64_t out, float* y, int64_t y_stride);
template <class T>
void linear_backward_input(Device& device, const float* dy, int64_t dy_stride, const Rows<T>& weight, int64_t n, int64_t in, int64_t out,
                           float* dx, int64_t dx_stride, bool accumulate);
template <class T>
void linear_backward_weight(Device& device, const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, int64_t n, int64_t in,
                            int64_t out, float* dweight, float* dbias);

// rope.cu
template <class T>
void rope(Device& device, T* x, int64_t row_stride, int64_t n, int64_t heads, int64_t head_dim, const int32_t* host_positions,
          const float* cos, const float* sin, bool inverse);

// attention.cu. The largest head_dim.
constexpr int kMostHeadDim = 128;
// Tables of the last calls, made again when segments change (attention_plan.cuh).
template <class T>
class AttentionPlans;
// E: type of the operands of products (T, or bf16). Segments are host memory; what they point to in the end is the device's.
template <class T, class E>
void attention(AttentionPlans<T>& plans, const T* q, int64_t q_stride, const AttentionSegmentOf<T>* host_segments, int64_t count,
               const AttentionShape& shape, T* out, int64_t out_stride, float* lse);
// attention_backward.cu
template <class T, class E>
void attention_backward(AttentionPlans<T>& plans, const T* q, int64_t q_stride, const T* out, const T* dout, int64_t out_stride,
                        const float* lse, const AttentionSegmentOf<T>* host_segments, int64_t count, const AttentionShape& shape, T* dq,
                        int64_t dq_stride, const KvGradientsOf<T>* host_gradients, int64_t kv_stride);

// swiglu.cu
template <class T>
void swiglu(Device& device, const T* gate_up, int64_t rows, int64_t width, T* h);
template <class T>
void swiglu_backward(Device& device, const T* gate_up, const T* dh, int64_t rows, int64_t width, T* dgate_up);

// adamw.cu. M: type of the moments; element i of the call is element first + i of the whole.
template <class M>
void adamw(Device& device, float* weight, const float* gradient, M* m, M* v, int64_t first, int64_t n, const AdamWStep& step);
// Waits for the result.
double sum_of_squares(Device& device, const float* x, int64_t n);

// head.cu. hidden, teacher [n, width] and head [vocab, width] are operands of products (float, or bf16: rounded); what is marked host is
// there on return, gradients come in the order of the stream. host_entropy and host_logsumexp may be null.
template <class T>
void head_score(Device& device, const Rows<T>& hidden, const Rows<T>& head, const int32_t* host_target, const RowSampling* host_sampling,
                int64_t n, int64_t width, int64_t vocab, float* host_logprob, float* host_entropy, float* host_logsumexp = nullptr);
// The loss is called once, by a thread of the device's.
template <class T>
void head_train(Device& device, const Rows<T>& hidden, const Rows<T>& head, const int32_t* host_target, const RowSampling* host_sampling,
                int64_t n, int64_t width, int64_t vocab, const TokenLoss& loss, float* host_logprob, float* host_entropy, float* dhidden,
                float* dhead);
// The loss may use the device, but not begin().
template <class T>
void head_distill(Device& device, const Rows<T>& hidden, const Rows<T>& teacher, const Rows<T>& head, const int32_t* host_target, int64_t n,
                  int64_t width, int64_t vocab, const LogitLoss& loss, float* host_logprob, float* dhidden, float* dhead);

// sample.cu. Throws NumericError when a row's logits are not finite.
template <class T>
void head_sample(Device& device, const Rows<T>& hidden, const Rows<T>& head, const RowSampling* host_sampling, const uint64_t* host_seed,
                 const uint64_t* host_position, int64_t n, int64_t width, int64_t vocab, int32_t* host_token, float* host_logprob);

// distill.cu. host_row_scale may be null: the value alone. Waits for the value.
template <class T>
void divergence_rows(Device& device, const DivergenceSpec& spec, const double* host_row_scale, int64_t rows, int64_t vocab, T* logits,
                     const T* teacher_logits, double* host_value);

// gigpo.cu. Everything on the device; trajectories of a group stand next to each other.
struct GroupedSteps {
  int64_t groups, trajectories, steps, tokens;
  int64_t largest_group;            // steps of the largest group
  const int32_t* group_begin;       // [groups + 1] first trajectory of a group
  const int32_t* trajectory_begin;  // [trajectories + 1] first step of a trajectory
  const int32_t* state;             // [steps] equal numbers inside a group form a step group
  const double* reward;             // [steps]
  const uint8_t* valid;             // [steps]
  const int64_t* token_begin;       // [steps + 1] first token of a step; null when tokens == 0
};
// step_return, episode, step, advantage [steps] as in cpu/gigpo.h; token_advantage [tokens].
struct GroupedAdvantages {
  double *step_return, *episode, *step, *advantage;
  float* token_advantage;
};
void grouped_advantages(Device& device, const cpu::GigpoSpec& spec, const GroupedSteps& in, const GroupedAdvantages& out);

}  // namespace siri::SIRI_DEVICE
