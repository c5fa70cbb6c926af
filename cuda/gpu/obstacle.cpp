// The judgement of a probe; apart from probe(), so that it is tested where there is no CUDA at all.
#include "gpu/driver.h"

namespace siri::cuda {
namespace {

constexpr int kInsufficientDriver = 35, kNoDevice = 100, kSystemDriverMismatch = 803, kCompatNotSupported = 804;

}  // namespace

std::string version_text(int v) { return v == 0 ? "" : std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10); }

Obstacle obstacle(const Probe& p, int index) {
  // Without any driver the runtime says "insufficient driver", version 0.
  if (p.status == kNoDevice || (p.status == kInsufficientDriver && p.driver == 0) || (p.status == 0 && p.devices == 0))
    return {"SIRI_NO_CUDA_DEVICE",
            "no CUDA device: this machine has no NVIDIA GPU that a driver offers (nvidia-smi lists them); use --device cpu"};
  if (p.status == kInsufficientDriver || p.status == kSystemDriverMismatch || p.status == kCompatNotSupported)
    return {"SIRI_CUDA_DRIVER_TOO_OLD", "driver too old: it is for CUDA " + version_text(p.driver) + ", this build needs CUDA " +
                                            version_text(p.runtime) + " or newer; update the NVIDIA driver, or use --device cpu"};
  if (p.status != 0) return {"SIRI_CUDA", "the CUDA driver answers with error " + std::to_string(p.status) + "; use --device cpu"};
  if (index < 0 || index >= p.devices)
    return {"SIRI_ARGUMENT",
            "there is no CUDA device " + std::to_string(index) + "; this machine has " + std::to_string(p.devices) + ", numbered from 0"};
  return {};
}

}  // namespace siri::cuda
