// The CUDA device, and the same device emulated: native/backend.h over the operations of ops.h. The two namespaces hold one source,
// compiled twice (device.cuh). Knows nothing of models.
#pragma once
#include <memory>

#include "backend.h"
#include "cpu/kernel_table.h"

namespace siri::cuda {

// Throws Error SIRI_NO_CUDA_DEVICE or SIRI_CUDA_DRIVER_TOO_OLD, ArgumentError (no device of that index). Only in builds with nvcc.
std::unique_ptr<Backend> make_backend(int index, cpu::Compute compute);

}  // namespace siri::cuda

namespace siri::emulated {

std::unique_ptr<Backend> make_backend(int index, cpu::Compute compute);

}  // namespace siri::emulated
