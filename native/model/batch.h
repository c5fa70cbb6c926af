// Rows of tokens packed end to end without padding: what one forward pass works on. Host memory.
#pragma once
#include <cstdint>
#include <vector>

namespace siri {

// The cache blocks of one sequence: keys[layer][block] and values[layer][block] are [block_tokens, kv_dim] and hold the positions
// before ends[block].
struct CachePages {
  std::vector<std::vector<float*>> keys;
  std::vector<std::vector<float*>> values;
  std::vector<int64_t> ends;
  int64_t block_tokens = 0;
};

// `rows` new tokens of one sequence at positions [past, past + rows). Without pages, keys and values live in the activations and
// those of the past are the rows of the segment's ancestors: a prefix that several sequences share is one segment.
struct Segment {
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t past = 0;
  int64_t selected = 0;  // the last `selected` rows go through the last layer's queries, its MLP and the final norm
  const CachePages* pages = nullptr;
  int64_t parent = -1;  // the segment before this one in its sequence, earlier in the batch; -1 when past == 0
};

struct PackedBatch {
  std::vector<int32_t> tokens;     // [rows]
  std::vector<int32_t> positions;  // [rows]
  std::vector<int32_t> selected;   // [selected] row indices, ascending
  std::vector<int32_t> selected_positions;
  std::vector<Segment> segments;
  int64_t gathered = 0;  // rows of the workspace's head_hidden and head_dhidden; 0 when the head takes the selected rows as they are

  void clear();
  // Appends a segment with its tokens.
  void add(const int32_t* tokens, const Segment& segment);
  // Fills `selected` and `selected_positions` from the segments.
  void select();
};

}  // namespace siri
