// One device as the operations see it: memory, copies, a stream, scratch that lives for one operation. Two implementations: gpu/ on
// CUDA's runtime, emulator/ on the emulated machine. Include after device.cuh.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "device.cuh"

namespace siri::SIRI_DEVICE {

struct DeviceInfo {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  size_t memory_bytes = 0, free_bytes = 0;
  int driver = 0, runtime = 0;  // as 1000 * major + 10 * minor
};

class Device {
 public:
  // Throws Error SIRI_NO_CUDA_DEVICE, SIRI_CUDA_DRIVER_TOO_OLD or ArgumentError (no such index).
  explicit Device(int index = 0);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const Stream& stream() const;
  DeviceInfo info() const;
  // Bytes of shared memory that a block can have.
  size_t shared_bytes() const;
  // Once by each thread that uses the device, but for the one that made it.
  void enter_thread();
  // What scratch has grown to, and whether it is one buffer that does (the emulator takes each piece by itself).
  size_t scratch_bytes() const;
  bool grows() const;

  // Zeroed, aligned to 256 bytes. Throws MemoryError.
  void* allocate(size_t bytes);
  void release(void* p);
  void zero(void* p, size_t bytes);
  // In the order of the stream. The host's memory is free again on return; no wait but for a full staging buffer.
  void upload(void* device, const void* host, size_t bytes);
  // Waits for all work before.
  void download(void* host, const void* device, size_t bytes);
  void wait();

  // Ends the life of everything taken since the last begin(). Called first by every operation.
  void begin();
  // `count` elements of scratch, not initialised, aligned to 256 bytes. The buffer grows to the largest operation and is kept.
  template <class T>
  T* take(int64_t count) {
    return static_cast<T*>(take_bytes(static_cast<size_t>(count) * sizeof(T)));
  }
  // Scratch with a copy of host memory.
  template <class T>
  T* stage(const T* host, int64_t count) {
    T* p = take<T>(count);
    if (count > 0) upload(p, host, static_cast<size_t>(count) * sizeof(T));
    return p;
  }

  // Host memory for copies that run in the order of the stream; it lives as long as scratch does. Only what runs in that order too (host
  // work) may touch it, or who has waited.
  template <class T>
  T* take_host(int64_t count) {
    return static_cast<T*>(take_host_bytes(static_cast<size_t>(count) * sizeof(T)));
  }
  // Between device memory and memory of take_host, in the order of the stream, without a wait.
  void copy(void* to, const void* from, size_t bytes);

  // Seconds that the device needs for what `work` launches, by its own clock (the emulator has none and returns 0).
  template <class Work>
  double seconds(const Work& work) {
    begin_timing();
    work();
    return end_timing();
  }

 private:
  void* take_bytes(size_t bytes);
  void* take_host_bytes(size_t bytes);
  void begin_timing();
  double end_timing();

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A host function between launches: runs after what was launched before, and what is launched next waits for it, while the caller goes
// on launching. It must not use the device. The caller waits for its end at the latest when this goes away.
class HostWork {
 public:
  HostWork(Device& device, std::function<void()> work);
  ~HostWork();
  // Waits until the function has run, not for what was launched after it. Throws what it threw, or an error of the work before it.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace siri::SIRI_DEVICE
