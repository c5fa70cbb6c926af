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

void require_device(int index) {
  const Obstacle o = obstacle(probe(), index);
  if (!o.code.empty()) throw Error(o.code, o.message);
}

}  // namespace siri::cuda
