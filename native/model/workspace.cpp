#include "model/workspace.h"

#include <algorithm>

namespace siri {
namespace {

// Hands out 64-byte aligned pieces of a region; with a null base it only counts.
struct Bump {
  char* base;
  size_t used = 0;
  float* take(int64_t floats) {
    float* p = base ? reinterpret_cast<float*>(base + used) : nullptr;
    used += (static_cast<size_t>(floats) * sizeof(float) + 63) / 64 * 64;
    return p;
  }
};

}  // namespace

Workspace::~Workspace() {
  if (own_) backend_.release(own_);
}

void Workspace::place(void* memory, size_t bytes) {
  memory_ = static_cast<char*>(memory);
  capacity_ = bytes;
}

size_t Workspace::bytes(int64_t rows, int64_t selected, int64_t gathered) { return lay_out(nullptr, rows, selected, gathered); }

void Workspace::layout(int64_t rows, int64_t selected, int64_t gathered) {
  const size_t need = bytes(rows, selected, gathered);
  if (need > capacity_) {
    if (own_) {
      backend_.release(own_);
      own_ = memory_ = nullptr;
      capacity_ = 0;
    }
    memory_ = own_ = static_cast<char*>(backend_.allocate(need));
    capacity_ = need;
  }
  lay_out(memory_, rows, selected, gathered);
}

size_t Workspace::lay_out(char* base, int64_t R, int64_t S, int64_t G) {
  const DecoderConfig& c = config_;
  Bump b{base};
  const bool train = mode_ == Mode::kTrain;
  layers_.resize(train ? c.layers : 1);
  for (size_t i = 0; i < layers_.size(); ++i) {
    LayerBuffers& l = layers_[i];
    const int64_t Q = train && i + 1 == layers_.size() ? S : R;
    l.x = b.take(R * c.hidden);
    l.rstd1 = b.take(R);
    l.q = b.take(Q * c.q_dim());
    l.kv = b.take(R * 2 * c.kv_dim());
    l.raw_q = c.qk_norm ? b.take(Q * c.q_dim()) : nullptr;
    l.k = c.qk_norm ? b.take(R * c.kv_dim()) : nullptr;
    l.rstd_q = c.qk_norm ? b.take(Q * c.heads) : nullptr;
    l.rstd_k = c.qk_norm ? b.take(R * c.kv_heads) : nullptr;
    l.attn = b.take(Q * c.q_dim());
    l.lse = train ? b.take(Q * c.heads) : nullptr;
    l.mid = b.take(Q * c.hidden);
    l.rstd2 = b.take(Q);
    l.gate_up = b.take(Q * 2 * c.intermediate);
  }
  normed = b.take(R * c.hidden);
  normed_sel = b.take(S * c.hidden);
  x_sel = b.take(S * c.hidden);
  act = b.take(R * c.intermediate);
  out = b.take(S * c.hidden);
  rstd_out = b.take(S);
  hidden = b.take(S * c.hidden);
  head_hidden = b.take(G * c.hidden);
  if (!train) return b.used;
  dhidden = b.take(S * c.hidden);
  head_dhidden = b.take(G * c.hidden);
  dout = b.take(S * c.hidden);
  dx = b.take(R * c.hidden);
  dnormed = b.take(R * c.hidden);
  dnormed_sel = b.take(S * c.hidden);
  dq = b.take(R * c.q_dim());
  dq_raw = c.qk_norm ? b.take(R * c.q_dim()) : dq;
  dkv = b.take(R * 2 * c.kv_dim());
  dk = c.qk_norm ? b.take(R * 2 * c.kv_dim()) : dkv;
  dattn = b.take(R * c.q_dim());
  dgate_up = b.take(R * 2 * c.intermediate);
  dact = b.take(R * c.intermediate);
  return b.used;
}

}  // namespace siri
