// The cosines and sines of rotary position embedding, [max_positions, head_dim / 2] each, computed in double.
// Plain RoPE (Su et al. 2021) and the llama3 frequency scaling (Llama 3.1 reference configuration).
#pragma once
#include <vector>

#include "model/config.h"

namespace siri {

struct RopeTable {
  std::vector<float> cos, sin;
};

RopeTable make_rope_table(const DecoderConfig& config);

}  // namespace siri
