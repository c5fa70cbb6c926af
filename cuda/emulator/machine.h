// The emulated device: its memory, and launches that run a kernel's blocks one after another, in order. One per process, one
// thread at a time in it. Also where mutants are made: a launch can be told to leave out a barrier or a write, or to shift an index.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <source_location>
#include <string>
#include <vector>

#include "emulator/memory.h"
#include "emulator/violation.h"

namespace siri::emulator {

using Where = std::source_location;

struct Extent {
  uint32_t x = 1, y = 1, z = 1;
  constexpr Extent(uint32_t x = 1, uint32_t y = 1, uint32_t z = 1) : x(x), y(y), z(z) {}
  constexpr uint64_t count() const { return uint64_t{x} * y * z; }
};

// "file:line" without folders.
std::string place(const Where& where);

// What can be broken on purpose, at one place in the source of a kernel.
enum class Fault { kNone, kDropBarrier, kShiftIndex, kDropWrite };

struct Site {
  Fault fault = Fault::kNone;
  std::string kernel, file;
  uint32_t line = 0, column = 0;
  auto operator<=>(const Site&) const = default;
};

class Machine {
 public:
  static constexpr size_t kSharedLimit = 232448;  // bytes a block can have on sm_90
  static constexpr uint32_t kThreadLimit = 1024;

  // Held by whoever is in the machine: engines have threads of their own.
  std::recursive_mutex& mutex() { return mutex_; }

  // `valid`: zeros that count as written. Throws MemoryError.
  void* allocate(size_t bytes, bool valid);
  void release(void* p);
  // The allocation that holds p, or null.
  Memory* find(const void* p);

  // Runs `thread` once for every thread of the grid. Throws the first Violation.
  void launch(const char* kernel, Extent grid, Extent block, size_t shared_bytes, const std::function<void()>& thread);
  int64_t launches() const { return launches_; }

  // Places met by launches since record(), and the one that is broken from now on (Fault::kNone: none).
  void record();
  std::vector<Site> sites();
  void mutate(const Site& site);
  // Asked at every such place.
  bool breaks(Fault fault, const Where& where);
  bool watches() const { return watches_; }

 private:
  friend class Block;
  uint32_t tick();

  std::recursive_mutex mutex_;
  std::map<const std::byte*, std::unique_ptr<Memory>> memory_;
  uint32_t clock_ = 1;
  int64_t launches_ = 0;
  const char* kernel_ = "";
  bool watches_ = false, recording_ = false;
  std::map<Site, int64_t> sites_;
  Site broken_;
};

Machine& machine();

}  // namespace siri::emulator
