// Weights, gradients and optimiser moments: four flat buffers of one layout, addressed by Hugging Face tensor names.
// Matrices (two dimensions, weight decay) come first, vectors after them; k and v (and gate and up) of a layer are adjacent so
// that each pair is one matrix to the decoder. Knows nothing of files and of the forward pass.
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
  Weights(Backend& backend, const DecoderConfig& config);
  ~Weights();
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

  float* data(Store store) const { return buffers_[static_cast<int>(store)]; }
  bool has(Store store) const { return data(store) != nullptr; }
  void ensure(Store store);  // allocates (zeroed) on first use

 private:
  Backend& backend_;
  std::vector<TensorInfo> tensors_;
  std::vector<LayerOffsets> layers_;
  int64_t embedding_ = 0, head_ = 0, final_norm_ = 0;
  int64_t matrix_elements_ = 0, elements_ = 0, parameters_ = 0;
  float* buffers_[4] = {};
};

}  // namespace siri
