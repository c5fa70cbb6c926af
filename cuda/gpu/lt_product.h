// A product of gemm.h by cuBLASLt: what siri_check compares the own kernels with, in values and in time. Nothing else uses it (why:
// linear.cu).
#pragma once
#include <memory>

#include "gemm.h"

namespace siri::cuda {

class LtProduct {
 public:
  // y = a b, without bias and residual, in the way that cuBLASLt thinks best. Throws Error SIRI_CUBLASLT_NOT_FOUND, or SIRI_CUBLASLT with
  // the status that a call returned; MemoryError for its 32 MiB of workspace.
  LtProduct(Device& device, const Gemm<bf16>& g);
  ~LtProduct();
  void run();

 private:
  struct Plan;
  std::unique_ptr<Plan> plan_;
};

}  // namespace siri::cuda
