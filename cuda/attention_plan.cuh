// The work of an attention call, cut into what blocks do: the host writes tables, kernels read them. A query and one of the heads of a
// group (the query heads of one kv head) make a vector; vector v of a run of queries is query v / group, head v % group of the group.
// All heads of a group stand side by side in a block, which reads their keys and values once. Knows no arithmetic.
//
// Layers differ only in where their keys begin: places are kept relative to the first, so that the tables of one layer serve all,
// and a call whose segments are those of the last one only compares them (for 256 sequences of 128 pages 0.5 MB are read, and nothing
// is built or copied).
#pragma once
#include <vector>

#include "backend.h"
#include "reduce.cuh"
#include "runtime.h"

namespace siri::SIRI_DEVICE {

// Partial results end at multiples of this many keys, whoever the keys are read with: what a row sums up to depends on nothing else.
constexpr int kSplitKeys = 512;

// Query i stands in row `row` + i and sees keys [0, before + i + 1).
struct QueryRun {
  int32_t row, count, before, unused;
};

// Pieces of keys or values: entries [begin, begin + pieces) of the lists; rows are `stride` elements apart.
struct PieceList {
  int32_t begin, pieces, stride, unused;
};

// Vectors [first, first + rows) of run `run` and those that follow it, over keys [key_begin, key_end) of one sequence. partial: the first
// row of the partial results; -1: to the result.
struct RowItem {
  int32_t run, first, rows, partial;
  int32_t key_begin, key_end, unused[2];
  PieceList keys, values;
};

// A query whose keys were cut: part i of its first vector is row parts[begin + i] + vector of the partial results.
struct CutQuery {
  int32_t row, parts, begin, vector;
};

// Keys [begin, begin + count) of a piece, the first at `position`, and the queries that may see them: runs [run, run + runs) in order.
struct KeyItem {
  int32_t piece, begin, count, position;
  int32_t run, runs, key_stride, value_stride;
};

// A call's segments, without what differs between layers.
struct AttentionLayout {
  struct Segment {
    int64_t row, queries, keys;
    PieceList key_list, value_list;
  };
  std::vector<Segment> segments;              // those with queries
  std::vector<int64_t> offsets, ends;         // of pieces, lists end to end: elements from the first one, and one past the last position
  std::vector<int64_t> key_sums, value_sums;  // for the entries of key lists; empty in the forward pass
};

// How it is cut.
struct AttentionSizes {
  int32_t group, wide_rows, narrow_rows;  // query heads of a kv head; vectors of a block
  int32_t chunk;                          // elements in 16 bytes
  bool operator==(const AttentionSizes&) const = default;
};

// Work over rows of queries.
struct RowPlan {
  std::vector<QueryRun> runs;
  std::vector<RowItem> wide, narrow;  // of at most wide_rows and narrow_rows vectors
  std::vector<CutQuery> cut;
  std::vector<int32_t> parts, ends;
  std::vector<int64_t> offsets;
  int64_t query_rows = 0;    // 1 + the last row of q
  int32_t partial_rows = 0;  // for each kv head
  bool long_rows = false;    // an item goes on after the first kSplitKeys keys
  bool aligned = true;       // all keys and values begin at multiples of 16 bytes if the first ones do
};
// `cuts`: segments of at most wide_rows vectors are cut into items of kSplitKeys keys, which are read once for all segments that
// share them.
RowPlan plan_rows(const AttentionLayout& layout, const AttentionSizes& sizes, bool cuts);

// Work over pieces of keys: every piece once, with its queries in the order of the segments.
struct KeyPlan {
  std::vector<QueryRun> runs;
  std::vector<KeyItem> items;
  std::vector<int64_t> offsets;               // [pieces, 2]: of keys and values
  std::vector<int64_t> key_sums, value_sums;  // [pieces]: of where their gradients are added
  bool aligned_sums = true;
};
KeyPlan plan_keys(const AttentionLayout& layout, const AttentionSizes& sizes);

// Tables on the device that live until the next ones.
class DeviceTables {
 public:
  explicit DeviceTables(Device& device) : device_(device) {}
  ~DeviceTables();
  DeviceTables(const DeviceTables&) = delete;
  DeviceTables& operator=(const DeviceTables&) = delete;

  Device& device() const { return device_; }
  size_t bytes() const { return capacity_; }  // of device memory
  void clear() { bytes_.clear(); }
  template <class R>
  size_t add(const std::vector<R>& records) {
    const size_t at = (bytes_.size() + 15) / 16 * 16, size = records.size() * sizeof(R);
    bytes_.resize(at + size);
    if (size > 0) std::memcpy(bytes_.data() + at, records.data(), size);
    return at;
  }
  void upload();
  // Words of type W at a place that add() gave.
  template <class W, class R>
  In<W> view(size_t at, const std::vector<R>& records) const {
    return In<W>(reinterpret_cast<const W*>(data_ + at), static_cast<int64_t>(records.size() * sizeof(R) / sizeof(W)));
  }

 private:
  Device& device_;
  std::vector<std::byte> bytes_;
  std::byte* data_ = nullptr;
  size_t capacity_ = 0;
};

// What a launch over rows of queries needs of the plan.
struct RowTables {
  In<int32_t> runs, ends;
  In<int64_t> offsets;
};
struct RowWork {
  RowTables tables;
  In<int32_t> wide, narrow, cut, parts;
  uint32_t wide_items, narrow_items, cut_queries;
  int64_t query_rows, partial_rows;
  bool long_rows, aligned;
};
struct KeyWork {
  In<int32_t> items, runs;
  In<int64_t> offsets, key_sums, value_sums;
  uint32_t count;
  bool aligned_sums;
};
// Where the first keys, values and their gradients lie.
template <class T>
struct FirstPlaces {
  const T *keys = nullptr, *values = nullptr;
  T *key_sums = nullptr, *value_sums = nullptr;
};

// The tables of the last forward and the last backward call.
template <class T>
class AttentionPlans {
 public:
  explicit AttentionPlans(Device& device) : forward_(device), backward_(device) {}

  struct Forward {
    explicit Forward(Device& device) : memory(device) {}
    AttentionLayout layout;
    AttentionSizes sizes{};
    DeviceTables memory;
    RowWork rows{};
    FirstPlaces<T> first;
  };
  struct Backward : Forward {
    using Forward::Forward;
    KeyWork keys{};
  };
  const Forward& forward(const AttentionSegmentOf<T>* segments, int64_t count, const AttentionSizes& sizes);
  const Backward& backward(const AttentionSegmentOf<T>* segments, int64_t count, const KvGradientsOf<T>* gradients,
                           const AttentionSizes& sizes);
  Device& device() const { return forward_.memory.device(); }
  size_t bytes() const { return forward_.memory.bytes() + backward_.memory.bytes(); }

 private:
  Forward forward_;
  Backward backward_;
};

template <class R>
__device__ R record(const In<int32_t>& table, int64_t i) {
  constexpr int kWords = sizeof(R) / sizeof(int32_t);
  struct {
    Vec<int32_t, 4> v[kWords / 4];
  } words;
  SIRI_UNROLL
  for (int w = 0; w < kWords / 4; ++w) words.v[w] = load<4>(table, i * kWords + 4 * w);
  return bit_cast<R>(words);
}

}  // namespace siri::SIRI_DEVICE
