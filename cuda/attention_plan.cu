// The tables of attention_plan.cuh: host code.
#include <algorithm>
#include <unordered_map>

#include "attention_plan.cuh"

namespace siri::SIRI_DEVICE {
namespace {

int32_t word(int64_t x) { return static_cast<int32_t>(x); }

// One segment's keys or values in the lists: pieces without rows are left out, and those after the last key.
struct List {
  int32_t begin, pieces, stride;
};

template <class T>
List add_list(AttentionPlan<T>* plan, const KvRowsOf<T>& from, int64_t keys, const AttentionShape& shape) {
  const List list = {word(static_cast<int64_t>(plan->rows.size())), 0, word(from.row_stride)};
  for (int64_t i = 0, first = 0; first < keys; first = from.ends[i++]) {
    if (from.ends[i] == first) continue;
    plan->rows.push_back(from.pieces[i]);
    plan->ends.push_back(word(from.ends[i]));
    plan->aligned = plan->aligned && rows_aligned(from.pieces[i], from.row_stride) && shape.head_dim % kChunk<T> == 0;
  }
  return {list.begin, word(static_cast<int64_t>(plan->rows.size())) - list.begin, list.stride};
}

// A segment that is cut, and its items, which take the parts from `parts` on.
struct CutSegment {
  int32_t run, vectors, keys, before, parts;
  List key_list, value_list;
};

// Cut segments that read the same kSplitKeys keys from `begin` on.
struct Group {
  int32_t begin;
  int32_t vectors;
  std::vector<const CutSegment*> members;
};

// Where keys [begin, begin + kSplitKeys) of a list start.
template <class T>
int32_t first_piece(const AttentionPlan<T>& plan, const List& list, int32_t begin) {
  const auto from = plan.ends.begin() + list.begin;
  return word(std::upper_bound(from, from + list.pieces, begin) - plan.ends.begin());
}

template <class T>
bool same_keys(const AttentionPlan<T>& plan, const List& a, const List& b, int32_t begin) {
  if (a.stride != b.stride) return false;
  for (int32_t i = first_piece(plan, a, begin), j = first_piece(plan, b, begin);; ++i, ++j) {
    const int32_t from_a = i == a.begin ? 0 : plan.ends[i - 1], from_b = j == b.begin ? 0 : plan.ends[j - 1];
    const int32_t end_a = plan.ends[i], end_b = plan.ends[j], end = begin + kSplitKeys;
    if (plan.rows[i] != plan.rows[j] || from_a != from_b || std::min(end_a, end) != std::min(end_b, end)) return false;
    if (end_a >= end) return true;
  }
}

template <class T>
class Cutter {
 public:
  Cutter(AttentionPlan<T>* plan, int wide_rows, int narrow_rows) : plan_(plan), wide_rows_(wide_rows), narrow_rows_(narrow_rows) {}

  void add(const CutSegment& segment, int64_t queries, int32_t group) {
    segments_.push_back(segment);
    const int32_t splits = (segment.keys + kSplitKeys - 1) / kSplitKeys;
    if (splits == 1) return;
    segments_.back().parts = word(static_cast<int64_t>(plan_->parts.size()));
    plan_->parts.resize(plan_->parts.size() + splits);
    for (int64_t i = 0; i < queries; ++i)
      plan_->cut.push_back({plan_->runs[segment.run].row + word(i), splits, segments_.back().parts, word(i) * group});
  }

  // Items of all segments: for each run of kSplitKeys keys the segments that share it in one.
  void finish() {
    for (const CutSegment& s : segments_) {
      if (s.parts < 0) {
        emit({0, s.vectors, {&s}});
        continue;
      }
      for (int32_t begin = 0; begin < s.keys; begin += kSplitKeys) {
        Group alone = {begin, s.vectors, {&s}};
        if (begin + kSplitKeys > s.before + 1) {  // not all of its queries see all of the keys
          emit(alone);
          continue;
        }
        const T* const first = plan_->rows[first_piece(*plan_, s.key_list, begin)];
        const auto [at, is_new] = open_.try_emplace(first, word(static_cast<int64_t>(groups_.size())));
        if (!is_new) {
          Group& group = groups_[at->second];
          const CutSegment& other = *group.members[0];
          if (group.begin == begin && group.vectors + s.vectors <= wide_rows_ && same_keys(*plan_, other.key_list, s.key_list, begin) &&
              same_keys(*plan_, other.value_list, s.value_list, begin)) {
            group.vectors += s.vectors;
            group.members.push_back(&s);
            continue;
          }
          at->second = word(static_cast<int64_t>(groups_.size()));
        }
        groups_.push_back(std::move(alone));
      }
    }
    for (const Group& group : groups_) emit(group);
  }

 private:
  void emit(const Group& group) {
    const CutSegment& s = *group.members[0];
    const bool is_partial = s.parts >= 0;
    RowItem item = {};
    item.run = s.run;
    item.rows = group.vectors;
    item.partial = is_partial ? plan_->partial_rows : -1;
    item.key_begin = group.begin;
    item.key_end = std::min(group.begin + kSplitKeys, s.keys);
    item.keys = s.key_list.begin, item.key_pieces = s.key_list.pieces, item.key_stride = s.key_list.stride;
    item.values = s.value_list.begin, item.value_pieces = s.value_list.pieces, item.value_stride = s.value_list.stride;
    if (group.members.size() > 1) {
      item.run = word(static_cast<int64_t>(plan_->runs.size()));
      for (const CutSegment* member : group.members) {
        const QueryRun run = plan_->runs[member->run];
        plan_->runs.push_back(run);
      }
    }
    if (is_partial)
      for (const CutSegment* member : group.members) {
        plan_->parts[member->parts + group.begin / kSplitKeys] = plan_->partial_rows;
        plan_->partial_rows += member->vectors;
      }
    (group.vectors <= narrow_rows_ ? plan_->narrow : plan_->wide).push_back(item);
  }

  AttentionPlan<T>* plan_;
  int wide_rows_, narrow_rows_;
  std::vector<CutSegment> segments_;
  std::vector<Group> groups_;
  std::unordered_map<const T*, int32_t> open_;  // the group that others may join, by its first piece
};

}  // namespace

template <class T>
AttentionPlan<T> plan_rows(const AttentionSegmentOf<T>* segments, int64_t count, const AttentionShape& shape, int wide_rows,
                           int narrow_rows, bool cuts) {
  AttentionPlan<T> plan;
  Cutter<T> cutter(&plan, wide_rows, narrow_rows);
  const int64_t group = shape.heads / shape.kv_heads;
  for (int64_t i = 0; i < count; ++i) {
    const AttentionSegmentOf<T>& s = segments[i];
    if (s.query_count == 0) continue;
    const int64_t before = s.key_count - s.query_count, vectors = s.query_count * group;
    plan.query_rows = std::max(plan.query_rows, s.query_row + s.query_count);
    const int32_t run = word(static_cast<int64_t>(plan.runs.size()));
    plan.runs.push_back({word(s.query_row), word(s.query_count), word(before), 0});
    const List keys = add_list(&plan, s.keys, s.key_count, shape), values = add_list(&plan, s.values, s.key_count, shape);
    if (cuts && vectors <= wide_rows) {
      cutter.add({run, word(vectors), word(s.key_count), word(before), -1, keys, values}, s.query_count, word(group));
      continue;
    }
    // The longest first.
    for (int64_t first = (vectors - 1) / wide_rows * wide_rows; first >= 0; first -= wide_rows) {
      RowItem item = {};
      item.run = run;
      item.first = word(first);
      item.rows = word(std::min<int64_t>(wide_rows, vectors - first));
      item.partial = -1;
      item.key_end = word(before + (first + item.rows - 1) / group + 1);
      item.keys = keys.begin, item.key_pieces = keys.pieces, item.key_stride = keys.stride;
      item.values = values.begin, item.value_pieces = values.pieces, item.value_stride = values.stride;
      plan.long_rows = plan.long_rows || item.key_end > kSplitKeys;
      plan.wide.push_back(item);
    }
  }
  cutter.finish();
  return plan;
}

template <class T>
GradientPlan<T> plan_keys(const AttentionSegmentOf<T>* segments, int64_t count, const KvGradientsOf<T>* gradients, int item_keys) {
  struct Piece {
    int64_t first, end;  // positions
    int64_t key_stride, value_stride;
    std::vector<QueryRun> runs;
  };
  GradientPlan<T> plan;
  std::vector<Piece> pieces;
  std::unordered_map<const T*, size_t> known;
  for (int64_t i = 0; i < count; ++i) {
    const AttentionSegmentOf<T>& s = segments[i];
    if (s.query_count == 0) continue;
    for (int64_t p = 0, first = 0; first < s.key_count; first = s.keys.ends[p++]) {
      if (s.keys.ends[p] == first) continue;
      const auto [at, is_new] = known.try_emplace(gradients[i].keys[p], pieces.size());
      if (is_new) {
        pieces.push_back({first, first, s.keys.row_stride, s.values.row_stride, {}});
        plan.rows.insert(plan.rows.end(), {s.keys.pieces[p], s.values.pieces[p]});
        plan.sums.insert(plan.sums.end(), {gradients[i].keys[p], gradients[i].values[p]});
      }
      Piece& piece = pieces[at->second];
      piece.end = std::max(piece.end, std::min(s.keys.ends[p], s.key_count));
      piece.runs.push_back({word(s.query_row), word(s.query_count), word(s.key_count - s.query_count), 0});
    }
  }
  for (size_t p = 0; p < pieces.size(); ++p) {
    const Piece& piece = pieces[p];
    const int32_t run = word(static_cast<int64_t>(plan.runs.size())), runs = word(static_cast<int64_t>(piece.runs.size()));
    plan.runs.insert(plan.runs.end(), piece.runs.begin(), piece.runs.end());
    for (int64_t begin = piece.first; begin < piece.end; begin += item_keys)
      plan.items.push_back({word(static_cast<int64_t>(p)), word(begin - piece.first), word(std::min<int64_t>(item_keys, piece.end - begin)),
                            word(begin), run, runs, word(piece.key_stride), word(piece.value_stride)});
  }
  return plan;
}

#define SIRI_INSTANTIATE(T)                                                                                          \
  template AttentionPlan<T> plan_rows(const AttentionSegmentOf<T>*, int64_t, const AttentionShape&, int, int, bool); \
  template GradientPlan<T> plan_keys(const AttentionSegmentOf<T>*, int64_t, const KvGradientsOf<T>*, int);
SIRI_INSTANTIATE(float)
SIRI_INSTANTIATE(bf16)

}  // namespace siri::SIRI_DEVICE
