#include "model/batch.h"

namespace siri {

void PackedBatch::clear() {
  tokens.clear();
  positions.clear();
  selected.clear();
  selected_positions.clear();
  segments.clear();
  gathered = 0;
}

void PackedBatch::add(const int32_t* t, const Segment& segment) {
  segments.push_back(segment);
  segments.back().first_row = static_cast<int64_t>(tokens.size());
  tokens.insert(tokens.end(), t, t + segment.rows);
  for (int64_t i = 0; i < segment.rows; ++i) positions.push_back(static_cast<int32_t>(segment.past + i));
}

void PackedBatch::select() {
  for (const Segment& s : segments)
    for (int64_t i = s.rows - s.selected; i < s.rows; ++i) {
      selected.push_back(static_cast<int32_t>(s.first_row + i));
      selected_positions.push_back(static_cast<int32_t>(s.past + i));
    }
}

}  // namespace siri
