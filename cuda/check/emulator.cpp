// The emulator's own tests: small kernels with one fault each beside the same kernel without it.
#include <numeric>

#include "check/check_device.h"
#include "check/device_array.h"
#include "gpu/cublaslt.h"
#include "gpu/driver.h"
#include "reduce.cuh"

namespace siri::emulated {
namespace {

using check::Check;
using emulator::Kind;

constexpr int kThreads = 64;

// What a run of 64-thread blocks over `n` floats comes to: no violation, or its kind.
struct Verdict {
  bool violated = false;
  Kind kind{};
  std::string message;
};

template <class... P, class... A>
Verdict verdict(uint32_t blocks, void (*kernel)(P...), const A&... arguments) {
  try {
    launch(Stream(), "mutant", {{blocks}, {kThreads}, 1024}, kernel, arguments...);
  } catch (const emulator::Violation& v) {
    return {true, v.kind, v.what()};
  }
  return {};
}

// The thread before through shared memory.
template <bool kBarrier>
void exchange(In<float> x, Out<float> y) {
  SIRI_SHARED(float, tile, kThreads);
  tile[threadIdx.x] = x[threadIdx.x];
  if constexpr (kBarrier) __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x == 0 ? 0 : threadIdx.x - 1];
}

// The same shared array in turns: the barrier after the reads.
template <bool kBarrier>
void turns(In<float> x, Out<float> y) {
  SIRI_SHARED(float, tile, kThreads);
  float sum = 0;
  for (int turn = 0; turn < 2; ++turn) {
    tile[threadIdx.x] = x[threadIdx.x] + turn;
    __syncthreads();
    sum += tile[kThreads - 1 - threadIdx.x];
    if constexpr (kBarrier) __syncthreads();
  }
  y[threadIdx.x] = sum;
}

template <int kShift>
void shifted(In<float> x, Out<float> y) {
  y[threadIdx.x] = x[static_cast<int>(threadIdx.x) + kShift];
}
template <int kShift>
void shifted_write(In<float> x, Out<float> y) {
  y[static_cast<int>(threadIdx.x) + kShift] = x[threadIdx.x];
}
template <int kShift>
void shifted_shared(In<float> x, Out<float> y) {
  SIRI_SHARED(float, tile, kThreads);
  tile[static_cast<int>(threadIdx.x) + kShift] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = tile[static_cast<int>(threadIdx.x) + kShift];
}
void misaligned(In<float> x, Out<float> y) {
  if (threadIdx.x == 0) store(y, 0, load<4>(x, 1));
}
template <int kLast>
void partly_written(In<float>, Out<float> y) {
  if (threadIdx.x < kLast) y[threadIdx.x] = 1;
}
void reads_unwritten_shared(In<float>, Out<float> y) {
  SIRI_SHARED(float, tile, kThreads);
  y[threadIdx.x] = tile[threadIdx.x];
}
template <int kWaiting>
void some_wait(In<float> x, Out<float> y) {
  if (threadIdx.x < kWaiting) __syncthreads();
  y[threadIdx.x] = x[threadIdx.x];
}
void two_barriers(In<float>, Out<float>) {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}
template <uint32_t kMask>
void shuffles(In<float> x, Out<float> y) {
  float v = x[threadIdx.x];
  if (threadIdx.x % 32 < 16) v += __shfl_xor_sync(kMask, v, kMask == 0xffffu ? 8 : 16);
  y[threadIdx.x] = v;
}
void reads_inactive_lane(In<float> x, Out<float> y) {
  float v = x[threadIdx.x];
  if (threadIdx.x % 32 < 16) v += __shfl_xor_sync(0xffffu, v, 16);
  y[threadIdx.x] = v;
}
void two_operations(In<float> x, Out<float> y) {
  float v = x[threadIdx.x];
  if (threadIdx.x % 2 == 0)
    v = __shfl_xor_sync(kAllLanes, v, 1);
  else
    v = __shfl_down_sync(kAllLanes, v, 1);
  y[threadIdx.x] = v;
}
template <bool kAtomic>
void counts(Ref<uint32_t> counter) {
  if constexpr (kAtomic)
    atomic_add(counter, 0, 1u);
  else
    counter[0] += 1u;
}
// All blocks write the same element.
void blocks_write(Out<float> y) {
  if (threadIdx.x == 0) y[0] = 1;
}
void block_reads_neighbour(Ref<float> y) {
  if (threadIdx.x != 0) return;
  y[blockIdx.x] = 1;
  if (blockIdx.x > 0) y[blockIdx.x] = y[blockIdx.x - 1];
}
template <bool kArrive>
void last_block_sums(Ref<float> part, Ref<uint32_t> counter, Out<float> total) {
  if (threadIdx.x != 0) return;
  part[blockIdx.x] = static_cast<float>(blockIdx.x);
  if constexpr (kArrive) {
    if (!arrive_last(counter, 0, gridDim.x)) return;
  } else if (blockIdx.x + 1 < gridDim.x) {
    return;
  }
  float sum = 0;
  for (uint32_t b = 0; b < gridDim.x; ++b) sum += part[b];
  total[0] = sum;
}
void read_only_is_written(In<float> x, Out<float> y) { y[threadIdx.x] = x[threadIdx.x] + 1; }
template <bool kSync>
void warp_exchange(In<float> x, Out<float> y) {
  SIRI_SHARED(float, tile, kThreads);
  tile[threadIdx.x] = x[threadIdx.x];
  if constexpr (kSync) __syncwarp();
  y[threadIdx.x] = tile[threadIdx.x & ~1u];
}
void other_warp_exchange(In<float> x, Out<float> y) {
  SIRI_SHARED(float, tile, kThreads);
  tile[threadIdx.x] = x[threadIdx.x];
  __syncwarp();
  y[threadIdx.x] = tile[threadIdx.x & ~32u];
}
template <bool kWait, bool kBarrier>
void async_exchange(In<float> x, Out<float> y) {
  const Shared<float> tile = dynamic_shared<float>(0, kThreads);
  copy_async<1>(tile, threadIdx.x, x, threadIdx.x);
  copy_commit();
  if constexpr (kWait) copy_wait<0>();
  if constexpr (kBarrier) __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x & ~1u];
}
void too_much_shared(In<float>, Out<float> y) {
  const Shared<float> tile = dynamic_shared<float>(1020, 2);
  if (threadIdx.x == 0) tile[0] = 1;
  y[threadIdx.x] = 0;
}
void votes(Out<uint32_t> y) {
  const uint32_t even = __ballot_sync(kAllLanes, threadIdx.x % 2 == 0);
  const int any = __any_sync(kAllLanes, threadIdx.x == 0), all = __all_sync(kAllLanes, threadIdx.x < 32);
  const int count = __syncthreads_count(threadIdx.x < 10), some = __syncthreads_or(threadIdx.x == 3);
  const uint32_t same = __match_any_sync(kAllLanes, threadIdx.x % 32 / 8);
  if (threadIdx.x % 32 == 9) {
    y[threadIdx.x / 32 * 4 + 0] = even;
    y[threadIdx.x / 32 * 4 + 1] = static_cast<uint32_t>(any * 2 + all);
    y[threadIdx.x / 32 * 4 + 2] = static_cast<uint32_t>(count * 2 + some);
    y[threadIdx.x / 32 * 4 + 3] = same;
  }
}
void scans(In<float> x, Out<float> y) {
  const int lane = threadIdx.x % 8;
  float v = x[threadIdx.x];
  for (int step = 1; step < 8; step *= 2) {
    const float before = __shfl_up_sync(kAllLanes, v, step, 8);
    if (lane >= step) v += before;
  }
  y[threadIdx.x] = v + __shfl_sync(kAllLanes, v, 7, 8);
}
void sums_twice(In<float> x, Out<float> y) {
  const float sum = block_sum<kThreads>(static_cast<float>(x[threadIdx.x]));
  y[threadIdx.x] = block_sum<kThreads>(sum * x[threadIdx.x]);
}

// One m16n8k16 product with A and B through shared memory; kTransposed: both stored the other way round.
template <bool kTransposed>
void multiplies(In<bf16> a, In<bf16> b, In<float> c, Out<float> d) {
  SIRI_SHARED(bf16, left, 256);
  SIRI_SHARED(bf16, right, 128);
  const int lane = threadIdx.x % 32;
  if (threadIdx.x < 32) copy_async<8>(left, lane * 8, a, lane * 8);
  if (threadIdx.x < 16) copy_async<8>(right, lane * 8, b, lane * 8);
  copy_commit();
  copy_wait<0>();
  __syncthreads();
  if (threadIdx.x >= 32) return;
  FragmentA fa;
  FragmentB fb;
  if constexpr (kTransposed) {
    // a is [k, m], b is [k, n]
    fa = load_fragment_a_transposed(left, (lane / 16 * 8 + lane % 8) * 16 + lane / 8 % 2 * 8);
    fb = load_fragment_b_transposed(right, lane % 16 * 8);
  } else {
    // a is [m, k], b is [n, k]
    fa = load_fragment_a(left, lane % 16 * 16 + lane / 16 * 8);
    fb = load_fragment_b(right, lane % 8 * 16 + lane / 8 % 2 * 8);
  }
  FragmentC fc;
  for (int k = 0; k < 4; ++k) fc.r[k] = c[(lane / 4 + k / 2 * 8) * 8 + lane % 4 * 2 + k % 2];
  mma(fc, fa, fb);
  for (int k = 0; k < 4; ++k) d[(lane / 4 + k / 2 * 8) * 8 + lane % 4 * 2 + k % 2] = fc.r[k];
}

bool fragments(Device& device, uint64_t seed, bool transposed) {
  check::Random random(seed, 2900);
  const std::vector<float> a = through_bf16(random.normals(256)), b = through_bf16(random.normals(128)), c = random.normals(128);
  const Array<bf16> da(device, rounded(a)), db(device, rounded(b));
  const Array<float> dc(device, c), dd(device, 128, NAN);
  launch(device.stream(), "mma", {{1}, {kThreads}}, transposed ? multiplies<true> : multiplies<false>, In<bf16>(da.data(), 256),
         In<bf16>(db.data(), 128), In<float>(dc.data(), 128), Out<float>(dd.data(), 128));
  const std::vector<float> d = dd.host();
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 8; ++n) {
      double want = c[m * 8 + n];
      for (int k = 0; k < 16; ++k)
        want += transposed ? static_cast<double>(a[k * 16 + m]) * b[k * 8 + n] : static_cast<double>(a[m * 16 + k]) * b[n * 16 + k];
      if (d[m * 8 + n] != static_cast<float>(want)) return false;
    }
  return true;
}

// Arrays that nobody has written unless they are inputs.
struct Arena {
  explicit Arena(Device& device) : device(device) {
    device.begin();
    std::vector<float> values(kThreads);
    std::iota(values.begin(), values.end(), 1.0f);
    x = In<float>(device.stage(values.data(), kThreads), kThreads);
    y = Out<float>(device.take<float>(kThreads), kThreads);
  }
  // Whether all of y was written.
  bool complete() const {
    try {
      std::vector<float> values(kThreads);
      device.download(values.data(), y.data(), kThreads * sizeof(float));
      return true;
    } catch (const emulator::Violation& v) {
      if (v.kind != Kind::kUnwritten) throw;
      return false;
    }
  }
  Device& device;
  In<float> x;
  Out<float> y;
};

}  // namespace

// What is said where there is no GPU, no driver for this build, or no cuBLASLt.
static void check_messages(Check& check) {
  const auto says = [&](const char* what, const cuda::Probe& probe, int index, const std::string& code, const std::string& text) {
    check.condition("device_messages", what, [=](Backend&) {
      const cuda::Obstacle o = cuda::obstacle(probe, index);
      return o.code == code && o.message.find(text) != std::string::npos;
    });
  };
  says("a good device", {0, 13000, 13000, 2}, 1, "", "");
  says("no driver", {35, 0, 13000, 0}, 0, "SIRI_NO_CUDA_DEVICE", "no CUDA device");
  says("a driver without a device", {100, 13000, 13000, 0}, 0, "SIRI_NO_CUDA_DEVICE", "no CUDA device");
  says("an old driver", {35, 12040, 13000, 0}, 0, "SIRI_CUDA_DRIVER_TOO_OLD", "it is for CUDA 12.4, this build needs CUDA 13.0");
  says("another error", {999, 13000, 13000, 0}, 0, "SIRI_CUDA", "error 999");
  says("no such device", {0, 13000, 13000, 2}, 2, "SIRI_ARGUMENT", "no CUDA device 2; this machine has 2");
  check.condition("device_messages", "no cuBLASLt", [](Backend&) {
    try {
      cuda::open_cublaslt({"libnothing-of-that-name.so.1", "libm.so.6"});
    } catch (const Error& e) {
      return e.code() == "SIRI_CUBLASLT_NOT_FOUND" &&
             std::string(e.what()).find("tried libnothing-of-that-name.so.1, libm.so.6") != std::string::npos;
    }
    return false;
  });
}

void check_emulator(Check& check) {
  check_messages(check);
  Device device(0);
  const auto passes = [&](const char* what, void (*kernel)(In<float>, Out<float>), uint32_t blocks = 1) {
    check.condition("emulator", std::string("passes ") + what, [&](Backend&) {
      const Arena arena(device);
      return !verdict(blocks, kernel, arena.x, arena.y).violated && arena.complete();
    });
  };
  const auto catches = [&](const char* what, Kind kind, void (*kernel)(In<float>, Out<float>)) {
    check.condition("emulator", std::string("catches ") + what, [&](Backend&) {
      const Arena arena(device);
      const Verdict v = verdict(1, kernel, arena.x, arena.y);
      return v.violated && v.kind == kind && v.message.starts_with("mutant, block (0, 0, 0), thread (") &&
             v.message.find("emulator.cpp:") != std::string::npos;
    });
  };
  passes("an exchange with its barrier", exchange<true>);
  catches("a missing barrier", Kind::kRace, exchange<false>);
  passes("a tile used in turns", turns<true>);
  catches("a missing barrier after reads", Kind::kRace, turns<false>);
  passes("a plain copy", shifted<0>);
  catches("a read one past the end", Kind::kOutOfBounds, shifted<1>);
  catches("a read before the beginning", Kind::kOutOfBounds, shifted<-1>);
  catches("a write one past the end", Kind::kOutOfBounds, shifted_write<1>);
  passes("a copy through shared memory", shifted_shared<0>);
  catches("a shared write one past the end", Kind::kOutOfBounds, shifted_shared<1>);
  catches("a vector at a crooked address", Kind::kMisaligned, misaligned);
  catches("a read of unwritten shared memory", Kind::kUnwritten, reads_unwritten_shared);
  passes("a barrier of all", some_wait<kThreads>);
  catches("a barrier that one thread does not reach", Kind::kDivergence, some_wait<kThreads - 1>);
  catches("threads at two barriers", Kind::kDivergence, two_barriers);
  passes("a shuffle in half a warp", shuffles<0xffffu>);
  catches("a shuffle that names lanes that do not come", Kind::kDivergence, shuffles<kAllLanes>);
  catches("a shuffle from an inactive lane", Kind::kLane, reads_inactive_lane);
  catches("two operations of one warp", Kind::kDivergence, two_operations);
  passes("an exchange inside a warp", warp_exchange<true>);
  catches("a missing __syncwarp", Kind::kRace, warp_exchange<false>);
  catches("a __syncwarp between two warps", Kind::kRace, other_warp_exchange);
  passes("an asynchronous copy", async_exchange<true, true>);
  catches("an asynchronous copy without wait", Kind::kAsync, async_exchange<false, true>);
  catches("an asynchronous copy without barrier", Kind::kRace, async_exchange<true, false>);
  catches("more shared memory than the launch gave", Kind::kShared, too_much_shared);
  passes("scans in groups of lanes", scans);
  passes("two sums", sums_twice);
  check.condition("emulator", "catches an output that is not written whole", [&](Backend&) {
    const Arena whole(device);
    if (verdict(1, partly_written<kThreads>, whole.x, whole.y).violated || !whole.complete()) return false;
    const Arena part(device);
    return !verdict(1, partly_written<kThreads - 1>, part.x, part.y).violated && !part.complete();
  });
  check.condition("emulator", "catches a read of unwritten memory", [&](Backend&) {
    const Arena arena(device);
    return verdict(1, shifted<0>, In<float>(arena.y.data(), kThreads), Out<float>(device.take<float>(kThreads), kThreads)).kind ==
           Kind::kUnwritten;
  });
  check.condition("emulator", "catches In<T> of what is written", [&](Backend&) {
    const Arena arena(device);
    const Out<float> x(const_cast<float*>(arena.x.data()), kThreads);
    return verdict(1, read_only_is_written, arena.x, x).kind == Kind::kReadOnly;
  });
  check.condition("emulator", "catches a count without atomics, passes one with", [&](Backend&) {
    device.begin();
    const uint32_t zero = 0;
    const Ref<uint32_t> counter(device.stage(&zero, 1), 1);
    if (verdict(3, counts<true>, counter).violated) return false;
    uint32_t count = 0;
    device.download(&count, counter.data(), sizeof count);
    const Verdict v = verdict(1, counts<false>, counter);
    return count == 3 * kThreads && v.violated && v.kind == Kind::kRace;
  });
  check.condition("emulator", "catches blocks that write the same element", [&](Backend&) {
    const Arena arena(device);
    const Verdict v = verdict(2, blocks_write, arena.y);
    return v.violated && v.kind == Kind::kBlockRace && !verdict(1, blocks_write, arena.y).violated;
  });
  check.condition("emulator", "catches a block that reads what another writes", [&](Backend&) {
    const Arena arena(device);
    const Verdict v = verdict(2, block_reads_neighbour, Ref<float>(arena.y.data(), kThreads));
    return v.violated && v.kind == Kind::kBlockRace;
  });
  check.condition("emulator", "passes a last block that was waited for, catches one that was not", [&](Backend&) {
    const Arena arena(device);
    const uint32_t zero = 0;
    const Ref<uint32_t> counter(device.stage(&zero, 1), 1);
    const Ref<float> part(device.take<float>(5), 5);
    if (verdict(5, last_block_sums<true>, part, counter, arena.y).violated) return false;
    float total = 0;
    device.download(&total, arena.y.data(), sizeof total);
    const Verdict v = verdict(5, last_block_sums<false>, part, counter, arena.y);
    return total == 10 && v.violated && v.kind == Kind::kBlockRace;
  });
  check.condition("emulator", "votes, counts and matches", [&](Backend&) {
    device.begin();
    const Out<uint32_t> y(device.take<uint32_t>(8), 8);
    if (verdict(1, votes, y).violated) return false;
    uint32_t got[8];
    device.download(got, y.data(), sizeof got);
    const uint32_t want[8] = {0x55555555u, 3, 21, 0xff00u, 0x55555555u, 0, 21, 0xff00u};
    return std::equal(got, got + 8, want);
  });
  check.condition("emulator", "scans and sums are right", [&](Backend&) {
    const Arena arena(device);
    float got[kThreads];
    if (verdict(1, scans, arena.x, arena.y).violated) return false;
    device.download(got, arena.y.data(), sizeof got);
    for (int i = 0; i < kThreads; ++i) {
      float upto = 0, all = 0;
      for (int k = i / 8 * 8; k < i / 8 * 8 + 8; ++k) {
        all += static_cast<float>(k + 1);
        if (k <= i) upto += static_cast<float>(k + 1);
      }
      if (got[i] != upto + all) return false;
    }
    if (verdict(1, sums_twice, arena.x, arena.y).violated) return false;
    device.download(got, arena.y.data(), sizeof got);
    return std::all_of(got, got + kThreads, [](float v) { return v == 2080.0f * 2080.0f; });
  });
  for (bool transposed : {false, true})
    check.condition("emulator", transposed ? "fragments of transposed tiles" : "fragments of tiles",
                    [&](Backend&) { return fragments(device, check.seed(), transposed); });
  device.begin();
}

}  // namespace siri::emulated
