// Contexts that can be left and entered again: the threads of an emulated block. A switch saves the registers that a call preserves
// and costs a few nanoseconds; where there is no hand-written one, ucontext does it. Knows nothing of CUDA.
#pragma once
#include <cstddef>
#include <memory>

namespace siri::emulator {

// Stacks for up to `count` fibres that take turns on one thread of the system. Their bodies must not let exceptions out.
class Fibres {
 public:
  explicit Fibres(size_t count);
  ~Fibres();
  Fibres(const Fibres&) = delete;
  Fibres& operator=(const Fibres&) = delete;

  static constexpr size_t kStackBytes = size_t{256} << 10;

  // Makes fibre i run `body` from the beginning when it is entered next. When body returns, the caller of enter() goes on.
  void prepare(size_t i, void (*body)(void*), void* argument);
  // Leaves the caller for fibre i, until that one leaves or ends.
  void enter(size_t i);
  // Leaves fibre i for the caller of enter().
  void leave(size_t i);
  // Whether fibre i has kept to its stack (the lowest words hold a pattern).
  bool intact(size_t i) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace siri::emulator
