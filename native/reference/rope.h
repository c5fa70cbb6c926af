// Rotary positions, plainly. Real: see embedding.h.
#pragma once
#include <cstdint>

namespace siri::reference {

// Turns pairs (d, d + head_dim / 2) of every head by the angle whose cosine and sine stand in row positions[i] of the tables
// [max_position, head_dim / 2]; inverse turns back. y [n, heads, head_dim] contiguous.
template <class Real>
void rope(const float* x, int64_t row_stride, int64_t n, int64_t heads, int64_t head_dim, const int32_t* positions, const float* cos,
          const float* sin, bool inverse, Real* y);

}  // namespace siri::reference
