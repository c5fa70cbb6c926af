// Barriers, shuffles, votes and atomics under CUDA's names, on the emulator's blocks.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>

#include "emulator/block.h"
#include "emulator/views.h"

namespace siri::emulated {

using emulator::Block;
using emulator::kWarp;

enum class Shuffle : int32_t { kFrom, kUp, kDown, kXor };

namespace detail {

// What a lane brings to a shuffle; the value taken comes back in `value`.
struct ShuffleParcel {
  uint64_t value;
  int32_t argument, width;
  Shuffle kind;
};

inline int32_t shuffle_source(int32_t lane, const ShuffleParcel& p) {
  const int32_t first = lane & ~(p.width - 1), last = lane | (p.width - 1);
  switch (p.kind) {
    case Shuffle::kFrom:
      return first | (p.argument & (p.width - 1));
    case Shuffle::kUp:
      return lane - p.argument < first ? lane : lane - p.argument;
    case Shuffle::kDown:
      return lane + p.argument > last ? lane : lane + p.argument;
    case Shuffle::kXor:
      return (lane ^ p.argument) > last ? lane : lane ^ p.argument;
  }
  return lane;
}

inline void complete_shuffle(Block& block, uint32_t warp, uint32_t mask) {
  ShuffleParcel in[kWarp];
  for (uint32_t l = 0; l < kWarp; ++l)
    if (mask >> l & 1) std::memcpy(&in[l], block.parcel(warp, l).bytes, sizeof in[l]);
  for (uint32_t l = 0; l < kWarp; ++l) {
    if ((mask >> l & 1) == 0) continue;
    const int32_t source = shuffle_source(static_cast<int32_t>(l), in[l]);
    if (source < 0 || source >= static_cast<int32_t>(kWarp) || (mask >> source & 1) == 0)
      block.violation(emulator::Kind::kLane, block.place_of(warp, l),
                      "lane " + std::to_string(l) + " shuffles from lane " + std::to_string(source) + ", which takes no part");
    std::memcpy(block.parcel(warp, l).bytes, &in[source].value, sizeof in[source].value);
  }
}

template <class T>
T shuffle(const char* name, uint32_t mask, T value, Shuffle kind, int argument, int width, const Where& where) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  ShuffleParcel p{0, argument, width, kind};
  std::memcpy(&p.value, &value, sizeof value);
  Block& block = *emulator::current;
  if (width < 1 || width > static_cast<int>(kWarp) || !std::has_single_bit(static_cast<unsigned>(width)))
    block.violation(emulator::Kind::kLane, where, std::string(name) + " in groups of " + std::to_string(width) + " lanes");
  std::memcpy(block.parcel().bytes, &p, sizeof p);
  block.warp(name, mask, false, complete_shuffle, where);
  std::memcpy(&value, block.parcel().bytes, sizeof value);
  return value;
}

// The lanes of the mask that gave true.
inline void complete_ballot(Block& block, uint32_t warp, uint32_t mask) {
  uint32_t ballot = 0;
  for (uint32_t l = 0; l < kWarp; ++l)
    if ((mask >> l & 1) && block.parcel(warp, l).bytes[0] != std::byte{0}) ballot |= 1u << l;
  for (uint32_t l = 0; l < kWarp; ++l)
    if (mask >> l & 1) std::memcpy(block.parcel(warp, l).bytes, &ballot, sizeof ballot);
}

inline uint32_t ballot(const char* name, uint32_t mask, bool predicate, const Where& where) {
  Block& block = *emulator::current;
  block.parcel().bytes[0] = std::byte{predicate};
  block.warp(name, mask, false, complete_ballot, where);
  uint32_t result;
  std::memcpy(&result, block.parcel().bytes, sizeof result);
  return result;
}

// Each lane learns which lanes of the mask brought the same value.
inline void complete_match(Block& block, uint32_t warp, uint32_t mask) {
  uint64_t value[kWarp] = {};
  for (uint32_t l = 0; l < kWarp; ++l)
    if (mask >> l & 1) std::memcpy(&value[l], block.parcel(warp, l).bytes, sizeof value[l]);
  for (uint32_t l = 0; l < kWarp; ++l) {
    if ((mask >> l & 1) == 0) continue;
    uint32_t same = 0;
    for (uint32_t k = 0; k < kWarp; ++k)
      if ((mask >> k & 1) && value[k] == value[l]) same |= 1u << k;
    std::memcpy(block.parcel(warp, l).bytes, &same, sizeof same);
  }
}

}  // namespace detail

inline void __syncthreads(Where where = Where::current()) { emulator::current->barrier("__syncthreads", false, where); }
inline int __syncthreads_count(int predicate, Where where = Where::current()) {
  return static_cast<int>(emulator::current->barrier("__syncthreads_count", predicate != 0, where));
}
inline int __syncthreads_or(int predicate, Where where = Where::current()) {
  return emulator::current->barrier("__syncthreads_or", predicate != 0, where) > 0;
}
inline int __syncthreads_and(int predicate, Where where = Where::current()) {
  return emulator::current->barrier("__syncthreads_and", predicate != 0, where) == emulator::Extent(blockDim).count();
}
inline void __syncwarp(uint32_t mask = 0xffffffffu, Where where = Where::current()) {
  emulator::current->warp("__syncwarp", mask, true, nullptr, where);
}

template <class T>
T __shfl_sync(uint32_t mask, T value, int lane, int width = 32, Where where = Where::current()) {
  return detail::shuffle("__shfl_sync", mask, value, Shuffle::kFrom, lane, width, where);
}
template <class T>
T __shfl_up_sync(uint32_t mask, T value, unsigned delta, int width = 32, Where where = Where::current()) {
  return detail::shuffle("__shfl_up_sync", mask, value, Shuffle::kUp, static_cast<int>(delta), width, where);
}
template <class T>
T __shfl_down_sync(uint32_t mask, T value, unsigned delta, int width = 32, Where where = Where::current()) {
  return detail::shuffle("__shfl_down_sync", mask, value, Shuffle::kDown, static_cast<int>(delta), width, where);
}
template <class T>
T __shfl_xor_sync(uint32_t mask, T value, int lanes, int width = 32, Where where = Where::current()) {
  return detail::shuffle("__shfl_xor_sync", mask, value, Shuffle::kXor, lanes, width, where);
}
inline uint32_t __ballot_sync(uint32_t mask, int predicate, Where where = Where::current()) {
  return detail::ballot("__ballot_sync", mask, predicate != 0, where);
}
inline int __any_sync(uint32_t mask, int predicate, Where where = Where::current()) {
  return detail::ballot("__any_sync", mask, predicate != 0, where) != 0;
}
inline int __all_sync(uint32_t mask, int predicate, Where where = Where::current()) {
  return detail::ballot("__all_sync", mask, predicate != 0, where) == mask;
}
template <class T>
uint32_t __match_any_sync(uint32_t mask, T value, Where where = Where::current()) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  Block& block = *emulator::current;
  std::memset(block.parcel().bytes, 0, 8);
  std::memcpy(block.parcel().bytes, &value, sizeof value);
  block.warp("__match_any_sync", mask, false, detail::complete_match, where);
  uint32_t same;
  std::memcpy(&same, block.parcel().bytes, sizeof same);
  return same;
}
// Lanes that have not ended; unlike a device's it does not tell diverged lanes apart.
inline uint32_t __activemask() { return emulator::current->active_lanes(); }

inline int __popc(uint32_t x) { return std::popcount(x); }
inline int __ffs(uint32_t x) { return x == 0 ? 0 : std::countr_zero(x) + 1; }
inline int __clz(uint32_t x) { return std::countl_zero(x); }

// Atomic accesses through a view; each returns the value before.
template <class T>
T atomic_add(const Ref<T>& view, Index i, T value) {
  T* p = view.atomic(i);
  const T old = *p;
  *p = old + value;
  return old;
}
template <class T>
T atomic_max(const Ref<T>& view, Index i, T value) {
  T* p = view.atomic(i);
  const T old = *p;
  if (value > old) *p = value;
  return old;
}
template <class T>
T atomic_min(const Ref<T>& view, Index i, T value) {
  T* p = view.atomic(i);
  const T old = *p;
  if (value < old) *p = value;
  return old;
}
template <class T>
T atomic_exchange(const Ref<T>& view, Index i, T value) {
  T* p = view.atomic(i);
  const T old = *p;
  *p = value;
  return old;
}
template <class T>
T atomic_compare_exchange(const Ref<T>& view, Index i, T expected, T value) {
  T* p = view.atomic(i);
  const T old = *p;
  if (old == expected) *p = value;
  return old;
}

// Called by one thread of each block after a barrier. True in the block that arrives as the `blocks`-th: what the others wrote before
// they arrived can be read there. The counter starts at 0 and is 0 again afterwards.
inline bool arrive_last(const Ref<uint32_t>& counter, Index i, uint32_t blocks) {
  uint32_t* p = counter.atomic(i);
  if (++*p < blocks) return false;
  *p = 0;
  emulator::current->order_after_blocks();
  return true;
}

}  // namespace siri::emulated
