// Whether there is a GPU that this build can use, and why not. Needs no driver to ask.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace siri::cuda {

// What the runtime says of the machine, as numbers of cudaError_t and of cudaDriverGetVersion (1000 * major + 10 * minor).
struct Probe {
  int status = 0, driver = 0, runtime = 0, devices = 0;
};
Probe probe();

// "" when device `index` can be used, else a code of Error and what to do, by the answers of a probe.
struct Obstacle {
  std::string code, message;
};
Obstacle obstacle(const Probe& probe, int index);

// 12040 as "12.4"; 0 as "".
std::string version_text(int version);

struct Gpu {
  std::string name;
  int major, minor;  // compute capability
  int multiprocessors;
  size_t memory_bytes;
};
// The devices that a probe has counted, without taking any of them into use.
std::vector<Gpu> list_gpus(const Probe& probe);

// Throws Error SIRI_NO_CUDA_DEVICE or SIRI_CUDA_DRIVER_TOO_OLD, ArgumentError when there are devices but none of that index.
void require_device(int index);

}  // namespace siri::cuda
