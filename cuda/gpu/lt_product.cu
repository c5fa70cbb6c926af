// Header: lt_product.h.
#include "core/error.h"
#include "gpu/cublaslt.h"
#include "gpu/lt_product.h"

namespace siri::cuda {
namespace {

constexpr size_t kWorkspace = size_t{32} << 20;

void succeed(int status, const char* what) {
  if (status != lt::kSuccess) throw Error("SIRI_CUBLASLT", std::string(what) + " failed with cuBLAS status " + std::to_string(status));
}

// A handle or descriptor of the library's, and how it ends.
struct Owned {
  int (*destroy)(void*);
  void* p = nullptr;
  ~Owned() {
    if (p != nullptr) destroy(p);
  }
};

}  // namespace

struct LtProduct::Plan {
  const CublasLt& lib = cublaslt();
  Device& device;
  Gemm<bf16> g;
  Owned handle{lib.destroy}, operation{lib.operation_destroy}, left{lib.layout_destroy}, right{lib.layout_destroy},
      result{lib.layout_destroy};
  lt::Algorithm algorithm;
  void* workspace = nullptr;

  // The library's matrices are column-major: it computes y^T [columns, rows] = b^T a^T, and what lies in memory row by row is a transpose.
  Plan(Device& on, const Gemm<bf16>& product) : device(on), g(product) {
    const bool b_rows = g.form == Form::kForward, a_across = g.form == Form::kWeight;
    const int32_t turn_left = b_rows ? lt::kTransposed : lt::kStraight, turn_right = a_across ? lt::kTransposed : lt::kStraight;
    succeed(lib.create(&handle.p), "cublasLtCreate");
    succeed(lib.operation_create(&operation.p, lt::kComputeFloat32, lt::kFloat32), "cublasLtMatmulDescCreate");
    succeed(lib.operation_set(operation.p, lt::kTransposeA, &turn_left, sizeof turn_left), "cublasLtMatmulDescSetAttribute");
    succeed(lib.operation_set(operation.p, lt::kTransposeB, &turn_right, sizeof turn_right), "cublasLtMatmulDescSetAttribute");
    layout(left, lt::kBfloat16, b_rows ? g.depth : g.columns, b_rows ? g.columns : g.depth, g.b.stride);
    layout(right, lt::kBfloat16, a_across ? g.rows : g.depth, a_across ? g.depth : g.rows, g.a.stride);
    layout(result, lt::kFloat32, g.columns, g.rows, g.y_stride);
    Owned preference{lib.preference_destroy};
    succeed(lib.preference_create(&preference.p), "cublasLtMatmulPreferenceCreate");
    succeed(lib.preference_set(preference.p, lt::kMaxWorkspaceBytes, &kWorkspace, sizeof kWorkspace),
            "cublasLtMatmulPreferenceSetAttribute");
    lt::Heuristic best;
    int count = 0;
    succeed(lib.heuristics(handle.p, operation.p, left.p, right.p, result.p, result.p, preference.p, 1, &best, &count),
            "cublasLtMatmulAlgoGetHeuristic");
    if (count == 0) throw Error("SIRI_CUBLASLT", "cuBLASLt knows no way to multiply these shapes");
    algorithm = best.algorithm;
    workspace = device.allocate(kWorkspace);
  }
  ~Plan() {
    try {
      if (workspace != nullptr) device.release(workspace);
    } catch (const Error&) {  // the device is lost, its memory with it
    }
  }

  void layout(Owned& to, int type, int64_t rows, int64_t columns, int64_t stride) {
    succeed(lib.layout_create(&to.p, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), stride),
            "cublasLtMatrixLayoutCreate");
  }
};

LtProduct::LtProduct(Device& device, const Gemm<bf16>& g) : plan_(std::make_unique<Plan>(device, g)) {}
LtProduct::~LtProduct() = default;

void LtProduct::run() {
  Plan& p = *plan_;
  const float alpha = 1, beta = 0;
  succeed(p.lib.multiply(p.handle.p, p.operation.p, &alpha, p.g.b.data, p.left.p, p.g.a.data, p.right.p, &beta, p.g.y, p.result.p, p.g.y,
                         p.result.p, &p.algorithm, p.workspace, kWorkspace, p.device.stream().handle),
          "cublasLtMatmul");
}

}  // namespace siri::cuda
