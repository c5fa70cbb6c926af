#include "emulator/machine.h"

#include <algorithm>
#include <new>
#include <string_view>

#include "core/error.h"
#include "emulator/block.h"

namespace siri::emulator {
namespace {

std::string file_of(const Where& where) {
  const std::string_view path = where.file_name();
  return std::string(path.substr(path.find_last_of('/') + 1));
}

}  // namespace

std::string place(const Where& where) { return file_of(where) + ":" + std::to_string(where.line()); }

Machine& machine() {
  static Machine machine;
  return machine;
}

void* Machine::allocate(size_t bytes, bool valid) {
  const std::lock_guard lock(mutex_);
  try {
    auto memory = std::make_unique<Memory>(bytes, valid);
    std::byte* p = memory->data();
    memory_[p] = std::move(memory);
    return p;
  } catch (const std::bad_alloc&) {
    throw MemoryError("the emulated device cannot get " + std::to_string(bytes) + " bytes");
  }
}

void Machine::release(void* p) {
  const std::lock_guard lock(mutex_);
  if (p != nullptr && memory_.erase(static_cast<std::byte*>(p)) == 0)
    throw Violation(Kind::kNotDeviceMemory, "release of memory that the emulated device did not give");
}

Memory* Machine::find(const void* p) {
  const std::byte* at = static_cast<const std::byte*>(p);
  auto it = memory_.upper_bound(at);
  if (it == memory_.begin()) return nullptr;
  Memory* memory = std::prev(it)->second.get();
  return at <= memory->data() + memory->bytes() ? memory : nullptr;
}

uint32_t Machine::tick() {
  if (++clock_ == 0) throw Violation(Kind::kLaunch, "the emulator's clock ran over: start a new process");
  return clock_;
}

void Machine::launch(const char* kernel, Extent grid, Extent block, size_t shared_bytes, const std::function<void()>& thread) {
  const auto refuse = [&](const std::string& what) { throw Violation(Kind::kLaunch, std::string(kernel) + ": " + what); };
  if (block.count() > kThreadLimit) refuse(std::to_string(block.count()) + " threads in a block; 1024 are the most");
  if (block.z > 64) refuse("a block of depth " + std::to_string(block.z) + "; 64 is the most");
  if (grid.x > 0x7fffffffu || grid.y > 0xffffu || grid.z > 0xffffu)
    refuse("a grid of " + std::to_string(grid.x) + " x " + std::to_string(grid.y) + " x " + std::to_string(grid.z) +
           " blocks; 2147483647 x 65535 x 65535 are the most");
  if (shared_bytes > kSharedLimit)
    throw Violation(Kind::kShared, std::string(kernel) + ": " + std::to_string(shared_bytes) + " bytes of dynamic shared memory; " +
                                       std::to_string(kSharedLimit) + " are the most");
  const std::lock_guard lock(mutex_);
  kernel_ = kernel;
  ++launches_;
  Block run(*this, kernel, grid, block, shared_bytes);
  current = &run;
  struct Reset {
    ~Reset() { current = nullptr; }
  } reset;
  Extent index;
  for (index.z = 0; index.z < grid.z; ++index.z)
    for (index.y = 0; index.y < grid.y; ++index.y)
      for (index.x = 0; index.x < grid.x; ++index.x) run.run(index, thread);
}

void Machine::record() {
  sites_.clear();
  recording_ = watches_ = true;
}

std::vector<Site> Machine::sites() {
  recording_ = false;
  watches_ = broken_.fault != Fault::kNone;
  std::vector<Site> all;
  for (const auto& [site, count] : sites_) all.push_back(site);
  return all;
}

void Machine::mutate(const Site& site) {
  broken_ = site;
  watches_ = recording_ || site.fault != Fault::kNone;
}

bool Machine::breaks(Fault fault, const Where& where) {
  if (recording_) ++sites_[{fault, kernel_, file_of(where), where.line(), where.column()}];
  return broken_.fault == fault && broken_.line == where.line() && broken_.column == where.column() && broken_.kernel == kernel_ &&
         broken_.file == file_of(where);
}

}  // namespace siri::emulator
