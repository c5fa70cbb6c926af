// Device memory that is planned part by part and then taken at once: nothing is allocated in the loop, and what does not fit is known
// before the first step. Knows names and sizes, not what they are for.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "backend.h"

namespace siri {

class Arena {
 public:
  struct Part {
    std::string name;
    size_t bytes;
  };

  explicit Arena(Backend& backend) : backend_(backend) {}
  Arena(Backend& backend, const std::vector<Part>& parts) : Arena(backend) { take(parts); }
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // One allocation for all parts, zeroed. Throws MemoryError that names each part with its size, and keeps nothing. Once.
  void take(const std::vector<Part>& parts);
  bool taken() const { return memory_ != nullptr; }
  // Where a part begins, aligned to 256 bytes. Null before take().
  template <class T = float>
  T* part(const std::string& name) const {
    return reinterpret_cast<T*>(find(name));
  }

 private:
  char* find(const std::string& name) const;

  Backend& backend_;
  char* memory_ = nullptr;
  std::vector<Part> parts_;
};

}  // namespace siri
