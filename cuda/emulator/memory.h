// Memory of the emulated device with a shadow: for every grain of it who wrote it last and who read it since, by the emulator's clock.
// What the device hands out is an address that nobody can read or write, so that host code which forgets where it is ends there and then;
// only views and copies know where the bytes are. Knows nothing of threads or kernels: block.h judges.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace siri::emulator {

// Times are values of the machine's clock, 0 = never. Threads are numbers inside their block; which block it was, the time tells.
struct Cell {
  uint32_t written = 0, read = 0;  // latest
  uint32_t read_besides = 0;       // latest by a thread other than `reader`
  uint32_t first_read = 0;         // earliest in the latest launch that read it
  uint16_t writer = 0, reader = 0, reader_besides = 0;
  bool valid = false;      // somebody wrote it, host included
  bool atomic = false;     // the latest write was atomic
  bool in_flight = false;  // a copy_async to it was begun and not waited for
  bool read_only = false;  // the latest read was through In<T>
};

struct Free {
  void operator()(void* p) const { std::free(p); }
};

class Memory {
 public:
  // `valid`: counts as written (zeros). Throws bad_alloc.
  Memory(size_t bytes, bool valid);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // The device's address, aligned to a page.
  std::byte* data() const { return address_; }
  // Where the bytes from `offset` on are.
  std::byte* bytes_at(size_t offset) const { return data_.get() + offset; }
  size_t bytes() const { return bytes_; }
  size_t grain() const { return grain_; }
  // Makes the shadow as fine as `bytes` (a power of two), the size of an element that is accessed.
  void refine(size_t bytes) {
    if (bytes < grain_) split(bytes);
  }
  Cell& cell(size_t offset) { return cells_.get()[offset / grain_]; }
  void mark_valid(size_t offset, size_t bytes);
  // Offset of the first grain in the range that nobody wrote, or `end` of the range.
  size_t first_unwritten(size_t offset, size_t bytes);
  // All as nobody had written it.
  void forget();

 private:
  void split(size_t bytes);
  void make_cells();

  std::byte* address_ = nullptr;
  std::unique_ptr<std::byte, Free> data_;
  std::unique_ptr<Cell, Free> cells_;
  size_t bytes_, grain_ = 4;
};

}  // namespace siri::emulator
