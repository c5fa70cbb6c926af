// The devices of this build and machine, by name.
#pragma once
#include <memory>
#include <string>

#include "backend.h"
#include "cpu/kernel_table.h"

namespace siri::node {

struct DeviceSpec {
  std::string name;  // "cpu", "cuda", "cuda:N", "auto"; "emulated" in builds for tests
  int threads = 1;   // of the CPU
  std::string isa;   // of the CPU; "" for the best
  cpu::Compute compute = cpu::Compute::kFloat32;
};

// Throws ArgumentError for a name this build does not know or a device that is not there, Error SIRI_NO_CUDA_BUILD, SIRI_NO_CUDA_DEVICE
// or SIRI_CUDA_DRIVER_TOO_OLD with what to do.
std::unique_ptr<Backend> open_device(const DeviceSpec& spec);

}  // namespace siri::node
