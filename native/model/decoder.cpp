#include "model/decoder.h"

#include <algorithm>
#include <cmath>

#include "model/rope_table.h"

namespace siri {

Decoder::Decoder(Backend& backend, const DecoderConfig& config, Weights& weights, float* position_tables)
    : backend_(backend), config_(config), weights_(weights), cos_(position_tables) {
  shape_ = {config.heads, config.kv_heads, config.head_dim, static_cast<float>(1.0 / std::sqrt(static_cast<double>(config.head_dim)))};
  const RopeTable table = make_rope_table(config);
  const size_t bytes = table.cos.size() * sizeof(float);
  sin_ = cos_ + table.cos.size();
  backend_.upload(cos_, table.cos.data(), bytes);
  backend_.upload(sin_, table.sin.data(), bytes);
}

size_t Decoder::table_bytes(const DecoderConfig& c) { return static_cast<size_t>(c.max_positions * c.head_dim) * sizeof(float); }

Decoder::KvView Decoder::kv_view(const LayerBuffers& l) const {
  const int64_t kv = config_.kv_dim();
  if (config_.qk_norm) return {l.k, kv, l.kv + kv, 2 * kv};
  return {l.kv, 2 * kv, l.kv + kv, 2 * kv};
}

void Decoder::store_in_pages(const PackedBatch& batch, const KvView& view, int64_t layer) {
  const int64_t kv = config_.kv_dim();
  for (const Segment& s : batch.segments) {
    if (!s.pages || s.rows == 0) continue;
    for (const bool keys : {true, false}) {
      const auto& blocks = keys ? s.pages->keys[layer] : s.pages->values[layer];
      rows_.clear();
      for (int64_t i = 0; i < s.rows; ++i) {
        const int64_t p = s.past + i;
        rows_.push_back(blocks[p / s.pages->block_tokens] + p % s.pages->block_tokens * kv);
      }
      const int64_t stride = keys ? view.key_stride : view.value_stride;
      backend_.store_rows((keys ? view.keys : view.values) + s.first_row * stride, stride, s.rows, kv, rows_.data());
    }
  }
}

void Decoder::make_segments(const PackedBatch& batch, const KvView& view, int64_t layer, bool last) {
  const int64_t kv = config_.kv_dim();
  segments_.clear();
  piece_rows_.clear();
  piece_ends_.clear();
  int64_t query_row = 0;
  for (const Segment& s : batch.segments) {
    const int64_t queries = last ? s.selected : s.rows;
    AttentionSegment a{query_row, queries, s.past + s.rows, {}, {}};
    query_row += queries;
    if (queries == 0) continue;
    if (s.pages) {
      a.keys = {s.pages->keys[layer].data(), s.pages->ends.data(), kv};
      a.values = {s.pages->values[layer].data(), s.pages->ends.data(), kv};
    } else {
      const auto from = static_cast<int64_t>(piece_rows_.size());
      for (const Segment* p = &s;; p = &batch.segments[p->parent]) {
        piece_rows_.push_back(p->first_row);
        piece_ends_.push_back(p->past + p->rows);
        if (p->parent < 0) break;
      }
      std::reverse(piece_rows_.begin() + from, piece_rows_.end());
      std::reverse(piece_ends_.begin() + from, piece_ends_.end());
    }
    segments_.push_back(a);
  }
  // The lists have their final places now.
  key_pieces_.clear();
  value_pieces_.clear();
  for (const int64_t row : piece_rows_) {
    key_pieces_.push_back(view.keys + row * view.key_stride);
    value_pieces_.push_back(view.values + row * view.value_stride);
  }
  size_t at = 0;
  for (AttentionSegment& a : segments_) {
    if (a.keys.pieces) continue;
    a.keys = {key_pieces_.data() + at, piece_ends_.data() + at, view.key_stride};
    a.values = {value_pieces_.data() + at, piece_ends_.data() + at, view.value_stride};
    while (piece_ends_[at++] < a.key_count) {
    }
  }
}

void Decoder::project_keys_values(const PackedBatch& batch, Workspace& ws, const LayerBuffers& l, int64_t layer) {
  const DecoderConfig& c = config_;
  const LayerOffsets& o = weights_.layer(layer);
  const auto rows = static_cast<int64_t>(batch.tokens.size());
  backend_.linear(ws.normed, c.hidden, w(o.kv), w(o.kv_bias), nullptr, rows, c.hidden, 2 * c.kv_dim(), l.kv, 2 * c.kv_dim());
  if (c.qk_norm)
    for (int64_t h = 0; h < c.kv_heads; ++h)
      backend_.rms_norm(l.kv + h * c.head_dim, 2 * c.kv_dim(), w(o.k_norm), rows, c.head_dim, c.rms_eps, l.k + h * c.head_dim, c.kv_dim(),
                        l.rstd_k + h * rows);
  const KvView view = kv_view(l);
  backend_.rope(view.keys, view.key_stride, rows, c.kv_heads, c.head_dim, batch.positions.data(), cos_, sin_, false);
  store_in_pages(batch, view, layer);
}

void Decoder::project_queries(const float* normed, int64_t rows, const int32_t* positions, const LayerBuffers& l, int64_t layer) {
  const DecoderConfig& c = config_;
  const LayerOffsets& o = weights_.layer(layer);
  float* raw = c.qk_norm ? l.raw_q : l.q;
  backend_.linear(normed, c.hidden, w(o.q), w(o.q_bias), nullptr, rows, c.hidden, c.q_dim(), raw, c.q_dim());
  if (c.qk_norm) backend_.rms_norm(raw, c.head_dim, w(o.q_norm), rows * c.heads, c.head_dim, c.rms_eps, l.q, c.head_dim, l.rstd_q);
  backend_.rope(l.q, c.q_dim(), rows, c.heads, c.head_dim, positions, cos_, sin_, false);
}

float* Decoder::forward(const PackedBatch& batch, Workspace& ws) {
  const DecoderConfig& c = config_;
  const auto R = static_cast<int64_t>(batch.tokens.size());
  const auto S = static_cast<int64_t>(batch.selected.size());
  ws.layout(R, S, batch.gathered);
  backend_.embed(batch.tokens.data(), R, w(weights_.embedding()), c.hidden, ws.layer(0).x);
  for (int64_t i = 0; i < c.layers; ++i) {
    const LayerBuffers& l = ws.layer(i);
    const LayerOffsets& o = weights_.layer(i);
    const bool last = i + 1 == c.layers;
    backend_.rms_norm(l.x, c.hidden, w(o.norm1), R, c.hidden, c.rms_eps, ws.normed, c.hidden, l.rstd1);
    project_keys_values(batch, ws, l, i);
    const float* x = l.x;
    const float* normed = ws.normed;
    const int64_t Q = last ? S : R;
    if (last) {
      if (S == 0) return nullptr;
      backend_.gather_rows(l.x, batch.selected.data(), S, c.hidden, ws.x_sel);
      backend_.gather_rows(ws.normed, batch.selected.data(), S, c.hidden, ws.normed_sel);
      x = ws.x_sel;
      normed = ws.normed_sel;
    }
    project_queries(normed, Q, (last ? batch.selected_positions : batch.positions).data(), l, i);
    make_segments(batch, kv_view(l), i, last);
    backend_.attention(l.q, c.q_dim(), segments_.data(), static_cast<int64_t>(segments_.size()), shape_, l.attn, c.q_dim(), l.lse);
    backend_.linear(l.attn, c.q_dim(), w(o.o), nullptr, x, Q, c.q_dim(), c.hidden, l.mid, c.hidden);
    backend_.rms_norm(l.mid, c.hidden, w(o.norm2), Q, c.hidden, c.rms_eps, ws.normed, c.hidden, l.rstd2);
    backend_.linear(ws.normed, c.hidden, w(o.gate_up), nullptr, nullptr, Q, c.hidden, 2 * c.intermediate, l.gate_up, 2 * c.intermediate);
    backend_.swiglu(l.gate_up, Q, c.intermediate, ws.act);
    backend_.linear(ws.act, c.intermediate, w(o.down), nullptr, l.mid, Q, c.intermediate, c.hidden, last ? ws.out : ws.layer(i + 1).x,
                    c.hidden);
  }
  backend_.rms_norm(ws.out, c.hidden, w(weights_.final_norm()), S, c.hidden, c.rms_eps, ws.hidden, c.hidden, ws.rstd_out);
  return ws.hidden;
}

}  // namespace siri
