// The work of an attention call, cut into what blocks do: the host writes tables, kernels read them. A query and one of the heads of a
// group (the query heads of one kv head) make a vector; vector v of a run of queries is query v / group, head v % group of the group.
// All heads of a group stand side by side in a block, which reads their keys and values once. Knows no arithmetic.
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

// Vectors [first, first + rows) of run `run` and those that follow it, over keys [key_begin, key_end) of one sequence, which lie in
// `pieces` pieces from entry `keys` (`values`) of the lists. partial: the first row of the partial results; -1: to the result.
struct RowItem {
  int32_t run, first, rows, partial;
  int32_t key_begin, key_end, unused[2];
  int32_t keys, key_pieces, key_stride, unused_too;
  int32_t values, value_pieces, value_stride, unused_either;
};

// A query whose keys were cut: part i of its first vector is row parts[begin + i] + vector of the partial results.
struct CutQuery {
  int32_t row, parts, begin, vector;
};

// Keys [begin, begin + count) of a piece, of a position each, and the queries that may see them: runs [run, run + runs) in order.
struct KeyItem {
  int32_t piece, begin, count, position;
  int32_t run, runs, key_stride, value_stride;
};

template <class T>
struct AttentionPlan {
  std::vector<QueryRun> runs;
  std::vector<RowItem> wide, narrow;  // of at most kWideRows and kNarrowRows vectors
  std::vector<const T*> rows;         // pieces of keys and values, lists end to end
  std::vector<int32_t> ends;
  std::vector<CutQuery> cut;
  std::vector<int32_t> parts;
  int64_t query_rows = 0;    // 1 + the last row of q
  int32_t partial_rows = 0;  // for each kv head
  bool long_rows = false;    // an item goes on after the first kSplitKeys keys
  bool aligned = true;       // all keys and values begin at multiples of 16 bytes
};

// `cuts`: segments of at most wide_rows vectors are cut into items of kSplitKeys keys, which are read once for all segments that
// share them.
template <class T>
AttentionPlan<T> plan_rows(const AttentionSegmentOf<T>* segments, int64_t count, const AttentionShape& shape, int wide_rows,
                           int narrow_rows, bool cuts);

template <class T>
struct GradientPlan {
  std::vector<QueryRun> runs;
  std::vector<KeyItem> items;
  std::vector<const T*> rows;  // keys and values of every piece
  std::vector<T*> sums;        // where their gradients are added
};

// Every piece once, with its queries in the order of the segments.
template <class T>
GradientPlan<T> plan_keys(const AttentionSegmentOf<T>* segments, int64_t count, const KvGradientsOf<T>* gradients, int item_keys);

// Records are staged as words.
template <class R>
In<int32_t> stage_records(Device& device, const std::vector<R>& records) {
  const int64_t words = static_cast<int64_t>(records.size() * sizeof(R) / sizeof(int32_t));
  return In<int32_t>(device.stage(reinterpret_cast<const int32_t*>(records.data()), words), words);
}
template <class T>
In<T> stage_list(Device& device, const std::vector<T>& list) {
  const auto n = static_cast<int64_t>(list.size());
  return In<T>(device.stage(list.data(), n), n);
}
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
