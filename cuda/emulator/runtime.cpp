#include "runtime.h"

#include <cstring>
#include <exception>
#include <vector>

namespace siri::emulated {

struct Device::Impl {
  Stream stream;
  std::vector<void*> scratch;
  std::vector<std::vector<std::byte>> host;
};

Device::Device(int) : impl_(std::make_unique<Impl>()) {}
Device::~Device() { begin(); }

const Stream& Device::stream() const { return impl_->stream; }
DeviceInfo Device::info() const { return {"emulator", 9, 0, 1, 0, 0, 0, 0}; }
// The least that a supported GPU has (sm_86, 89, 120).
size_t Device::shared_bytes() const { return 101376; }

void* Device::allocate(size_t bytes) { return emulator::machine().allocate(bytes, true); }
void Device::release(void* p) { emulator::machine().release(p); }

void Device::zero(void* p, size_t bytes) {
  const std::vector<std::byte> zeros(bytes);
  upload(p, zeros.data(), bytes);
}

namespace {

// The allocation that holds the range.
emulator::Memory& holder(const void* p, size_t bytes, const char* what) {
  emulator::Memory* memory = emulator::machine().find(p);
  if (memory == nullptr || static_cast<const std::byte*>(p) + bytes > memory->data() + memory->bytes())
    throw emulator::Violation(memory == nullptr ? emulator::Kind::kNotDeviceMemory : emulator::Kind::kOutOfBounds,
                              std::string(what) + " of " + std::to_string(bytes) + " bytes beyond an allocation");
  return *memory;
}

}  // namespace

void Device::upload(void* device, const void* host, size_t bytes) {
  if (bytes == 0) return;
  const std::lock_guard lock(emulator::machine().mutex());
  emulator::Memory& memory = holder(device, bytes, "upload");
  const size_t offset = static_cast<size_t>(static_cast<std::byte*>(device) - memory.data());
  std::memcpy(memory.bytes_at(offset), host, bytes);
  memory.mark_valid(offset, bytes);
}

void Device::download(void* host, const void* device, size_t bytes) {
  if (bytes == 0) return;
  const std::lock_guard lock(emulator::machine().mutex());
  emulator::Memory& memory = holder(device, bytes, "download");
  const size_t offset = static_cast<size_t>(static_cast<const std::byte*>(device) - memory.data());
  if (const size_t at = memory.first_unwritten(offset, bytes); at < offset + bytes)
    throw emulator::Violation(emulator::Kind::kUnwritten, "download of " + std::to_string(bytes) + " bytes: byte " +
                                                              std::to_string(at - offset) + " was never written");
  std::memcpy(host, memory.bytes_at(offset), bytes);
}

void Device::wait() {}

// Each piece is an allocation of its own, so that no access can stray into the next.
void* Device::take_bytes(size_t bytes) {
  impl_->scratch.push_back(emulator::machine().allocate(bytes, false));
  return impl_->scratch.back();
}

void Device::begin() {
  for (void* p : impl_->scratch) emulator::machine().release(p);
  impl_->scratch.clear();
  impl_->host.clear();
}

// Bytes that are NaN as a float.
void* Device::take_host_bytes(size_t bytes) { return impl_->host.emplace_back(bytes, std::byte{0xff}).data(); }

void Device::copy(void* to, const void* from, size_t bytes) {
  const std::lock_guard lock(emulator::machine().mutex());
  if (emulator::machine().find(from) != nullptr)
    download(to, from, bytes);
  else
    upload(to, from, bytes);
}

void Device::enter_thread() {}
bool Device::grows() const { return false; }
size_t Device::scratch_bytes() const { return 0; }

void Device::begin_timing() {}
double Device::end_timing() { return 0; }

struct HostWork::State {
  std::exception_ptr error;
};

HostWork::HostWork(Device&, std::function<void()> work) : state_(std::make_unique<State>()) {
  try {
    work();
  } catch (...) {
    state_->error = std::current_exception();
  }
}
HostWork::~HostWork() = default;

void HostWork::finish() {
  if (state_->error) std::rethrow_exception(state_->error);
}

}  // namespace siri::emulated
