#include "model/tensor_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "core/bfloat16.h"
#include "core/error.h"
#include "core/system.h"

namespace siri {
namespace {

constexpr int64_t kChunk = 1 << 20;  // elements converted at a time

struct Close {
  void operator()(std::FILE* f) const { std::fclose(f); }
};

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw FileError("cannot " + std::string(what) + " " + path + ": " + std::strerror(errno));
}

}  // namespace

uint16_t to_float16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7E00u);
  if (magnitude >= 0x47800000u) return static_cast<uint16_t>(sign | 0x7C00u);  // 65536 and above, infinity
  if (magnitude < 0x33000000u) return static_cast<uint16_t>(sign);             // below half of the least subnormal
  const int exponent = static_cast<int>(magnitude >> 23) - 127;
  uint32_t mantissa, shift;
  if (exponent < -14) {  // subnormal: the value in units of 2^-24
    mantissa = (magnitude & 0x7FFFFFu) | 0x800000u;
    shift = static_cast<uint32_t>(-exponent - 1);
  } else {
    mantissa = magnitude - (112u << 23);  // rebias: the exponent field moves along with the rounding carry
    shift = 13;
  }
  const uint32_t half = 1u << (shift - 1), rest = mantissa & ((1u << shift) - 1u);
  uint32_t out = mantissa >> shift;
  if (rest > half || (rest == half && (out & 1u))) ++out;
  return static_cast<uint16_t>(sign | out);
}

void write_tensor_file(Backend& backend, const Weights& weights, const std::string& path, const std::string& header,
                       const std::vector<FileTensor>& tensors, FileType type) {
  std::unique_ptr<std::FILE, Close> file(open_file(path, "wb"));
  if (!file) fail(path, "create");
  const auto write = [&](const void* data, size_t bytes) {
    if (std::fwrite(data, 1, bytes, file.get()) != bytes) fail(path, "write");
  };
  uint8_t length[8];
  for (int i = 0; i < 8; ++i) length[i] = static_cast<uint8_t>(static_cast<uint64_t>(header.size()) >> (8 * i));
  write(length, sizeof length);
  write(header.data(), header.size());

  std::vector<float> values;
  std::vector<uint16_t> rounded;
  for (const FileTensor& t : tensors) {
    const TensorInfo& info = weights.find(t.name);
    for (int64_t at = 0; at < info.size; at += kChunk) {
      const int64_t n = std::min(kChunk, info.size - at);
      values.resize(n);
      weights.read(backend, t.store, info.offset + at, n, values.data());
      if (type == FileType::kFloat32) {
        write(values.data(), static_cast<size_t>(n) * sizeof(float));
        continue;
      }
      rounded.resize(n);
      for (int64_t i = 0; i < n; ++i) rounded[i] = type == FileType::kBfloat16 ? to_bfloat16(values[i]) : to_float16(values[i]);
      write(rounded.data(), static_cast<size_t>(n) * sizeof(uint16_t));
    }
  }
  if (!sync_file(file.get())) fail(path, "sync");
}

}  // namespace siri
