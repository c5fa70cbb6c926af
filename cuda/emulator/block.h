// One block of an emulated launch: its threads as fibres, its barriers and warp operations, its shared memory, and the judgement of
// every access. Threads run in a fixed order, each until it waits or ends; the order is not what a device does, so whatever depends on
// it is a violation (memory.h keeps the log, judged against the barriers since).
//
// Ordered are: accesses of one thread; of a block's threads by __syncthreads; of a warp's lanes by __syncwarp; of a block with those
// that came before by arrive_last. Shuffles and votes order nothing, as on a device.
#pragma once
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "emulator/fibre.h"
#include "emulator/machine.h"

namespace siri::emulator {

constexpr uint32_t kWarp = 32;

enum class Access { kRead, kReadOnly, kWrite, kAtomic };

class Block {
 public:
  // What a lane brings to a warp operation and takes from it.
  struct Parcel {
    alignas(16) std::byte bytes[64];
  };
  // Called once all lanes of `mask` have brought theirs.
  using Complete = void (*)(Block& block, uint32_t warp, uint32_t mask);
  struct AsyncCopy {
    Memory* memory;
    size_t offset, bytes;
    std::byte data[16];
    Where where;
  };

  Block(Machine& machine, const char* kernel, Extent grid, Extent size, size_t shared_bytes);

  void run(Extent index, const std::function<void()>& thread);

  // For a view's element; `index` is for the report. Memory of other devices than the shared one belongs to the machine.
  void access(Memory& memory, Access access, size_t offset, size_t bytes, int64_t index, const Where& where);
  [[noreturn]] void violation(Kind kind, const Where& where, const std::string& what) const;

  // Waits for all threads; returns how many of them gave true.
  uint32_t barrier(const char* name, bool predicate, const Where& where);
  // Waits for the lanes of `mask`; orders their accesses when `orders`.
  void warp(const char* name, uint32_t mask, bool orders, Complete complete, const Where& where);
  Parcel& parcel(uint32_t warp, uint32_t lane) { return threads_[warp * kWarp + lane].parcel; }
  Parcel& parcel() { return threads_[current_].parcel; }
  const Where& place_of(uint32_t warp, uint32_t lane) const { return threads_[warp * kWarp + lane].where; }
  uint32_t lane() const { return current_ % kWarp; }
  uint32_t active_lanes() const { return warps_[current_ / kWarp].live; }

  // Shared memory: named arrays, made at their first use, and the dynamic part. Offsets count in shared().
  Memory& shared() { return shared_; }
  size_t static_shared(const void* key, size_t bytes, size_t alignment, const Where& where);
  size_t dynamic_shared(size_t offset, size_t bytes, const Where& where);

  void copy_begin(Memory& memory, size_t offset, const void* data, size_t bytes, int64_t index, const Where& where);
  void copy_commit();
  void copy_wait(size_t pending_groups);

  // All that earlier blocks of this launch did is ordered before what this block does from now on.
  void order_after_blocks();

 private:
  enum class State { kFresh, kReady, kBarrier, kWarpCall, kDone };
  struct Thread {
    State state;
    size_t fibre;
    Where where;  // of the barrier or warp operation it waits at
    const char* waits_for;
    uint32_t mask;
    Complete complete;
    bool predicate;
    uint32_t partial_mask, partial_time;  // the latest __syncwarp of part of the warp
    Parcel parcel;
    std::vector<std::vector<AsyncCopy>> copies;  // groups, oldest first; the last one is open
  };
  struct Warp {
    uint32_t live = 0, ready = 0, arrived = 0;
    uint32_t ordered = 0;  // time of the latest __syncwarp of all live lanes
  };
  struct StaticArray {
    const void* key;
    size_t offset, bytes;
  };

  static void body(void* block);
  int64_t next_ready(uint32_t after) const;
  void wait(State state);
  void wake(uint32_t thread);
  void release_barrier();
  void land(Thread& thread, size_t groups);
  bool ordered(uint32_t time, uint16_t thread, bool in_shared) const;
  void judge(Cell& cell, Access access, bool in_shared, bool async, int64_t index, const Where& where);
  [[noreturn]] void stuck();
  std::string thread_text(uint32_t thread) const;
  std::string waiting_text(uint32_t thread) const;

  Machine& machine_;
  std::string kernel_;
  Extent size_, index_;
  uint32_t count_;
  size_t dynamic_bytes_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  Fibres& fibres_;
  std::vector<size_t> free_fibres_;
  const std::function<void()>* thread_ = nullptr;
  uint32_t current_ = 0, live_ = 0, waiting_ = 0, barrier_count_ = 0;
  uint32_t launch_begin_, block_begin_ = 0, interval_begin_ = 0, others_ordered_ = 0;
  std::exception_ptr error_;
  Memory shared_;
  std::vector<StaticArray> static_arrays_;
  size_t static_bytes_ = 0;
};

// The block whose thread runs now.
inline Block* current = nullptr;

}  // namespace siri::emulator

// CUDA's own names for where a thread is.
inline siri::emulator::Extent threadIdx, blockIdx, blockDim, gridDim;
