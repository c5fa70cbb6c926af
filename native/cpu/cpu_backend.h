// The CPU device: a thread pool, one table of kernels and the packed copies of the weights behind backend.h. Decides nothing
// itself: how work is cut is in gemm.cpp, head.cpp and ops.cpp.
#pragma once
#include <memory>

#include "backend.h"
#include "cpu/kernel_table.h"

namespace siri {

// threads >= 1. isa: "" for the best this machine has, or one of kInstructionSets (ArgumentError when it lacks it).
std::unique_ptr<Backend> make_cpu_backend(int threads, const char* isa, cpu::Compute compute = cpu::Compute::kFloat32);

}  // namespace siri
