// The emulated world, complete: what device.cuh includes when a kernel source is compiled as C++ for the host (SIRI_EMULATED).
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>

#include "emulator/block.h"
#include "emulator/tile.h"
#include "emulator/views.h"
#include "emulator/warp.h"

#define SIRI_DEVICE emulated
#define SIRI_DEVICE_NAME "emulated"
#define SIRI_UNROLL
#define SIRI_NO_UNROLL
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

namespace siri::emulated {

using std::max;
using std::min;
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
// As fast as the hardware has it: a few units in the last place.
inline float fast_exp(float x) { return std::exp(x); }
inline float fast_exp2(float x) { return std::exp2(x); }
inline float fast_log(float x) { return std::log(x); }
inline float fast_divide(float a, float b) { return a / b; }
template <class To, class From>
To bit_cast(From x) {
  return std::bit_cast<To>(x);
}
inline uint32_t high_product(uint32_t a, uint32_t b) { return static_cast<uint32_t>(uint64_t{a} * b >> 32); }

// The emulated device does one thing at a time.
struct Stream {};

struct Launch {
  emulator::Extent blocks, threads;
  size_t shared_bytes = 0;
};

template <class... P, class... A>
void launch(const Stream&, const char* name, const Launch& size, void (*kernel)(P...), const A&... arguments) {
  if (size.blocks.count() == 0) return;
  emulator::machine().launch(name, size.blocks, size.threads, size.shared_bytes, [&] { kernel(arguments...); });
}

}  // namespace siri::emulated
