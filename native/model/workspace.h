// Activations of one pass: pointers are laid out for (rows, selected rows) before the pass, in memory that was planned for the largest
// batch. A batch that is larger all the same (one long row) gets memory of its own, which is kept. Knows the buffers' sizes, not what is
// computed in them.
#pragma once
#include <vector>

#include "backend.h"
#include "model/config.h"

namespace siri {

// R = rows of the batch; Q = rows with queries: R, or the selected rows in the last layer.
struct LayerBuffers {
  float* x;        // (R, hidden) the layer's input
  float* rstd1;    // (R)
  float* q;        // (Q, q_dim) rotated
  float* kv;       // (R, 2 * kv_dim) keys (rotated; raw with q/k norms), then values
  float* raw_q;    // (Q, q_dim) before the q norm; only with q/k norms
  float* k;        // (R, kv_dim) normed and rotated keys; only with q/k norms
  float* rstd_q;   // (Q, heads)
  float* rstd_k;   // (kv_heads, R)
  float* attn;     // (Q, q_dim)
  float* lse;      // (Q, heads)
  float* mid;      // (Q, hidden) after attention
  float* rstd2;    // (Q)
  float* gate_up;  // (Q, 2 * intermediate)
};

class Workspace {
 public:
  enum class Mode { kForward, kTrain };

  Workspace(Backend& backend, const DecoderConfig& config, Mode mode) : backend_(backend), config_(config), mode_(mode) {}
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // Bytes a pass over `rows` rows needs, `selected` of them selected, `gathered` rows of them for the head.
  size_t bytes(int64_t rows, int64_t selected, int64_t gathered);
  // Memory of the device to lay buffers out in. No pass may have been laid out before.
  void place(void* memory, size_t bytes);
  void layout(int64_t rows, int64_t selected, int64_t gathered);

  // In forward mode all layers share one set of buffers.
  const LayerBuffers& layer(int64_t i) const { return layers_[mode_ == Mode::kTrain ? i : 0]; }

  // Scratch of the forward pass.
  float* normed;       // (R, hidden)
  float* normed_sel;   // (S, hidden) gathered for the last layer's queries
  float* x_sel;        // (S, hidden) its residual stream
  float* act;          // (R, intermediate)
  float* out;          // (S, hidden) before the final norm
  float* rstd_out;     // (S)
  float* hidden;       // (S, hidden) after the final norm
  float* head_hidden;  // (G, hidden) gathered for the head
  // Scratch of the backward pass (kTrain only).
  float* dhidden;       // (S, hidden)
  float* head_dhidden;  // (G, hidden)
  float* dout;          // (S, hidden)
  float* dx;            // (R, hidden)
  float* dnormed;       // (R, hidden)
  float* dnormed_sel;   // (S, hidden)
  float* dq;            // (R, q_dim)
  float* dq_raw;        // (R, q_dim) only with q/k norms, else dq
  float* dk;            // (R, 2 * kv_dim) gradient of rotated keys in its first half; only with q/k norms, else dkv
  float* dkv;           // (R, 2 * kv_dim)
  float* dattn;         // (R, q_dim)
  float* dgate_up;      // (R, 2 * intermediate)
  float* dact;          // (R, intermediate)

 private:
  size_t lay_out(char* base, int64_t rows, int64_t selected, int64_t gathered);

  Backend& backend_;
  DecoderConfig config_;
  Mode mode_;
  char* memory_ = nullptr;
  char* own_ = nullptr;  // what was taken here
  size_t capacity_ = 0;
  std::vector<LayerBuffers> layers_;
};

}  // namespace siri
