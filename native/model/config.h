// The shape of a decoder: Qwen2, Qwen3 and Llama differ only in these fields. Read and validated in TypeScript
// (src/policy/model-config.ts); knows nothing of files.
#pragma once
#include <cstdint>

namespace siri {

struct RopeConfig {
  double theta = 10000.0;
  // rope_type "llama3": low frequencies are divided by `factor`, with a smooth band between the two wavelengths
  // original / high_freq_factor and original / low_freq_factor.
  bool llama3 = false;
  double factor = 1.0;
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  double original_max_positions = 8192.0;
};

struct DecoderConfig {
  int64_t layers = 0;
  int64_t hidden = 0;
  int64_t heads = 0;  // query heads, a multiple of kv_heads
  int64_t kv_heads = 0;
  int64_t head_dim = 0;  // even
  int64_t intermediate = 0;
  int64_t vocab = 0;
  int64_t max_positions = 0;
  float rms_eps = 1e-6f;
  bool tied = false;      // the head is the embedding
  bool qkv_bias = false;  // Qwen2
  bool qk_norm = false;   // Qwen3
  RopeConfig rope;

  int64_t q_dim() const { return heads * head_dim; }
  int64_t kv_dim() const { return kv_heads * head_dim; }
};

}  // namespace siri
