// How attention is cut into blocks (attention_plan.cuh): host code.
#include <algorithm>
#include <unordered_map>

#include "attention_plan.cuh"

namespace siri::SIRI_DEVICE {
namespace {

int32_t word(int64_t x) { return static_cast<int32_t>(x); }
template <class V>
int32_t length(const V& v) {
  return word(static_cast<int64_t>(v.size()));
}

// Pieces without rows are left out.
PieceList add_list(RowPlan* plan, const AttentionLayout& layout, const PieceList& from, int32_t chunk) {
  PieceList list = {length(plan->ends), 0, from.stride, 0};
  int64_t first = 0;
  for (int32_t i = from.begin; i < from.begin + from.pieces; first = layout.ends[i++]) {
    if (layout.ends[i] == first) continue;
    plan->offsets.push_back(layout.offsets[i]);
    plan->ends.push_back(word(layout.ends[i]));
    plan->aligned = plan->aligned && layout.offsets[i] % chunk == 0;
    ++list.pieces;
  }
  plan->aligned = plan->aligned && from.stride % chunk == 0;
  return list;
}

// A segment that is cut, and its items, which take the parts from `parts` on (-1: one item, to the result).
struct CutSegment {
  int32_t run, vectors, keys, before, parts;
  PieceList key_list, value_list;
};

// Cut segments that read the same kSplitKeys keys from `begin` on.
struct Group {
  int32_t begin, vectors;
  std::vector<const CutSegment*> members;
};

// The piece that holds key `begin`.
int32_t piece_of(const RowPlan& plan, const PieceList& list, int32_t begin) {
  const auto from = plan.ends.begin() + list.begin;
  return word(std::upper_bound(from, from + list.pieces, begin) - plan.ends.begin());
}

// Whether keys [begin, begin + kSplitKeys) are the same memory.
bool same_keys(const RowPlan& plan, const PieceList& a, const PieceList& b, int32_t begin) {
  if (a.stride != b.stride) return false;
  const int32_t end = begin + kSplitKeys;
  for (int32_t i = piece_of(plan, a, begin), j = piece_of(plan, b, begin);; ++i, ++j) {
    const int32_t from_a = i == a.begin ? 0 : plan.ends[i - 1], from_b = j == b.begin ? 0 : plan.ends[j - 1];
    if (plan.offsets[i] != plan.offsets[j] || from_a != from_b || std::min(plan.ends[i], end) != std::min(plan.ends[j], end)) return false;
    if (plan.ends[i] >= end) return true;
  }
}

class Cutter {
 public:
  Cutter(RowPlan* plan, const AttentionSizes& sizes) : plan_(plan), sizes_(sizes) {}

  void add(const CutSegment& segment, int64_t queries) {
    segments_.push_back(segment);
    const int32_t splits = (segment.keys + kSplitKeys - 1) / kSplitKeys;
    if (splits == 1) return;
    segments_.back().parts = length(plan_->parts);
    plan_->parts.resize(plan_->parts.size() + splits);
    for (int64_t i = 0; i < queries; ++i)
      plan_->cut.push_back({plan_->runs[segment.run].row + word(i), splits, segments_.back().parts, word(i) * sizes_.group});
  }

  // Items of all segments: for each run of kSplitKeys keys the segments that share it in one.
  void finish() {
    for (const CutSegment& s : segments_) {
      if (s.parts < 0) {
        emit({0, s.vectors, {&s}});
        continue;
      }
      for (int32_t begin = 0; begin < s.keys; begin += kSplitKeys) {
        if (begin + kSplitKeys > s.before + 1)  // not all of its queries see all of the keys
          emit({begin, s.vectors, {&s}});
        else
          join(s, begin);
      }
    }
    for (const Group& group : groups_) emit(group);
  }

 private:
  void join(const CutSegment& s, int32_t begin) {
    const auto [at, is_new] = open_.try_emplace(plan_->offsets[piece_of(*plan_, s.key_list, begin)], groups_.size());
    if (!is_new) {
      Group& group = groups_[at->second];
      const CutSegment& other = *group.members[0];
      if (group.begin == begin && group.vectors + s.vectors <= sizes_.wide_rows && same_keys(*plan_, other.key_list, s.key_list, begin) &&
          same_keys(*plan_, other.value_list, s.value_list, begin)) {
        group.vectors += s.vectors;
        group.members.push_back(&s);
        return;
      }
      at->second = groups_.size();
    }
    groups_.push_back({begin, s.vectors, {&s}});
  }

  void emit(const Group& group) {
    const CutSegment& s = *group.members[0];
    RowItem item = {};
    item.run = s.run;
    item.rows = group.vectors;
    item.partial = s.parts >= 0 ? plan_->partial_rows : -1;
    item.key_begin = group.begin;
    item.key_end = std::min(group.begin + kSplitKeys, s.keys);
    item.keys = s.key_list;
    item.values = s.value_list;
    if (group.members.size() > 1) {
      item.run = length(plan_->runs);
      for (const CutSegment* member : group.members) {
        const QueryRun run = plan_->runs[member->run];
        plan_->runs.push_back(run);
      }
    }
    if (s.parts >= 0)
      for (const CutSegment* member : group.members) {
        plan_->parts[member->parts + group.begin / kSplitKeys] = plan_->partial_rows;
        plan_->partial_rows += member->vectors;
      }
    (group.vectors <= sizes_.narrow_rows ? plan_->narrow : plan_->wide).push_back(item);
  }

  RowPlan* plan_;
  const AttentionSizes& sizes_;
  std::vector<CutSegment> segments_;
  std::vector<Group> groups_;
  std::unordered_map<int64_t, size_t> open_;  // the group that others may join, by its first piece
};

}  // namespace

RowPlan plan_rows(const AttentionLayout& layout, const AttentionSizes& sizes, bool cuts) {
  RowPlan plan;
  Cutter cutter(&plan, sizes);
  for (const AttentionLayout::Segment& s : layout.segments) {
    const int64_t before = s.keys - s.queries, vectors = s.queries * sizes.group;
    plan.query_rows = std::max(plan.query_rows, s.row + s.queries);
    const int32_t run = length(plan.runs);
    plan.runs.push_back({word(s.row), word(s.queries), word(before), 0});
    const PieceList keys = add_list(&plan, layout, s.key_list, sizes.chunk), values = add_list(&plan, layout, s.value_list, sizes.chunk);
    if (cuts && vectors <= sizes.wide_rows) {
      cutter.add({run, word(vectors), word(s.keys), word(before), -1, keys, values}, s.queries);
      continue;
    }
    // The longest first.
    for (int64_t first = (vectors - 1) / sizes.wide_rows * sizes.wide_rows; first >= 0; first -= sizes.wide_rows) {
      RowItem item = {};
      item.run = run;
      item.first = word(first);
      item.rows = word(std::min<int64_t>(sizes.wide_rows, vectors - first));
      item.partial = -1;
      item.key_end = word(before + (first + item.rows - 1) / sizes.group + 1);
      item.keys = keys;
      item.values = values;
      plan.long_rows = plan.long_rows || item.key_end > kSplitKeys;
      plan.wide.push_back(item);
    }
  }
  cutter.finish();
  return plan;
}

KeyPlan plan_keys(const AttentionLayout& layout, const AttentionSizes& sizes) {
  struct Piece {
    int64_t first, end;  // positions
    int32_t key_stride, value_stride;
    std::vector<QueryRun> runs;
  };
  KeyPlan plan;
  std::vector<Piece> pieces;
  std::unordered_map<int64_t, size_t> known;  // by where the gradients of the keys are added
  for (const AttentionLayout::Segment& s : layout.segments) {
    int64_t first = 0;
    for (int32_t i = 0; i < s.key_list.pieces; first = layout.ends[s.key_list.begin + i++]) {
      const int32_t key = s.key_list.begin + i, value = s.value_list.begin + i;
      if (layout.ends[key] == first) continue;
      const auto [at, is_new] = known.try_emplace(layout.key_sums[key], pieces.size());
      if (is_new) {
        pieces.push_back({first, first, s.key_list.stride, s.value_list.stride, {}});
        plan.offsets.insert(plan.offsets.end(), {layout.offsets[key], layout.offsets[value]});
        plan.key_sums.push_back(layout.key_sums[key]);
        plan.value_sums.push_back(layout.value_sums[key]);
        plan.aligned_sums = plan.aligned_sums && layout.key_sums[key] % sizes.chunk == 0 && layout.value_sums[key] % sizes.chunk == 0;
      }
      Piece& piece = pieces[at->second];
      piece.end = std::max(piece.end, std::min(layout.ends[key], s.keys));
      piece.runs.push_back({word(s.row), word(s.queries), word(s.keys - s.queries), 0});
    }
  }
  for (size_t p = 0; p < pieces.size(); ++p) {
    const Piece& piece = pieces[p];
    const int32_t run = length(plan.runs);
    plan.runs.insert(plan.runs.end(), piece.runs.begin(), piece.runs.end());
    for (int64_t begin = piece.first; begin < piece.end; begin += sizes.wide_rows)
      plan.items.push_back({word(static_cast<int64_t>(p)), word(begin - piece.first),
                            word(std::min<int64_t>(sizes.wide_rows, piece.end - begin)), word(begin), run, length(piece.runs),
                            piece.key_stride, piece.value_stride});
  }
  return plan;
}

}  // namespace siri::SIRI_DEVICE
