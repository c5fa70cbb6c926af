// cuBLASLt, opened at run time: prototypes of the part of its stable C interface that is used, written from its documentation. A program
// that never asks for it never looks for it. Knows nothing of products: see lt_product.h.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace siri::cuda {

// Values of the interface's enumerations.
namespace lt {
constexpr int kSuccess = 0;
constexpr int kFloat32 = 0, kBfloat16 = 14;      // cudaDataType
constexpr int kComputeFloat32 = 68;              // cublasComputeType_t
constexpr int kStraight = 0, kTransposed = 1;    // cublasOperation_t
constexpr int kTransposeA = 3, kTransposeB = 4;  // cublasLtMatmulDescAttributes_t, int32
constexpr int kMaxWorkspaceBytes = 1;            // cublasLtMatmulPreferenceAttributes_t, size_t

struct Algorithm {
  uint64_t data[8];
};
struct Heuristic {
  Algorithm algorithm;
  size_t workspace_bytes;
  int status;
  float waves;
  int reserved[4];
};
}  // namespace lt

// Handles, descriptors, layouts and streams are opaque pointers. All functions return kSuccess or an error number.
struct CublasLt {
  int (*create)(void** handle);
  int (*destroy)(void* handle);
  size_t (*version)();
  int (*operation_create)(void** operation, int compute_type, int scale_type);
  int (*operation_set)(void* operation, int attribute, const void* value, size_t bytes);
  int (*operation_destroy)(void* operation);
  int (*layout_create)(void** layout, int type, uint64_t rows, uint64_t columns, int64_t leading);  // column-major
  int (*layout_destroy)(void* layout);
  int (*preference_create)(void** preference);
  int (*preference_set)(void* preference, int attribute, const void* value, size_t bytes);
  int (*preference_destroy)(void* preference);
  int (*heuristics)(void* handle, void* operation, void* a, void* b, void* c, void* d, void* preference, int wanted, lt::Heuristic* found,
                    int* count);
  int (*multiply)(void* handle, void* operation, const void* alpha, const void* a, void* a_layout, const void* b, void* b_layout,
                  const void* beta, const void* c, void* c_layout, void* d, void* d_layout, const lt::Algorithm* algorithm, void* workspace,
                  size_t workspace_bytes, void* stream);
};

// Opens the first of `names` that is there. Throws Error SIRI_CUBLASLT_NOT_FOUND naming what was tried.
CublasLt open_cublaslt(const std::vector<std::string>& names);
// The library of this machine, opened once: SIRI_CUBLASLT names a file, else the loader's path and CUDA's usual folder are searched.
const CublasLt& cublaslt();

}  // namespace siri::cuda
