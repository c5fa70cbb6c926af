#include "model/arena.h"

#include <cstdio>

#include "core/error.h"

namespace siri {
namespace {

constexpr size_t kAlignment = 256;

size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

std::string mebibytes(size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MiB", static_cast<double>(bytes) / 1048576.0);
  return text;
}

}  // namespace

Arena::~Arena() {
  if (memory_ != nullptr) backend_.release(memory_);
}

void Arena::take(const std::vector<Part>& parts) {
  size_t total = 0;
  std::string list;
  for (const Part& p : parts) {
    total += aligned(p.bytes);
    list += (list.empty() ? "" : ", ") + p.name + " " + mebibytes(p.bytes);
  }
  try {
    memory_ = static_cast<char*>(backend_.allocate(total));
  } catch (const MemoryError& e) {
    throw MemoryError(std::string(e.what()) + ". Planned together: " + list);
  }
  parts_ = parts;
}

char* Arena::find(const std::string& name) const {
  size_t at = 0;
  for (const Part& p : parts_) {
    if (p.name == name) return memory_ + at;
    at += aligned(p.bytes);
  }
  if (memory_ == nullptr) return nullptr;
  throw Error("SIRI_INTERNAL", "no part \"" + name + "\" in the memory plan");
}

}  // namespace siri
