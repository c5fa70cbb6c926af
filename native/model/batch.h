// Rows of tokens packed end to end without padding: what one forward pass works on. Host memory.
#pragma once
#include <cstdint>
#include <vector>

namespace siri {

// The cache blocks of one sequence: keys[layer][block] and values[layer][block] are [block_tokens, kv_dim].
struct CachePages {
  std::vector<std::vector<float*>> keys;
  std::vector<std::vector<float*>> values;
  int64_t block_tokens = 0;
};

// `rows` new tokens of one sequence at positions [past, past + rows).
struct Segment {
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t past = 0;
  int64_t selected = 0;               // the last `selected` rows go through the last layer's queries, its MLP and the final norm
  const CachePages* pages = nullptr;  // null: past == 0 and keys and values live in the activations
};

struct PackedBatch {
  std::vector<int32_t> tokens;     // [rows]
  std::vector<int32_t> positions;  // [rows]
  std::vector<int32_t> selected;   // [selected] row indices, ascending
  std::vector<int32_t> selected_positions;
  std::vector<Segment> segments;

  void clear();
  // Appends a segment; pages may be null.
  void add(const int32_t* tokens, int64_t rows, int64_t past, int64_t selected, const CachePages* pages);
};

}  // namespace siri
