// Counter-based random numbers (Philox4x32-10, Salmon et al. 2011): a value is a function of (seed, stream, counter) and of
// nothing else, so that neither arrival order nor threads can change a run.
#pragma once
#include <array>
#include <cstdint>

namespace siri {

// Four 32-bit words for key `seed` and counter (stream, counter).
std::array<uint32_t, 4> philox(uint64_t seed, uint64_t stream, uint64_t counter);

// Uniform in [0, 1) with 53 bits.
double uniform(uint64_t seed, uint64_t stream, uint64_t counter);

}  // namespace siri
