#include "model/rope_table.h"

#include <cmath>
#include <numbers>

namespace siri {
namespace {

double scaled(double frequency, const RopeConfig& r) {
  if (!r.llama3) return frequency;
  const double wavelength = 2.0 * std::numbers::pi / frequency;
  if (wavelength < r.original_max_positions / r.high_freq_factor) return frequency;
  if (wavelength > r.original_max_positions / r.low_freq_factor) return frequency / r.factor;
  const double s = (r.original_max_positions / wavelength - r.low_freq_factor) / (r.high_freq_factor - r.low_freq_factor);
  return (1.0 - s) * frequency / r.factor + s * frequency;
}

}  // namespace

RopeTable make_rope_table(const DecoderConfig& c) {
  const int64_t half = c.head_dim / 2;
  std::vector<double> frequency(half);
  for (int64_t i = 0; i < half; ++i)
    frequency[i] = scaled(std::pow(c.rope.theta, -2.0 * static_cast<double>(i) / static_cast<double>(c.head_dim)), c.rope);
  RopeTable t;
  t.cos.resize(c.max_positions * half);
  t.sin.resize(c.max_positions * half);
  for (int64_t p = 0; p < c.max_positions; ++p)
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) * frequency[i];
      t.cos[p * half + i] = static_cast<float>(std::cos(angle));
      t.sin[p * half + i] = static_cast<float>(std::sin(angle));
    }
  return t;
}

}  // namespace siri
