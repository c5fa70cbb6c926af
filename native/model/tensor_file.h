// Writes a safetensors file from the engine's memory, tensor by tensor. The header is made by the caller (TypeScript); knows only
// where the bytes come from and how they are rounded.
#pragma once
#include <string>
#include <vector>

#include "backend.h"
#include "model/weights.h"

namespace siri {

enum class FileType { kFloat32, kBfloat16, kFloat16 };

struct FileTensor {
  Store store;
  std::string name;
};

// header: the JSON text, padded to a multiple of 8. Tensors follow in the given order. Synced before return; throws FileError.
void write_tensor_file(Backend& backend, const Weights& weights, const std::string& path, const std::string& header,
                       const std::vector<FileTensor>& tensors, FileType type);

// Round to nearest, ties to even; NaN stays NaN.
uint16_t to_float16(float x);

}  // namespace siri
