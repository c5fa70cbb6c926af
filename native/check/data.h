// Inputs for the cases: random arrays that depend on the seed and a name, and arrays on a device.
#pragma once
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "backend.h"
#include "core/rng.h"

namespace siri::check {

// Draws from (seed, a counter of its own): the order of cases decides nothing once `stream` differs.
class Random {
 public:
  Random(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}
  double uniform() { return siri::uniform(seed_, stream_, next_++); }
  // Close to normal, standard deviation `scale`.
  float normal(float scale) {
    double sum = 0;
    for (int i = 0; i < 4; ++i) sum += uniform() - 0.5;
    return static_cast<float>(sum * std::sqrt(3.0)) * scale;
  }
  int32_t below(int64_t n) { return static_cast<int32_t>(uniform() * static_cast<double>(n)); }
  std::vector<float> normals(int64_t n, float scale = 1.0f) {
    std::vector<float> v(n);
    for (float& x : v) x = normal(scale);
    return v;
  }
  std::vector<int32_t> integers(int64_t n, int64_t limit) {
    std::vector<int32_t> v(n);
    for (int32_t& x : v) x = below(limit);
    return v;
  }
  // n distinct numbers below limit.
  std::vector<int32_t> distinct(int64_t n, int64_t limit) {
    std::vector<int32_t> v(limit);
    for (int64_t i = 0; i < limit; ++i) v[i] = static_cast<int32_t>(i);
    for (int64_t i = 0; i < n; ++i) std::swap(v[i], v[i + below(limit - i)]);
    v.resize(n);
    return v;
  }

 private:
  uint64_t seed_, stream_, next_ = 0;
};

template <class T>
class DeviceArray {
 public:
  DeviceArray(Backend& device, const std::vector<T>& host) : device_(device), size_(host.size()) {
    data_ = static_cast<T*>(device.allocate(bytes() + sizeof(T)));
    if (size_ > 0) device.upload(data_, host.data(), bytes());
  }
  // Filled with a value that shows when it is read or left unwritten.
  DeviceArray(Backend& device, int64_t size, T fill) : DeviceArray(device, std::vector<T>(size, fill)) {}
  ~DeviceArray() { device_.release(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  std::vector<T> host() const {
    std::vector<T> v(size_);
    if (size_ > 0) device_.download(v.data(), data_, bytes());
    return v;
  }

 private:
  size_t bytes() const { return size_ * sizeof(T); }
  Backend& device_;
  size_t size_;
  T* data_;
};

template <class Real>
std::vector<Real> to(const std::vector<float>& v) {
  return std::vector<Real>(v.begin(), v.end());
}

inline std::string size_text(const char* name, int64_t n) { return std::string(name) + " " + std::to_string(n); }

// Rows [first, first + count) of an array of rows.
template <class T>
std::vector<T> rows_of(const std::vector<T>& v, int64_t first, int64_t count, int64_t width) {
  return std::vector<T>(v.begin() + first * width, v.begin() + (first + count) * width);
}

}  // namespace siri::check
