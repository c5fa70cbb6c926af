// Arrays on a Device for checks, and bfloat16 on the host.
#pragma once
#include <cmath>
#include <vector>

#include "check/data.h"
#include "runtime.h"

namespace siri::SIRI_DEVICE {

template <class T>
class Array {
 public:
  Array(Device& device, const std::vector<T>& host) : device_(device), size_(host.size()) {
    data_ = static_cast<T*>(device.allocate(size_ * sizeof(T)));
    if (size_ > 0) device.upload(data_, host.data(), size_ * sizeof(T));
  }
  Array(Device& device, size_t size, T fill) : Array(device, std::vector<T>(size, fill)) {}
  ~Array() { device_.release(data_); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  T* data() const { return data_; }
  std::vector<T> host() const {
    std::vector<T> v(size_);
    if (size_ > 0) device_.download(v.data(), data_, size_ * sizeof(T));
    return v;
  }

 private:
  Device& device_;
  size_t size_;
  T* data_;
};

inline std::vector<bf16> rounded(const std::vector<float>& v) {
  std::vector<bf16> r;
  for (float x : v) r.push_back(to_bf16(x));
  return r;
}
inline std::vector<float> floats(const std::vector<bf16>& v) {
  std::vector<float> r;
  for (bf16 x : v) r.push_back(to_float(x));
  return r;
}
inline std::vector<float> through_bf16(const std::vector<float>& v) { return floats(rounded(v)); }

template <class T>
std::vector<T> typed(const std::vector<float>& v) {
  if constexpr (std::is_same_v<T, bf16>)
    return rounded(v);
  else
    return v;
}
template <class T>
std::vector<float> plain(const std::vector<T>& v) {
  if constexpr (std::is_same_v<T, bf16>)
    return floats(v);
  else
    return std::vector<float>(v.begin(), v.end());
}

// A twin's result as a kernel stores it in bfloat16: what is left between the two is a unit of the last place where they fall on
// different sides of a boundary, so the straightforward float formula is rounded and the exact one is not.
template <class Real>
std::vector<Real> stored(const std::vector<Real>& v) {
  if constexpr (std::is_same_v<Real, double>) return v;
  std::vector<Real> r;
  for (Real x : v) r.push_back(static_cast<Real>(to_float(to_bf16(static_cast<float>(x)))));
  return r;
}

}  // namespace siri::SIRI_DEVICE
