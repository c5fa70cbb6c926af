#include "node/devices.h"

#include <napi.h>

#include <charconv>

#include "core/error.h"
#include "cpu/cpu_backend.h"
#include "cuda_backend.h"
#include "node/arguments.h"
#include "node/register.h"
#ifdef SIRI_CUDA
#include "gpu/driver.h"
#endif

namespace siri::node {
namespace {

constexpr char kNotBuilt[] =
    "this build has no CUDA device: nvcc was not found when it was made. Where the CUDA toolkit is, `npm run build` adds it; or use "
    "--device cpu";

// Why device `index` cannot be used; no code: it can.
struct Reason {
  std::string code, message;
};

Reason reason(int index) {
#ifdef SIRI_CUDA
  const cuda::Obstacle o = cuda::obstacle(cuda::probe(), index);
  return {o.code, o.message};
#else
  (void)index;
  return {"SIRI_NO_CUDA_BUILD", kNotBuilt};
#endif
}

std::unique_ptr<Backend> open_cuda(int index, [[maybe_unused]] const DeviceSpec& spec) {
  const Reason r = reason(index);
  if (!r.code.empty()) throw Error(r.code, r.message);
#ifdef SIRI_CUDA
  return cuda::make_backend(index, spec.compute);
#else
  throw Error("SIRI_NO_CUDA_BUILD", kNotBuilt);
#endif
}

// exports.cuda(): see CudaReport of src/native.ts.
Napi::Value cuda_report(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Napi::Env env = info.Env();
    Napi::Object report = Napi::Object::New(env);
    Napi::Array devices = Napi::Array::New(env);
    std::string driver, runtime;
#ifdef SIRI_CUDA
    const cuda::Probe probe = cuda::probe();
    driver = cuda::version_text(probe.driver);
    runtime = cuda::version_text(probe.runtime);
    for (const cuda::Gpu& gpu : cuda::list_gpus(probe)) {
      Napi::Object o = Napi::Object::New(env);
      o.Set("name", gpu.name);
      o.Set("capability", std::to_string(gpu.major) + "." + std::to_string(gpu.minor));
      o.Set("multiprocessors", gpu.multiprocessors);
      o.Set("memory", static_cast<double>(gpu.memory_bytes));
      devices.Set(devices.Length(), o);
    }
#endif
    report.Set("devices", devices);
    report.Set("driver", driver);
    report.Set("runtime", runtime);
    report.Set("obstacle", reason(0).message);
    return report;
  });
}

}  // namespace

std::unique_ptr<Backend> open_device(const DeviceSpec& spec) {
  const std::string& name = spec.name;
  if (name == "auto" && reason(0).code.empty()) return open_cuda(0, spec);
  if (name == "cpu" || name == "auto") return make_cpu_backend(spec.threads, spec.isa.c_str(), spec.compute);
  if (name == "cuda") return open_cuda(0, spec);
  if (name.starts_with("cuda:")) {
    int index = -1;
    const char* end = name.data() + name.size();
    if (const auto [stop, error] = std::from_chars(name.data() + 5, end, index); error == std::errc() && stop == end)
      return open_cuda(index, spec);
  }
#ifdef SIRI_EMULATED_ADDON
  if (name == "emulated") return emulated::make_backend(0, spec.compute);
#endif
  throw ArgumentError("there is no device \"" + name + "\" in this build; known are cpu, cuda, cuda:N (N from 0) and auto");
}

void register_devices(Napi::Env env, Napi::Object exports) { exports.Set("cuda", Napi::Function::New<cuda_report>(env, "cuda")); }

}  // namespace siri::node
