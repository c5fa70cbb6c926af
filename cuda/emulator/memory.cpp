#include "emulator/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <type_traits>

namespace siri::emulator {

static_assert(std::is_trivially_copyable_v<Cell>);

Memory::Memory(size_t bytes, bool valid) : bytes_(bytes) {
  data_.reset(static_cast<std::byte*>(std::aligned_alloc(256, (bytes + 256) / 256 * 256)));
  if (data_ == nullptr) throw std::bad_alloc();
  // What nobody wrote reads as NaN in every type, should a check be missing.
  std::memset(data_.get(), valid ? 0 : 0xff, bytes);
  make_cells();
  if (valid) mark_valid(0, bytes);
  void* p = mmap(nullptr, std::max<size_t>(bytes, 1), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  address_ = static_cast<std::byte*>(p);
}

Memory::~Memory() { munmap(address_, std::max<size_t>(bytes_, 1)); }

// Pages of zeros cost nothing until they are touched.
void Memory::make_cells() {
  cells_.reset(static_cast<Cell*>(std::calloc(bytes_ / grain_ + 1, sizeof(Cell))));
  if (cells_ == nullptr) throw std::bad_alloc();
}

void Memory::mark_valid(size_t offset, size_t bytes) {
  if (bytes == 0) return;
  refine(offset % 4 != 0 || (bytes % 4 != 0 && offset + bytes != bytes_) ? ((offset | bytes) % 2 != 0 ? 1 : 2) : grain_);
  for (size_t i = offset / grain_; i <= (offset + bytes - 1) / grain_; ++i) {
    cells_.get()[i] = Cell{};
    cells_.get()[i].valid = true;
  }
}

size_t Memory::first_unwritten(size_t offset, size_t bytes) {
  for (size_t at = offset; at < offset + bytes; at += grain_)
    if (!cell(at).valid) return at;
  return offset + bytes;
}

void Memory::forget() {
  std::memset(data_.get(), 0xff, bytes_);
  make_cells();
}

void Memory::split(size_t bytes) {
  const std::unique_ptr<Cell, Free> coarse = std::move(cells_);
  const size_t old = grain_;
  grain_ = bytes;
  make_cells();
  for (size_t i = 0; i <= bytes_ / grain_; ++i) cells_.get()[i] = coarse.get()[i * grain_ / old];
}

}  // namespace siri::emulator
