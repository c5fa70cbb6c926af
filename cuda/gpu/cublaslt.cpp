#include "gpu/cublaslt.h"

#include <dlfcn.h>

#include <cstdlib>

#include "core/error.h"

namespace siri::cuda {
namespace {

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

bool find_all(void* library, CublasLt& lt) {
  return find(library, "cublasLtCreate", lt.create) && find(library, "cublasLtDestroy", lt.destroy) &&
         find(library, "cublasLtGetVersion", lt.version) && find(library, "cublasLtMatmulDescCreate", lt.operation_create) &&
         find(library, "cublasLtMatmulDescSetAttribute", lt.operation_set) &&
         find(library, "cublasLtMatmulDescDestroy", lt.operation_destroy) &&
         find(library, "cublasLtMatrixLayoutCreate", lt.layout_create) && find(library, "cublasLtMatrixLayoutDestroy", lt.layout_destroy) &&
         find(library, "cublasLtMatmulPreferenceCreate", lt.preference_create) &&
         find(library, "cublasLtMatmulPreferenceSetAttribute", lt.preference_set) &&
         find(library, "cublasLtMatmulPreferenceDestroy", lt.preference_destroy) &&
         find(library, "cublasLtMatmulAlgoGetHeuristic", lt.heuristics) && find(library, "cublasLtMatmul", lt.multiply);
}

}  // namespace

// The library is never closed: its functions are kept for the life of the process.
CublasLt open_cublaslt(const std::vector<std::string>& names) {
  std::string tried;
  for (const std::string& name : names) {
    CublasLt lt;
    void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr && find_all(library, lt)) return lt;
    tried += (tried.empty() ? "" : ", ") + name + (library != nullptr ? " (lacks functions)" : "");
    if (library != nullptr) dlclose(library);
  }
  throw Error("SIRI_CUBLASLT_NOT_FOUND", "cuBLASLt not found (tried " + tried +
                                             "): install CUDA's libcublas (12 or 13), put its folder on LD_LIBRARY_PATH, or name the file "
                                             "in SIRI_CUBLASLT; or use --device cpu");
}

const CublasLt& cublaslt() {
  static const CublasLt lt = [] {
    if (const char* path = std::getenv("SIRI_CUBLASLT"); path != nullptr && *path != '\0') return open_cublaslt({path});
    return open_cublaslt({"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so", "/usr/local/cuda/lib64/libcublasLt.so.13",
                          "/usr/local/cuda/lib64/libcublasLt.so.12", "/usr/local/cuda/lib64/libcublasLt.so"});
  }();
  return lt;
}

}  // namespace siri::cuda
