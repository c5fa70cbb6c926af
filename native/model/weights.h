// Weights, gradients and optimiser moments: four flat buffers of one layout (the moments float32 or bfloat16), addressed by Hugging Face
// tensor names. Says where in a buffer a tensor lies; the memory is somebody else's. Matrices (two dimensions, weight decay) come first,
// vectors after them; k and v (and gate and up) of a layer are adjacent so that each pair is one matrix to the decoder. Knows nothing of
// files and of the forward pass.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "backend.h"
#include "model/config.h"

namespace siri {

struct TensorInfo {
  std::string name;
  std::vector<int64_t> shape;
  int64_t offset;  // into each buffer, in elements
  int64_t size;    // elements
};

// Offsets of one layer's parts, in elements. kv: [2 * kv_dim, hidden]; gate_up: [2 * intermediate, hidden].
struct LayerOffsets {
  int64_t q, kv, o, gate_up, down;
  int64_t norm1, norm2;
  int64_t q_bias, kv_bias;  // -1 without
  int64_t q_norm, k_norm;   // -1 without
};

enum class Store { kWeight, kGradient, kMoment1, kMoment2 };

class Weights {
 public:
  Weights(const DecoderConfig& config, Moments moments);
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;

  // In Hugging Face order.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const TensorInfo& find(std::string_view name) const;  // throws ArgumentError
  const LayerOffsets& layer(int64_t i) const { return layers_[i]; }
  int64_t embedding() const { return embedding_; }
  int64_t head() const { return head_; }  // == embedding() when tied
  int64_t final_norm() const { return final_norm_; }

  int64_t matrix_elements() const { return matrix_elements_; }  // weight decay applies to [0, matrix_elements)
  int64_t elements() const { return elements_; }                // buffer length, alignment gaps included
  int64_t parameters() const { return parameters_; }

  Moments moments() const { return moments_; }
  size_t bytes(Store store) const { return static_cast<size_t>(elements_) * element_bytes(store); }  // of a buffer

  // The buffer's memory, bytes(store) of the device, zeroed. Null until then.
  void place(Store store, void* memory) { buffers_[static_cast<int>(store)] = memory; }
  bool has(Store store) const { return buffers_[static_cast<int>(store)] != nullptr; }
  // Weights or gradients.
  float* data(Store store) const { return static_cast<float*>(buffers_[static_cast<int>(store)]); }
  // Element `at` of a buffer, whatever its type.
  void* element(Store store, int64_t at) const {
    return static_cast<char*>(buffers_[static_cast<int>(store)]) + static_cast<size_t>(at) * element_bytes(store);
  }

  // Elements [at, at + n) as float32; zeros while the buffer has not been placed.
  void read(Backend& backend, Store store, int64_t at, int64_t n, float* out) const;
  void write(Backend& backend, Store store, int64_t at, int64_t n, const float* values);

 private:
  size_t element_bytes(Store store) const {
    const bool moment = store == Store::kMoment1 || store == Store::kMoment2;
    return moment && moments_ == Moments::kBfloat16 ? sizeof(uint16_t) : sizeof(float);
  }

  Moments moments_;
  std::vector<TensorInfo> tensors_;
  std::vector<LayerOffsets> layers_;
  int64_t embedding_ = 0, head_ = 0, final_norm_ = 0;
  int64_t matrix_elements_ = 0, elements_ = 0, parameters_ = 0;
  void* buffers_[4] = {};
};

}  // namespace siri
