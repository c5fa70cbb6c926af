#include "emulator/block.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace siri::emulator {
namespace {

constexpr size_t kStaticLimit = 49152;
constexpr uint32_t kAllLanes = 0xffffffffu;

std::string text(const Extent& e) { return "(" + std::to_string(e.x) + ", " + std::to_string(e.y) + ", " + std::to_string(e.z) + ")"; }

// Fibres are kept from launch to launch.
Fibres& all_fibres() {
  static Fibres fibres(Machine::kThreadLimit);
  return fibres;
}

const char* access_name(Access access) {
  return access == Access::kRead || access == Access::kReadOnly ? "read" : access == Access::kWrite ? "write" : "atomic";
}

}  // namespace

Block::Block(Machine& machine, const char* kernel, Extent grid, Extent size, size_t shared_bytes)
    : machine_(machine),
      kernel_(kernel),
      size_(size),
      count_(static_cast<uint32_t>(size.count())),
      dynamic_bytes_(shared_bytes),
      threads_(count_),
      warps_((count_ + kWarp - 1) / kWarp),
      fibres_(all_fibres()),
      launch_begin_(machine.tick()),
      shared_((shared_bytes + 127) / 128 * 128 + kStaticLimit, false) {
  for (size_t i = Machine::kThreadLimit; i > 0; --i) free_fibres_.push_back(i - 1);
  others_ordered_ = launch_begin_;
  gridDim = grid;
  blockDim = size;
}

void Block::body(void* p) {
  Block* block = static_cast<Block*>(p);
  try {
    (*block->thread_)();
    block->land(block->threads_[block->current_], 0);
  } catch (...) {
    block->error_ = std::current_exception();
  }
  block->threads_[block->current_].state = State::kDone;
}

void Block::run(Extent index, const std::function<void()>& thread) {
  index_ = index;
  blockIdx = index;
  thread_ = &thread;
  block_begin_ = interval_begin_ = machine_.tick();
  others_ordered_ = launch_begin_;
  live_ = count_;
  waiting_ = barrier_count_ = 0;
  static_arrays_.clear();
  static_bytes_ = 0;
  for (uint32_t t = 0; t < count_; ++t) {
    threads_[t].state = State::kFresh;
    threads_[t].partial_mask = 0;
    if (threads_[t].copies.size() != 1 || !threads_[t].copies[0].empty()) threads_[t].copies.assign(1, {});
  }
  for (uint32_t w = 0; w < warps_.size(); ++w) {
    const uint32_t lanes = std::min(kWarp, count_ - w * kWarp);
    warps_[w] = Warp();
    warps_[w].live = warps_[w].ready = lanes == kWarp ? kAllLanes : (1u << lanes) - 1;
  }
  uint32_t last = count_ - 1;
  while (live_ > 0) {
    const int64_t next = next_ready(last);
    if (next < 0) stuck();
    last = current_ = static_cast<uint32_t>(next);
    Thread& t = threads_[current_];
    if (t.state == State::kFresh) {
      t.fibre = free_fibres_.back();
      free_fibres_.pop_back();
      fibres_.prepare(t.fibre, body, this);
    }
    t.state = State::kReady;
    threadIdx = Extent(current_ % size_.x, current_ / size_.x % size_.y, current_ / (size_.x * size_.y));
    fibres_.enter(t.fibre);
    if (!fibres_.intact(t.fibre))
      violation(Kind::kStack, Where(),
                "its local variables take more than the " + std::to_string(Fibres::kStackBytes) + " bytes of a fibre");
    if (error_) {
      const std::exception_ptr error = error_;
      error_ = nullptr;
      std::rethrow_exception(error);
    }
    if (t.state == State::kDone) {
      free_fibres_.push_back(t.fibre);
      Warp& warp = warps_[current_ / kWarp];
      warp.live &= ~(1u << lane());
      warp.ready &= ~(1u << lane());
      --live_;
    }
  }
}

// The lanes of a warp first, then the next warps.
int64_t Block::next_ready(uint32_t after) const {
  const uint32_t first = after / kWarp, lane = after % kWarp;
  const uint32_t above = lane == kWarp - 1 ? 0 : warps_[first].ready & (kAllLanes << (lane + 1));
  if (above != 0) return first * kWarp + std::countr_zero(above);
  for (size_t step = 1; step <= warps_.size(); ++step) {
    const size_t w = (first + step) % warps_.size();
    if (warps_[w].ready != 0) return static_cast<int64_t>(w * kWarp + std::countr_zero(warps_[w].ready));
  }
  return -1;
}

void Block::wait(State state) {
  threads_[current_].state = state;
  warps_[current_ / kWarp].ready &= ~(1u << lane());
  fibres_.leave(threads_[current_].fibre);
}

void Block::wake(uint32_t thread) {
  threads_[thread].state = State::kReady;
  warps_[thread / kWarp].ready |= 1u << thread % kWarp;
}

// ---- barriers and warp operations

uint32_t Block::barrier(const char* name, bool predicate, const Where& where) {
  if (machine_.watches() && machine_.breaks(Fault::kDropBarrier, where)) return predicate;
  Thread& me = threads_[current_];
  me.waits_for = name;
  me.where = where;
  me.predicate = predicate;
  ++waiting_;
  if (waiting_ < count_) {
    wait(State::kBarrier);
  } else {
    me.state = State::kBarrier;
    release_barrier();
  }
  return barrier_count_;
}

void Block::release_barrier() {
  const Thread& me = threads_[current_];
  barrier_count_ = 0;
  for (uint32_t t = 0; t < count_; ++t) {
    const Thread& other = threads_[t];
    if (other.where.line() != me.where.line() || other.where.column() != me.where.column() ||
        std::strcmp(other.where.file_name(), me.where.file_name()) != 0 || std::strcmp(other.waits_for, me.waits_for) != 0)
      violation(Kind::kDivergence, me.where, "the block's threads meet at different barriers: " + waiting_text(t));
    barrier_count_ += other.predicate;
  }
  for (uint32_t t = 0; t < count_; ++t) wake(t);
  waiting_ = 0;
  interval_begin_ = machine_.tick();
}

void Block::warp(const char* name, uint32_t mask, bool orders, Complete complete, const Where& where) {
  if (orders && machine_.watches() && machine_.breaks(Fault::kDropBarrier, where)) return;
  const uint32_t w = current_ / kWarp;
  Warp& warp = warps_[w];
  Thread& me = threads_[current_];
  if ((mask >> lane() & 1) == 0)
    violation(Kind::kLane, where, std::string(name) + " with a mask that does not name the calling lane " + std::to_string(lane()));
  if (const uint32_t absent = mask & ~warp.live; absent != 0) {
    const uint32_t l = std::countr_zero(absent);
    violation(Kind::kLane, where,
              std::string(name) + " names lane " + std::to_string(l) +
                  (w * kWarp + l < count_ ? ", which has ended" : ", which the block does not have"));
  }
  me.waits_for = name;
  me.where = where;
  me.mask = mask;
  me.complete = complete;
  warp.arrived |= 1u << lane();
  for (uint32_t l = 0; l < kWarp; ++l) {
    if ((warp.arrived >> l & 1) == 0 || l == lane()) continue;
    const Thread& other = threads_[w * kWarp + l];
    if ((other.mask & mask) == 0) continue;
    if (other.mask != mask || other.where.line() != where.line() || other.where.column() != where.column() ||
        std::strcmp(other.where.file_name(), where.file_name()) != 0 || std::strcmp(other.waits_for, name) != 0)
      violation(Kind::kDivergence, where,
                std::string("lanes of a warp meet at different operations or masks: ") + waiting_text(w * kWarp + l));
  }
  if ((warp.arrived & mask) != mask) {
    wait(State::kWarpCall);
    return;
  }
  warp.arrived &= ~mask;
  if (complete != nullptr) complete(*this, w, mask);
  if (orders) {
    const uint32_t now = machine_.tick();
    if (mask == warp.live) warp.ordered = now;
    for (uint32_t l = 0; l < kWarp; ++l)
      if (mask >> l & 1) {
        threads_[w * kWarp + l].partial_mask = mask;
        threads_[w * kWarp + l].partial_time = now;
      }
  }
  for (uint32_t l = 0; l < kWarp; ++l)
    if (mask >> l & 1) wake(w * kWarp + l);
}

void Block::order_after_blocks() { others_ordered_ = block_begin_; }

// ---- accesses

bool Block::ordered(uint32_t time, uint16_t thread, bool in_shared) const {
  if (time < block_begin_) return in_shared || time < others_ordered_;
  if (thread == current_ || time < interval_begin_) return true;
  if (thread / kWarp != current_ / kWarp) return false;
  const Thread& me = threads_[current_];
  return time < warps_[current_ / kWarp].ordered || ((me.partial_mask >> thread % kWarp & 1) != 0 && time < me.partial_time);
}

void Block::access(Memory& memory, Access access, size_t offset, size_t bytes, int64_t index, const Where& where) {
  const bool in_shared = &memory == &shared_;
  const size_t grain = memory.grain();
  for (size_t at = offset / grain; at <= (offset + bytes - 1) / grain; ++at)
    judge(memory.cell(at * grain), access, in_shared, false, index, where);
}

void Block::judge(Cell& cell, Access access, bool in_shared, bool async, int64_t index, const Where& where) {
  const auto report = [&](uint32_t time, uint16_t thread, const char* what) {
    const std::string who = time < block_begin_ ? "an earlier block" : "thread " + thread_text(thread);
    violation(time < block_begin_ ? Kind::kBlockRace : Kind::kRace, where,
              std::string(access_name(access)) + " of element " + std::to_string(index) + " that " + who + what);
  };
  const bool writes = access == Access::kWrite || access == Access::kAtomic;
  const bool stale = in_shared && cell.written < block_begin_;  // of an earlier block's life
  if (in_shared && cell.in_flight && cell.written >= block_begin_ && !async)
    violation(Kind::kAsync, where,
              std::string(access_name(access)) + " of element " + std::to_string(index) + " that thread " + thread_text(cell.writer) +
                  " is still copying to: copy_wait, then a barrier");
  if (access != Access::kWrite && (in_shared ? stale : !cell.valid))
    violation(Kind::kUnwritten, where, std::string(access_name(access)) + " of element " + std::to_string(index) + ", which nobody wrote");
  if (!stale && cell.written >= launch_begin_) {
    if (!(cell.atomic && access == Access::kAtomic) && !ordered(cell.written, cell.writer, in_shared))
      report(cell.written, cell.writer, writes ? " writes too, with no barrier between" : " writes, with no barrier between");
    if (access == Access::kReadOnly)
      violation(Kind::kReadOnly, where,
                "read through In<T> of element " + std::to_string(index) + ", which this launch writes: take Ref<const T>");
  }
  const uint32_t now = machine_.clock_;
  if (writes) {
    if (!(in_shared && cell.read < block_begin_) && cell.read >= launch_begin_) {
      if (cell.first_read < block_begin_ && cell.first_read >= launch_begin_ && !ordered(cell.first_read, 0, in_shared))
        report(cell.first_read, 0, " reads, with no order between");
      // An atomic access counts as a write, not as a read.
      for (const auto& [time, thread] : {std::pair{cell.read, cell.reader}, {cell.read_besides, cell.reader_besides}})
        if (time >= block_begin_ && !ordered(time, thread, in_shared)) report(time, thread, " reads, with no barrier between");
      if (cell.read_only)
        violation(Kind::kReadOnly, where,
                  "write of element " + std::to_string(index) + ", which this launch reads through In<T>: take Ref<const T>");
    }
    cell.written = now;
    cell.writer = static_cast<uint16_t>(current_);
    cell.atomic = access == Access::kAtomic;
    cell.valid = true;
    cell.in_flight = async;
    return;
  }
  if (cell.first_read < launch_begin_) cell.first_read = now;
  if (cell.read < launch_begin_) cell.read_only = false;
  if (access == Access::kReadOnly) cell.read_only = true;
  const uint16_t me = static_cast<uint16_t>(current_);
  if (cell.reader != me) {
    // A reader of another warp says more than one of this warp.
    if (cell.reader / kWarp != me / kWarp || cell.read_besides < interval_begin_ || cell.reader_besides / kWarp == me / kWarp) {
      cell.read_besides = cell.read;
      cell.reader_besides = cell.reader;
    }
    cell.reader = me;
  }
  cell.read = now;
}

// ---- shared memory

size_t Block::static_shared(const void* key, size_t bytes, size_t alignment, const Where& where) {
  for (const StaticArray& array : static_arrays_)
    if (array.key == key) return array.offset;
  const size_t begin = (static_bytes_ + alignment - 1) / alignment * alignment;
  if (begin + bytes > kStaticLimit)
    violation(Kind::kShared, where,
              std::to_string(begin + bytes) + " bytes of static shared memory; " + std::to_string(kStaticLimit) + " are the most");
  static_bytes_ = begin + bytes;
  static_arrays_.push_back({key, (dynamic_bytes_ + 127) / 128 * 128 + begin, bytes});
  return static_arrays_.back().offset;
}

size_t Block::dynamic_shared(size_t offset, size_t bytes, const Where& where) {
  if (offset + bytes > dynamic_bytes_)
    violation(Kind::kShared, where,
              "dynamic shared memory up to byte " + std::to_string(offset + bytes) + "; the launch gave " + std::to_string(dynamic_bytes_));
  return offset;
}

// ---- asynchronous copies: the bytes arrive when they are waited for, not earlier

void Block::copy_begin(Memory& memory, size_t offset, const void* data, size_t bytes, int64_t index, const Where& where) {
  const size_t grain = memory.grain();
  for (size_t at = offset / grain; at <= (offset + bytes - 1) / grain; ++at)
    judge(memory.cell(at * grain), Access::kWrite, true, true, index, where);
  AsyncCopy copy{&memory, offset, bytes, {}, where};
  std::memcpy(copy.data, data, bytes);
  threads_[current_].copies.back().push_back(copy);
}

void Block::copy_commit() { threads_[current_].copies.emplace_back(); }

// As on a device, what was not committed is not waited for.
void Block::copy_wait(size_t pending_groups) { land(threads_[current_], pending_groups + 1); }

// Lets the oldest groups arrive until `groups` are left.
void Block::land(Thread& thread, size_t groups) {
  while (thread.copies.size() > groups) {
    for (const AsyncCopy& copy : thread.copies.front()) {
      std::memcpy(copy.memory->bytes_at(copy.offset), copy.data, copy.bytes);
      const size_t grain = copy.memory->grain();
      for (size_t at = copy.offset / grain; at <= (copy.offset + copy.bytes - 1) / grain; ++at) {
        Cell& cell = copy.memory->cell(at * grain);
        cell.written = machine_.clock_;
        cell.in_flight = false;
      }
    }
    thread.copies.erase(thread.copies.begin());
  }
}

// ---- reports

std::string Block::thread_text(uint32_t t) const { return text(Extent(t % size_.x, t / size_.x % size_.y, t / (size_.x * size_.y))); }

std::string Block::waiting_text(uint32_t t) const {
  const Thread& thread = threads_[t];
  const std::string who = "thread " + thread_text(t);
  if (thread.state == State::kDone) return who + " has ended";
  return who + " is at " + thread.waits_for + " (" + place(thread.where) + ")";
}

void Block::violation(Kind kind, const Where& where, const std::string& what) const {
  throw Violation(kind, kernel_ + ", block " + text(index_) + ", thread " + thread_text(current_) +
                            (where.line() > 0 ? ", " + place(where) : "") + ": " + what);
}

// Nobody can go on: somebody waits for one that will not come.
void Block::stuck() {
  uint32_t waiting = 0;
  while (threads_[waiting].state == State::kDone) ++waiting;
  current_ = waiting;
  uint32_t other = waiting;
  for (uint32_t t = 0; t < count_; ++t) {
    const Thread &a = threads_[t], &b = threads_[waiting];
    if (a.state != b.state || a.where.line() != b.where.line() || a.where.column() != b.where.column()) other = t;
  }
  violation(Kind::kDivergence, threads_[waiting].where,
            std::string("waits at ") + threads_[waiting].waits_for + " for ever; " +
                (other == waiting ? "so do all others, for lanes that do not come" : waiting_text(other)));
}

}  // namespace siri::emulator
