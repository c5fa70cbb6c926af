// The backward pass, in the reverse order of Decoder::forward. Norm outputs and MLP activations are computed again instead of
// being kept: they are cheaper to make than to fetch from memory.
#include "model/decoder.h"

namespace siri {

void Decoder::backward_attention(const PackedBatch& batch, Workspace& ws, int64_t layer, bool last) {
  const DecoderConfig& c = config_;
  const LayerBuffers& l = ws.layer(layer);
  const LayerOffsets& o = weights_.layer(layer);
  const auto R = static_cast<int64_t>(batch.tokens.size());
  const int64_t Q = last ? static_cast<int64_t>(batch.selected.size()) : R;
  const int64_t kv = c.kv_dim();
  const int32_t* q_positions = (last ? batch.selected_positions : batch.positions).data();

  make_segments(batch, kv_view(l), layer, last);
  dk_pieces_.clear();
  dv_pieces_.clear();
  for (const int64_t row : piece_rows_) {
    dk_pieces_.push_back(ws.dk + row * 2 * kv);
    dv_pieces_.push_back(ws.dkv + row * 2 * kv + kv);
  }
  gradients_.clear();
  for (const AttentionSegment& a : segments_) {
    const auto at = a.keys.ends - piece_ends_.data();
    gradients_.push_back({dk_pieces_.data() + at, dv_pieces_.data() + at});
  }
  const size_t dkv_bytes = static_cast<size_t>(R * 2 * kv) * sizeof(float);
  backend_.zero(ws.dkv, dkv_bytes);
  if (c.qk_norm) backend_.zero(ws.dk, dkv_bytes);
  backend_.attention_backward(l.q, c.q_dim(), l.attn, ws.dattn, c.q_dim(), l.lse, segments_.data(), static_cast<int64_t>(segments_.size()),
                              shape_, ws.dq, c.q_dim(), gradients_.data(), 2 * kv);
  backend_.rope(ws.dq, c.q_dim(), Q, c.heads, c.head_dim, q_positions, cos_, sin_, true);
  backend_.rope(ws.dk, 2 * kv, R, c.kv_heads, c.head_dim, batch.positions.data(), cos_, sin_, true);
  if (c.qk_norm) {
    backend_.rms_norm_backward(ws.dq, c.head_dim, l.raw_q, c.head_dim, w(o.q_norm), l.rstd_q, Q * c.heads, c.head_dim, ws.dq_raw,
                               c.head_dim, false, g(o.q_norm));
    for (int64_t h = 0; h < c.kv_heads; ++h)
      backend_.rms_norm_backward(ws.dk + h * c.head_dim, 2 * kv, l.kv + h * c.head_dim, 2 * kv, w(o.k_norm), l.rstd_k + h * R, R,
                                 c.head_dim, ws.dkv + h * c.head_dim, 2 * kv, false, g(o.k_norm));
  }
}

void Decoder::backward(const PackedBatch& batch, Workspace& ws) {
  const DecoderConfig& c = config_;
  const auto R = static_cast<int64_t>(batch.tokens.size());
  const auto S = static_cast<int64_t>(batch.selected.size());
  backend_.rms_norm_backward(ws.dhidden, c.hidden, ws.out, c.hidden, w(weights_.final_norm()), ws.rstd_out, S, c.hidden, ws.dout, c.hidden,
                             false, g(weights_.final_norm()));
  for (int64_t i = c.layers - 1; i >= 0; --i) {
    const LayerBuffers& l = ws.layer(i);
    const LayerOffsets& o = weights_.layer(i);
    const bool last = i + 1 == c.layers;
    const int64_t Q = last ? S : R;
    float* dx = last ? ws.dout : ws.dx;  // gradient of the residual stream, (Q, hidden)

    // MLP.
    backend_.rms_norm(l.mid, c.hidden, w(o.norm2), Q, c.hidden, c.rms_eps, ws.normed, c.hidden, l.rstd2);
    backend_.swiglu(l.gate_up, Q, c.intermediate, ws.act);
    backend_.linear_backward_weight(dx, c.hidden, ws.act, c.intermediate, Q, c.intermediate, c.hidden, g(o.down), nullptr);
    backend_.linear_backward_input(dx, c.hidden, w(o.down), Q, c.intermediate, c.hidden, ws.dact, c.intermediate, false);
    backend_.swiglu_backward(l.gate_up, ws.dact, Q, c.intermediate, ws.dgate_up);
    backend_.linear_backward_weight(ws.dgate_up, 2 * c.intermediate, ws.normed, c.hidden, Q, c.hidden, 2 * c.intermediate, g(o.gate_up),
                                    nullptr);
    backend_.linear_backward_input(ws.dgate_up, 2 * c.intermediate, w(o.gate_up), Q, c.hidden, 2 * c.intermediate, ws.dnormed, c.hidden,
                                   false);
    backend_.rms_norm_backward(ws.dnormed, c.hidden, l.mid, c.hidden, w(o.norm2), l.rstd2, Q, c.hidden, dx, c.hidden, true, g(o.norm2));

    // Attention.
    backend_.linear_backward_weight(dx, c.hidden, l.attn, c.q_dim(), Q, c.q_dim(), c.hidden, g(o.o), nullptr);
    backend_.linear_backward_input(dx, c.hidden, w(o.o), Q, c.q_dim(), c.hidden, ws.dattn, c.q_dim(), false);
    backward_attention(batch, ws, i, last);
    backend_.rms_norm(l.x, c.hidden, w(o.norm1), R, c.hidden, c.rms_eps, ws.normed, c.hidden, l.rstd1);
    backend_.linear_backward_weight(ws.dkv, 2 * c.kv_dim(), ws.normed, c.hidden, R, c.hidden, 2 * c.kv_dim(), g(o.kv), g(o.kv_bias));
    backend_.linear_backward_input(ws.dkv, 2 * c.kv_dim(), w(o.kv), R, c.hidden, 2 * c.kv_dim(), ws.dnormed, c.hidden, false);
    if (last) {
      backend_.gather_rows(ws.normed, batch.selected.data(), S, c.hidden, ws.normed_sel);
      backend_.linear_backward_weight(ws.dq_raw, c.q_dim(), ws.normed_sel, c.hidden, S, c.hidden, c.q_dim(), g(o.q), g(o.q_bias));
      backend_.linear_backward_input(ws.dq_raw, c.q_dim(), w(o.q), S, c.hidden, c.q_dim(), ws.dnormed_sel, c.hidden, false);
      backend_.scatter_add_rows(ws.dnormed_sel, batch.selected.data(), S, c.hidden, ws.dnormed);
      backend_.rms_norm_backward(ws.dnormed, c.hidden, l.x, c.hidden, w(o.norm1), l.rstd1, R, c.hidden, ws.dx, c.hidden, false, g(o.norm1));
      backend_.scatter_add_rows(dx, batch.selected.data(), S, c.hidden, ws.dx);
    } else {
      backend_.linear_backward_weight(ws.dq_raw, c.q_dim(), ws.normed, c.hidden, R, c.hidden, c.q_dim(), g(o.q), g(o.q_bias));
      backend_.linear_backward_input(ws.dq_raw, c.q_dim(), w(o.q), R, c.hidden, c.q_dim(), ws.dnormed, c.hidden, true);
      backend_.rms_norm_backward(ws.dnormed, c.hidden, l.x, c.hidden, w(o.norm1), l.rstd1, R, c.hidden, ws.dx, c.hidden, true, g(o.norm1));
    }
  }
  backend_.embed_backward(batch.tokens.data(), R, ws.dx, c.hidden, c.vocab, g(weights_.embedding()));
}

}  // namespace siri
