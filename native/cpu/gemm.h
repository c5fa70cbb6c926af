// Matrix products of the CPU device with the semantics of backend.h: threads and the packed-weight cache around the bodies of
// gemm.inl. Knows nothing of layers. The bits of an output element depend on its two operand rows alone (gemm_table.h).
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "core/threads.h"
#include "cpu/kernel_table.h"

namespace siri::cpu {

// Floats in pages of their own, huge ones where the system has them (a wide matrix is read across its rows, which lie pages apart); they
// only grow. Contents are undefined after grow().
class FloatBuffer {
 public:
  // Throws MemoryError with the numbers.
  float* grow(size_t floats);
  float* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    size_t bytes;
    void operator()(float* p) const;
  };
  std::unique_ptr<float[], Free> data_;
  size_t size_ = 0;
};

// Weights in the order the kernels read them, made on first use and kept until weights_changed(); and the scratch of the threads.
// One per backend; calls on it come from one thread at a time. A weight is known by its address: call weights_changed() (or
// forget()) before an address is used for something else.
class PackedWeights {
 public:
  enum class Order { transposed, straight };  // x * W^T (forward), x * W (gradient of the input)

  // W [rows, columns] row-major. Returns the panels of B = W^T [columns, rows] or B = W [rows, columns].
  const float* get(ThreadPool& pool, const KernelTable& table, const float* weight, int64_t rows, int64_t columns, Order order);
  // Copies are stale and will be packed again, into the same memory.
  void weights_changed() { ++version_; }
  // Frees every copy.
  void forget() { entries_.clear(); }
  // Memory of the copies, in bytes.
  size_t bytes() const;
  // Bytes of one copy of a weight [rows, columns].
  static size_t packed_bytes(const KernelTable& table, int64_t rows, int64_t columns, Order order);

  // Makes scratch(worker) hold `floats` for every worker; call it outside parallel_for.
  void reserve_scratch(ThreadPool& pool, int64_t floats);
  float* scratch(int worker) const { return scratch_[worker].data(); }
  // For one caller at a time, by slot: logits and the like.
  FloatBuffer& buffer(int slot) { return buffers_[slot]; }

 private:
  struct Entry {
    FloatBuffer panels;
    int64_t rows = 0, columns = 0;
    uint64_t version = 0;
  };
  std::map<std::pair<const float*, Order>, Entry> entries_;
  uint64_t version_ = 1;
  std::vector<FloatBuffer> scratch_;
  FloatBuffer buffers_[4];
};

// y [n, out] = x [n, in] * weight^T [out, in] + bias? + residual?   (residual has y's stride and may be y)
void linear(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, const float* x, int64_t x_stride, const float* weight,
            const float* bias, const float* residual, int64_t n, int64_t in, int64_t out, float* y, int64_t y_stride);

// dx [n, in] = (accumulate ? dx : 0) + dy [n, out] * weight [out, in]
void linear_backward_input(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, const float* dy, int64_t dy_stride,
                           const float* weight, int64_t n, int64_t in, int64_t out, float* dx, int64_t dx_stride, bool accumulate);

// The same for a piece of a weight, whose packed copy lasts for this call only; continued: the chains of dx go on, so that pieces of a
// weight whose `out` is even give the bits of the whole.
void linear_backward_input_once(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, FloatBuffer& panels, const float* dy,
                                int64_t dy_stride, const float* weight, int64_t n, int64_t in, int64_t out, float* dx, int64_t dx_stride,
                                bool continued);

// dweight [out, in] += dy^T x;  dbias [out] += column sums of dy (dbias may be null). Rows in order, continuing the sum that is there.
void linear_backward_weight(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, const float* dy, int64_t dy_stride,
                            const float* x, int64_t x_stride, int64_t n, int64_t in, int64_t out, float* dweight, float* dbias);

}  // namespace siri::cpu
