// What every kernel source includes: views, barriers, shuffles, fragments, launch. The same names in two worlds: on a GPU (nvcc, thin
// wrappers, namespace siri::cuda) and in the emulator (g++ with SIRI_EMULATED, everything checked, namespace siri::emulated).
// cuda/README.md is the manual.
#pragma once
#ifdef SIRI_EMULATED
#include "emulator/world.h"
#else
#include "gpu/world.cuh"
#endif
