#include "model/weights.h"

#include <algorithm>

#include "core/bfloat16.h"
#include "core/error.h"

namespace siri {
namespace {

int64_t aligned(int64_t n) { return (n + 15) / 16 * 16; }

}  // namespace

Weights::Weights(const DecoderConfig& c, Moments moments) : moments_(moments) {
  int64_t at = 0;
  // Appends a tensor at `at`; the next one is adjacent unless the caller aligns.
  auto add = [&](std::vector<TensorInfo>& into, std::string name, std::vector<int64_t> shape) {
    int64_t size = 1;
    for (int64_t n : shape) size *= n;
    into.push_back({std::move(name), std::move(shape), at, size});
    parameters_ += size;
    at += size;
    return at - size;
  };
  auto align = [&] { at = aligned(at); };

  const auto prefix = [](int64_t i) { return "model.layers." + std::to_string(i) + "."; };
  std::vector<TensorInfo> embed, head;
  std::vector<std::vector<TensorInfo>> matrices(c.layers), vectors(c.layers);
  layers_.resize(c.layers);

  embedding_ = add(embed, "model.embed_tokens.weight", {c.vocab, c.hidden});
  align();
  for (int64_t i = 0; i < c.layers; ++i) {
    const std::string p = prefix(i);
    LayerOffsets& l = layers_[i];
    auto& m = matrices[i];
    l.q = add(m, p + "self_attn.q_proj.weight", {c.q_dim(), c.hidden});
    align();
    l.kv = add(m, p + "self_attn.k_proj.weight", {c.kv_dim(), c.hidden});
    add(m, p + "self_attn.v_proj.weight", {c.kv_dim(), c.hidden});
    align();
    l.o = add(m, p + "self_attn.o_proj.weight", {c.hidden, c.q_dim()});
    align();
    l.gate_up = add(m, p + "mlp.gate_proj.weight", {c.intermediate, c.hidden});
    add(m, p + "mlp.up_proj.weight", {c.intermediate, c.hidden});
    align();
    l.down = add(m, p + "mlp.down_proj.weight", {c.hidden, c.intermediate});
    align();
  }
  head_ = embedding_;
  if (!c.tied) {
    head_ = add(head, "lm_head.weight", {c.vocab, c.hidden});
    align();
  }
  matrix_elements_ = at;

  for (int64_t i = 0; i < c.layers; ++i) {
    const std::string p = prefix(i);
    LayerOffsets& l = layers_[i];
    auto& v = vectors[i];
    l.norm1 = add(v, p + "input_layernorm.weight", {c.hidden});
    align();
    l.norm2 = add(v, p + "post_attention_layernorm.weight", {c.hidden});
    align();
    l.q_bias = l.kv_bias = l.q_norm = l.k_norm = -1;
    if (c.qkv_bias) {
      l.q_bias = add(v, p + "self_attn.q_proj.bias", {c.q_dim()});
      align();
      l.kv_bias = add(v, p + "self_attn.k_proj.bias", {c.kv_dim()});
      add(v, p + "self_attn.v_proj.bias", {c.kv_dim()});
      align();
    }
    if (c.qk_norm) {
      l.q_norm = add(v, p + "self_attn.q_norm.weight", {c.head_dim});
      align();
      l.k_norm = add(v, p + "self_attn.k_norm.weight", {c.head_dim});
      align();
    }
  }
  std::vector<TensorInfo> last;
  final_norm_ = add(last, "model.norm.weight", {c.hidden});
  align();
  elements_ = at;

  tensors_ = std::move(embed);
  for (int64_t i = 0; i < c.layers; ++i) {
    tensors_.insert(tensors_.end(), matrices[i].begin(), matrices[i].end());
    tensors_.insert(tensors_.end(), vectors[i].begin(), vectors[i].end());
  }
  tensors_.insert(tensors_.end(), last.begin(), last.end());
  tensors_.insert(tensors_.end(), head.begin(), head.end());
}

void Weights::read(Backend& backend, Store store, int64_t at, int64_t n, float* out) const {
  if (!has(store)) {
    std::fill_n(out, n, 0.0f);
  } else if (element_bytes(store) == sizeof(float)) {
    backend.download(out, element(store, at), static_cast<size_t>(n) * sizeof(float));
  } else {
    std::vector<uint16_t> half(n);
    backend.download(half.data(), element(store, at), half.size() * sizeof(uint16_t));
    std::transform(half.begin(), half.end(), out, from_bfloat16);
  }
}

void Weights::write(Backend& backend, Store store, int64_t at, int64_t n, const float* values) {
  if (element_bytes(store) == sizeof(float)) return backend.upload(element(store, at), values, static_cast<size_t>(n) * sizeof(float));
  std::vector<uint16_t> half(n);
  std::transform(values, values + n, half.begin(), to_bfloat16);
  backend.upload(element(store, at), half.data(), half.size() * sizeof(uint16_t));
}

const TensorInfo& Weights::find(std::string_view name) const {
  for (const TensorInfo& t : tensors_)
    if (t.name == name) return t;
  throw ArgumentError("no tensor named \"" + std::string(name) + "\" in this model");
}

}  // namespace siri
