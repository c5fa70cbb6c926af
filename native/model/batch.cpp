#include "model/batch.h"

namespace siri {

void PackedBatch::clear() {
  tokens.clear();
  positions.clear();
  selected.clear();
  selected_positions.clear();
  segments.clear();
}

void PackedBatch::add(const int32_t* t, int64_t rows, int64_t past, int64_t count, const CachePages* pages) {
  const auto first = static_cast<int64_t>(tokens.size());
  segments.push_back({first, rows, past, count, pages});
  tokens.insert(tokens.end(), t, t + rows);
  for (int64_t i = 0; i < rows; ++i) positions.push_back(static_cast<int32_t>(past + i));
  for (int64_t i = rows - count; i < rows; ++i) {
    selected.push_back(static_cast<int32_t>(first + i));
    selected_positions.push_back(static_cast<int32_t>(past + i));
  }
}

}  // namespace siri
