// The CPU device: a thread pool, one table of kernels and the packed copies of the weights behind backend.h. Decides nothing
// itself: how work is cut is in gemm.cpp, head.cpp and ops.cpp.
#pragma once
#include <memory>

#include "backend.h"

namespace siri {

// threads >= 1. isa: "" for the best this machine has, or "avx512", "avx2", "portable" (ArgumentError when it lacks it).
std::unique_ptr<Backend> make_cpu_backend(int threads, const char* isa);

}  // namespace siri
