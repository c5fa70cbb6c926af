// Rows to score or train on, as flat host arrays: prompt and response tokens end to end. Knows no losses.
#pragma once
#include <cstdint>
#include <vector>

#include "backend.h"

namespace siri {

struct RowSet {
  std::vector<int32_t> tokens;            // all rows end to end
  std::vector<int64_t> offsets;           // [rows + 1] into tokens
  std::vector<int32_t> response_start;    // [rows] index of the first response token within its row, >= 1
  std::vector<int64_t> response_offsets;  // [rows + 1] response tokens before a row
  std::vector<RowSampling> sampling;      // [rows] temperature > 0

  int64_t count() const { return static_cast<int64_t>(response_start.size()); }
  int64_t length(int64_t row) const { return offsets[row + 1] - offsets[row]; }
  int64_t response_tokens() const { return response_offsets.back(); }
  int64_t response_length(int64_t row) const { return length(row) - response_start[row]; }
  const int32_t* data(int64_t row) const { return tokens.data() + offsets[row]; }
};

}  // namespace siri
