// Device on CUDA's runtime, which is linked in: the program needs no CUDA installed to load, only a driver to run.
#include <algorithm>
#include <cstring>
#include <exception>
#include <vector>

#include "gpu/driver.h"
#include "runtime.h"

namespace siri::cuda {
namespace {

constexpr size_t kStaging = size_t{8} << 20, kSegments = 4, kSegment = kStaging / kSegments;
constexpr size_t kAlignment = 256;

std::string mebibytes(size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

void* pinned(size_t bytes) {
  void* p = nullptr;
  check(cudaMallocHost(&p, bytes), "cudaMallocHost");
  return p;
}

// One buffer, and what did not fit into it since it was emptied.
struct Scratch {
  std::byte* buffer = nullptr;
  size_t bytes = 0, taken = 0;
  std::vector<void*> overflow;

  template <class Get>
  void* take(size_t wanted, const Get& get) {
    const size_t size = (std::max<size_t>(wanted, 1) + kAlignment - 1) / kAlignment * kAlignment;
    taken += size;
    if (taken <= bytes) return buffer + taken - size;
    overflow.push_back(get(size));
    return overflow.back();
  }

  // Makes the buffer as large as what was taken.
  template <class Get, class Wait, class Free>
  void empty(const Get& get, const Wait& wait, const Free& free) {
    if (!overflow.empty()) {
      wait();
      for (void* p : overflow) free(p);
      overflow.clear();
      if (buffer != nullptr) free(buffer);
      buffer = nullptr;
      bytes = 0;
      buffer = static_cast<std::byte*>(get(taken));
      bytes = taken;
    }
    taken = 0;
  }
};

}  // namespace

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // an error of a launch is not reported again by the next call
  throw Error("SIRI_CUDA", std::string(what) + ": " + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ")");
}

struct Device::Impl {
  int index;
  int shared_bytes = 0;
  Stream stream;
  cudaEvent_t from = nullptr, to = nullptr;

  // Host memory that the copy engine reads, in segments; one is taken again when the copies from it are done.
  std::byte* staging = nullptr;
  cudaEvent_t segment_done[kSegments] = {};
  size_t segment = 0, used = 0;

  Scratch scratch, host;

  ~Impl() {
    if (stream.handle == nullptr) return;
    cudaStreamSynchronize(stream.handle);
    for (void* p : scratch.overflow) cudaFree(p);
    for (void* p : host.overflow) cudaFreeHost(p);
    cudaFree(scratch.buffer);
    cudaFreeHost(host.buffer);
    cudaFreeHost(staging);
    for (cudaEvent_t event : segment_done)
      if (event != nullptr) cudaEventDestroy(event);
    if (from != nullptr) cudaEventDestroy(from);
    if (to != nullptr) cudaEventDestroy(to);
    cudaStreamDestroy(stream.handle);
  }

  void* get(size_t bytes) {
    void* p = nullptr;
    const cudaError_t status = cudaMalloc(&p, std::max(bytes, kAlignment));
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      size_t free = 0, total = 0;
      cudaMemGetInfo(&free, &total);
      throw MemoryError("the GPU cannot give " + mebibytes(bytes) + " (" + std::to_string(bytes) + " bytes): " + mebibytes(free) + " of " +
                        mebibytes(total) + " are free; lower maxBatchTokens or kvCacheMiB, or use a smaller model");
    }
    check(status, "cudaMalloc");
    return p;
  }
};

Device::Device(int index) : impl_(std::make_unique<Impl>()) {
  require_device(index);
  impl_->index = index;
  check(cudaSetDevice(index), "cudaSetDevice");
  check(cudaDeviceGetAttribute(&impl_->shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, index), "cudaDeviceGetAttribute");
  check(cudaStreamCreateWithFlags(&impl_->stream.handle, cudaStreamNonBlocking), "cudaStreamCreate");
  check(cudaEventCreate(&impl_->from), "cudaEventCreate");
  check(cudaEventCreate(&impl_->to), "cudaEventCreate");
  check(cudaMallocHost(&impl_->staging, kStaging), "cudaMallocHost");
  for (cudaEvent_t& event : impl_->segment_done) check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
}

Device::~Device() = default;

const Stream& Device::stream() const { return impl_->stream; }

DeviceInfo Device::info() const {
  DeviceInfo info;
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, impl_->index), "cudaGetDeviceProperties");
  info.name = properties.name;
  info.major = properties.major;
  info.minor = properties.minor;
  info.multiprocessors = properties.multiProcessorCount;
  check(cudaMemGetInfo(&info.free_bytes, &info.memory_bytes), "cudaMemGetInfo");
  check(cudaDriverGetVersion(&info.driver), "cudaDriverGetVersion");
  check(cudaRuntimeGetVersion(&info.runtime), "cudaRuntimeGetVersion");
  return info;
}

void Device::enter_thread() { check(cudaSetDevice(impl_->index), "cudaSetDevice"); }

bool Device::grows() const { return true; }

size_t Device::scratch_bytes() const { return std::max(impl_->scratch.bytes, impl_->scratch.taken); }

size_t Device::shared_bytes() const { return static_cast<size_t>(impl_->shared_bytes); }

void* Device::allocate(size_t bytes) {
  void* p = impl_->get(bytes);
  zero(p, bytes);
  return p;
}

// Waits for the device: freed memory is never in use.
void Device::release(void* p) { check(cudaFree(p), "cudaFree"); }

void Device::zero(void* p, size_t bytes) { check(cudaMemsetAsync(p, 0, bytes, impl_->stream.handle), "cudaMemset"); }

void Device::upload(void* device, const void* host, size_t bytes) {
  Impl& d = *impl_;
  std::byte* to = static_cast<std::byte*>(device);
  const std::byte* from = static_cast<const std::byte*>(host);
  while (bytes > 0) {
    if (d.used == kSegment) {
      check(cudaEventRecord(d.segment_done[d.segment], d.stream.handle), "cudaEventRecord");
      d.segment = (d.segment + 1) % kSegments;
      d.used = 0;
      check(cudaEventSynchronize(d.segment_done[d.segment]), "cudaEventSynchronize");
    }
    const size_t n = std::min(bytes, kSegment - d.used);
    std::byte* at = d.staging + d.segment * kSegment + d.used;
    std::memcpy(at, from, n);
    check(cudaMemcpyAsync(to, at, n, cudaMemcpyHostToDevice, d.stream.handle), "cudaMemcpy");
    d.used += n;
    to += n;
    from += n;
    bytes -= n;
  }
}

void Device::download(void* host, const void* device, size_t bytes) {
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, impl_->stream.handle), "cudaMemcpy");
  wait();
}

void Device::wait() { check(cudaStreamSynchronize(impl_->stream.handle), "the work before (cudaStreamSynchronize)"); }

void* Device::take_bytes(size_t bytes) {
  return impl_->scratch.take(bytes, [&](size_t size) { return impl_->get(size); });
}

void* Device::take_host_bytes(size_t bytes) { return impl_->host.take(bytes, pinned); }

// Work that is under way may use the scratch: what is launched next comes after it in the stream. Only growing waits.
void Device::begin() {
  impl_->scratch.empty([&](size_t size) { return impl_->get(size); }, [&] { wait(); }, [](void* p) { check(cudaFree(p), "cudaFree"); });
  impl_->host.empty(pinned, [&] { wait(); }, [](void* p) { check(cudaFreeHost(p), "cudaFreeHost"); });
}

void Device::copy(void* to, const void* from, size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, impl_->stream.handle), "cudaMemcpy");
}

void Device::begin_timing() { check(cudaEventRecord(impl_->from, impl_->stream.handle), "cudaEventRecord"); }

double Device::end_timing() {
  check(cudaEventRecord(impl_->to, impl_->stream.handle), "cudaEventRecord");
  check(cudaEventSynchronize(impl_->to), "cudaEventSynchronize");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, impl_->from, impl_->to), "cudaEventElapsedTime");
  return milliseconds * 1e-3;
}

struct HostWork::State {
  std::function<void()> work;
  std::exception_ptr error;
  cudaEvent_t done = nullptr;

  ~State() {
    if (done != nullptr) cudaEventDestroy(done);
  }
};

HostWork::HostWork(Device& device, std::function<void()> work) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.work = std::move(work);
  check(cudaEventCreateWithFlags(&s.done, cudaEventDisableTiming), "cudaEventCreate");
  const cudaHostFn_t run = [](void* p) {
    State& state = *static_cast<State*>(p);
    try {
      state.work();
    } catch (...) {
      state.error = std::current_exception();
    }
  };
  check(cudaLaunchHostFunc(device.stream().handle, run, &s), "cudaLaunchHostFunc");
  if (const cudaError_t status = cudaEventRecord(s.done, device.stream().handle); status != cudaSuccess) {
    cudaStreamSynchronize(device.stream().handle);  // the function holds on to what goes away now
    check(status, "cudaEventRecord");
  }
}

HostWork::~HostWork() { cudaEventSynchronize(state_->done); }

void HostWork::finish() {
  check(cudaEventSynchronize(state_->done), "the work before (cudaEventSynchronize)");
  if (state_->error) std::rethrow_exception(state_->error);
}

}  // namespace siri::cuda
