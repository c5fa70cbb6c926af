// Matrix products of the device: y [rows, columns] = a b (+ bias [columns]) (+ residual [rows, columns]), and weights rounded to
// bfloat16 for them. Knows nothing of layers (linear.cu) or of who keeps what (backend.cu).
//
// The bits of an element of y depend on its row of a, its column of b, the depth and `chunk` alone: tiles only decide which block computes
// it. It is one chain over the depth, sixteen elements at a time in bfloat16; with several chunks their sums are added in order.
#pragma once
#include <cstdint>
#include <map>

#include "runtime.h"

namespace siri::SIRI_DEVICE {

// Rows of T that lie `stride` elements apart. In bfloat16 they begin at multiples of 16 bytes, and what lies between the width and the
// stride, seven elements at most, is zero.
template <class T>
struct Rows {
  const T* data = nullptr;
  int64_t stride = 0;
};

// How the operands lie. The summed index runs along the rows of memory, or across them.
enum class Form {
  kForward,  // a [rows, depth], b [columns, depth]: x W^T
  kInput,    // a [rows, depth], b [depth, columns]: dy W
  kWeight,   // a [depth, rows], b [depth, columns]: dy^T x
};

template <class T>
struct Gemm {
  Form form;
  Rows<T> a, b;
  int64_t rows, columns, depth;
  // Depth of the pieces that are summed by themselves, a multiple of kChunkUnit; at least `depth` for one piece.
  int64_t chunk;
  const float* bias;      // or null
  const float* residual;  // or null; rows y_stride apart; may be y
  float* y;
  int64_t y_stride;
};
constexpr int64_t kChunkUnit = 64;

// A block's share of y. Which one has no influence on the bits.
enum class Tile { kBySize, k16x64, k64x64, k128x128, k128x256 };
// How the pieces of the depth meet: in blocks of their own through scratch, or one after another in one block.
enum class Chunks { kBySize, kBlocks, kInOrder };

// gemm.cu. kForward has every tile, the other forms k64x64 and k128x256; kInOrder is for kForward, with k128x128.
void multiply(Device& device, const Gemm<bf16>& g, Tile tile = Tile::kBySize, Chunks chunks = Chunks::kBySize);
// gemm_float32.cu. In float32, not TF32. `large`: tiles of 128 x 128 instead of 32 x 32.
void multiply(Device& device, const Gemm<float>& g);
void multiply(Device& device, const Gemm<float>& g, bool large);

// sums.cu. y [rows, columns] = sum of part [parts, rows, columns] in order (+ bias) (+ residual), as multiply ends.
void add_parts(Device& device, const float* part, int64_t parts, int64_t rows, int64_t columns, const float* bias, const float* residual,
               float* y, int64_t y_stride);
// total [width] += column sums of x [n, width]: blocks of 128 rows, each in order, then the blocks in order.
void add_column_sums(Device& device, const float* x, int64_t x_stride, int64_t n, int64_t width, float* total);

// rounding.cu. Rows of float32 as rows of bfloat16, to nearest, ties to even.
constexpr int64_t rounded_stride(int64_t width) { return (width + 7) / 8 * 8; }
void round_rows(Device& device, const float* x, int64_t x_stride, int64_t n, int64_t width, bf16* y);
// In scratch.
Rows<bf16> round_rows(Device& device, const float* x, int64_t x_stride, int64_t n, int64_t width);

// Weights in bfloat16, one copy each for all forms, made at the first use and again at the first after stale(). A weight is known by its
// address: call stale() when an address is used for something else.
class RoundedWeights {
 public:
  explicit RoundedWeights(Device& device) : device_(device) {}
  ~RoundedWeights();
  RoundedWeights(const RoundedWeights&) = delete;
  RoundedWeights& operator=(const RoundedWeights&) = delete;

  // weight [rows, width]
  Rows<bf16> get(const float* weight, int64_t rows, int64_t width);
  void stale() { ++version_; }
  static size_t bytes(int64_t rows, int64_t width) { return static_cast<size_t>(rows * rounded_stride(width)) * sizeof(bf16); }

 private:
  struct Copy {
    bf16* data = nullptr;
    int64_t rows = 0, width = 0;
    uint64_t version = 0;
  };
  Device& device_;
  std::map<const float*, Copy> copies_;
  uint64_t version_ = 1;
};

}  // namespace siri::SIRI_DEVICE
