#include <cuda_runtime.h>

#include "core/error.h"
#include "gpu/driver.h"

namespace siri::cuda {

Probe probe() {
  Probe p;
  p.status = static_cast<int>(cudaGetDeviceCount(&p.devices));
  if (p.status != 0) p.devices = 0;
  cudaGetLastError();
  if (cudaDriverGetVersion(&p.driver) != cudaSuccess) p.driver = 0;
  if (cudaRuntimeGetVersion(&p.runtime) != cudaSuccess) p.runtime = CUDART_VERSION;
  return p;
}

std::vector<Gpu> list_gpus(const Probe& p) {
  std::vector<Gpu> all;
  for (int i = 0; i < p.devices; ++i) {
    cudaDeviceProp properties;
    if (const cudaError_t status = cudaGetDeviceProperties(&properties, i); status != cudaSuccess) {
      cudaGetLastError();
      throw Error("SIRI_CUDA", std::string("cudaGetDeviceProperties: ") + cudaGetErrorString(status));
    }
    all.push_back({properties.name, properties.major, properties.minor, properties.multiProcessorCount, properties.totalGlobalMem});
  }
  return all;
}

void require_device(int index) {
  const Obstacle o = obstacle(probe(), index);
  if (!o.code.empty()) throw Error(o.code, o.message);
}

}  // namespace siri::cuda
