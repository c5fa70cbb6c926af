// Header: cuda_backend.h.
#include "cuda_backend.h"
#include "ops.h"
#include "unfinished.h"

namespace siri::SIRI_DEVICE {
namespace {

class DeviceBackend final : public Unfinished {
 public:
  explicit DeviceBackend(int index) : device_(index) {}

  const char* name() const override { return SIRI_DEVICE_NAME; }

  void* allocate(size_t bytes) override { return device_.allocate(bytes); }
  void release(void* p) override { device_.release(p); }
  void upload(void* device, const void* host, size_t bytes) override { device_.upload(device, host, bytes); }
  void download(void* host, const void* device, size_t bytes) override { device_.download(host, device, bytes); }
  void zero(void* device, size_t bytes) override { device_.zero(device, bytes); }
  void weights_changed() override {}

  void embed(const int32_t* tokens, int64_t n, const float* table, int64_t width, float* x) override {
    device_.begin();
    SIRI_DEVICE::embed(device_, tokens, n, table, width, x);
  }
  void embed_backward(const int32_t* tokens, int64_t n, const float* dx, int64_t width, int64_t, float* dtable) override {
    device_.begin();
    SIRI_DEVICE::embed_backward(device_, tokens, n, dx, width, dtable);
  }
  void gather_rows(const float* x, const int32_t* index, int64_t n, int64_t width, float* y) override {
    device_.begin();
    SIRI_DEVICE::gather_rows(device_, x, index, n, width, y);
  }
  void scatter_add_rows(const float* y, const int32_t* index, int64_t n, int64_t width, float* x) override {
    device_.begin();
    SIRI_DEVICE::scatter_add_rows(device_, y, index, n, width, x);
  }
  void sum_rows(const float* x, const int32_t* index, const int64_t* starts, int64_t n, int64_t width, float* y) override {
    device_.begin();
    SIRI_DEVICE::sum_rows(device_, x, index, starts, n, width, y);
  }
  void store_rows(const float* x, int64_t x_stride, int64_t n, int64_t width, float* const* rows) override {
    device_.begin();
    SIRI_DEVICE::store_rows(device_, x, x_stride, n, width, rows);
  }

  void rms_norm(const float* x, int64_t x_stride, const float* weight, int64_t rows, int64_t width, float eps, float* y, int64_t y_stride,
                float* rstd) override {
    device_.begin();
    SIRI_DEVICE::rms_norm(device_, x, x_stride, weight, rows, width, eps, y, y_stride, rstd);
  }
  void rms_norm_backward(const float* dy, int64_t dy_stride, const float* x, int64_t x_stride, const float* weight, const float* rstd,
                         int64_t rows, int64_t width, float* dx, int64_t dx_stride, bool accumulate, float* dweight) override {
    device_.begin();
    SIRI_DEVICE::rms_norm_backward(device_, dy, dy_stride, x, x_stride, weight, rstd, rows, width, dx, dx_stride, accumulate, dweight);
  }

  void swiglu(const float* gate_up, int64_t rows, int64_t width, float* h) override {
    device_.begin();
    SIRI_DEVICE::swiglu(device_, gate_up, rows, width, h);
  }
  void swiglu_backward(const float* gate_up, const float* dh, int64_t rows, int64_t width, float* dgate_up) override {
    device_.begin();
    SIRI_DEVICE::swiglu_backward(device_, gate_up, dh, rows, width, dgate_up);
  }

  double sum_of_squares(const float* x, int64_t n) override {
    device_.begin();
    return SIRI_DEVICE::sum_of_squares(device_, x, n);
  }
  void adamw(float* weight, const float* gradient, float* m, float* v, int64_t n, const AdamWStep& step) override {
    device_.begin();
    SIRI_DEVICE::adamw(device_, weight, gradient, m, v, n, step);
  }

 private:
  Device device_;
};

}  // namespace

std::unique_ptr<Backend> make_backend(int index, cpu::Compute) { return std::make_unique<DeviceBackend>(index); }

}  // namespace siri::SIRI_DEVICE
