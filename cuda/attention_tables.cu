// Tables of attention calls (attention_plan.cuh) on the device, kept while calls have the same segments: host code.
#include <algorithm>

#include "attention_plan.cuh"
#include "core/error.h"

namespace siri::SIRI_DEVICE {

DeviceTables::~DeviceTables() {
  try {
    if (data_ != nullptr) device_.release(data_);
  } catch (const Error&) {  // the device is lost, its memory with it
  }
}

void DeviceTables::upload() {
  if (bytes_.size() > capacity_) {
    if (data_ != nullptr) device_.release(data_);
    data_ = nullptr;
    capacity_ = 0;  // should there be no memory
    data_ = static_cast<std::byte*>(device_.allocate(2 * bytes_.size()));
    capacity_ = 2 * bytes_.size();
  }
  device_.upload(data_, bytes_.data(), bytes_.size());
}

namespace {

// Elements from `first` to p, which may lie in another allocation.
template <class T>
int64_t offset(const T* p, const T* first) {
  return (reinterpret_cast<intptr_t>(p) - reinterpret_cast<intptr_t>(first)) / static_cast<int64_t>(sizeof(T));
}

template <class T>
PieceList add_list(AttentionLayout* layout, const KvRowsOf<T>& rows, int64_t keys, const T* first) {
  PieceList list = {static_cast<int32_t>(layout->ends.size()), 0, static_cast<int32_t>(rows.row_stride), 0};
  for (int64_t end = 0; end < keys; ++list.pieces) {
    end = rows.ends[list.pieces];
    layout->ends.push_back(end);
    layout->offsets.push_back(offset(rows.pieces[list.pieces], first));
  }
  return list;
}

// Whether a list of as many keys is the one in the layout. Stops at the first difference: the list may be shorter.
template <class T>
bool same_list(const AttentionLayout& layout, const PieceList& list, const KvRowsOf<T>& rows, const T* first) {
  if (rows.row_stride != list.stride) return false;
  for (int32_t i = 0; i < list.pieces; ++i)
    if (rows.ends[i] != layout.ends[list.begin + i] || offset(rows.pieces[i], first) != layout.offsets[list.begin + i]) return false;
  return true;
}

// A call as it comes; gradients: null in the forward pass.
template <class T>
struct Call {
  const AttentionSegmentOf<T>* segments;
  int64_t count;
  const KvGradientsOf<T>* gradients;
  FirstPlaces<T> first;

  Call(const AttentionSegmentOf<T>* segments, int64_t count, const KvGradientsOf<T>* gradients)
      : segments(segments), count(count), gradients(gradients) {
    for (int64_t i = 0; i < count; ++i) {
      if (segments[i].query_count == 0) continue;
      first.keys = segments[i].keys.pieces[0];
      first.values = segments[i].values.pieces[0];
      if (gradients != nullptr) {
        first.key_sums = gradients[i].keys[0];
        first.value_sums = gradients[i].values[0];
      }
      return;
    }
  }

  bool has(const AttentionLayout& layout) const {
    size_t at = 0;
    for (int64_t i = 0; i < count; ++i) {
      const AttentionSegmentOf<T>& s = segments[i];
      if (s.query_count == 0) continue;
      if (at == layout.segments.size()) return false;
      const AttentionLayout::Segment& known = layout.segments[at++];
      if (s.query_row != known.row || s.query_count != known.queries || s.key_count != known.keys) return false;
      if (!same_list(layout, known.key_list, s.keys, first.keys) || !same_list(layout, known.value_list, s.values, first.values))
        return false;
      if (gradients == nullptr) continue;
      for (int32_t p = 0; p < known.key_list.pieces; ++p) {
        const int32_t entry = known.key_list.begin + p;
        if (offset(gradients[i].keys[p], first.key_sums) != layout.key_sums[entry] ||
            offset(gradients[i].values[p], first.value_sums) != layout.value_sums[entry])
          return false;
      }
    }
    return at == layout.segments.size();
  }

  AttentionLayout layout() const {
    AttentionLayout layout;
    for (int64_t i = 0; i < count; ++i) {
      const AttentionSegmentOf<T>& s = segments[i];
      if (s.query_count == 0) continue;
      const PieceList keys = add_list(&layout, s.keys, s.key_count, first.keys),
                      values = add_list(&layout, s.values, s.key_count, first.values);
      layout.segments.push_back({s.query_row, s.query_count, s.key_count, keys, values});
      if (gradients == nullptr) continue;
      layout.key_sums.resize(layout.ends.size());  // entries of value lists have none
      layout.value_sums.resize(layout.ends.size());
      for (int32_t p = 0; p < keys.pieces; ++p) {
        layout.key_sums[keys.begin + p] = offset(gradients[i].keys[p], first.key_sums);
        layout.value_sums[keys.begin + p] = offset(gradients[i].values[p], first.value_sums);
      }
    }
    return layout;
  }
};

// A plan's tables among those that are uploaded together; `rest` adds more and gives their views.
template <class Rest>
RowWork upload_rows(DeviceTables* memory, const RowPlan& plan, const Rest& rest) {
  memory->clear();
  const size_t runs = memory->add(plan.runs), ends = memory->add(plan.ends), offsets = memory->add(plan.offsets),
               wide = memory->add(plan.wide), narrow = memory->add(plan.narrow), cut = memory->add(plan.cut),
               parts = memory->add(plan.parts);
  const auto views = rest();
  memory->upload();
  views();
  const auto count = [](const auto& v) { return static_cast<uint32_t>(v.size()); };
  const auto words = [&](size_t at, const auto& v) { return memory->template view<int32_t>(at, v); };
  return {{words(runs, plan.runs), words(ends, plan.ends), memory->template view<int64_t>(offsets, plan.offsets)},
          words(wide, plan.wide),
          words(narrow, plan.narrow),
          words(cut, plan.cut),
          words(parts, plan.parts),
          count(plan.wide),
          count(plan.narrow),
          count(plan.cut),
          plan.query_rows,
          plan.partial_rows,
          plan.long_rows,
          plan.aligned};
}

}  // namespace

template <class T>
auto AttentionPlans<T>::forward(const AttentionSegmentOf<T>* segments, int64_t count, const AttentionSizes& sizes) -> const Forward& {
  const Call<T> call(segments, count, nullptr);
  if (forward_.sizes != sizes || !call.has(forward_.layout)) {
    forward_.sizes = {};  // nothing is known should this fail
    forward_.layout = call.layout();
    forward_.rows = upload_rows(&forward_.memory, plan_rows(forward_.layout, sizes, true), [] { return [] {}; });
    forward_.sizes = sizes;
  }
  forward_.first = call.first;
  return forward_;
}

template <class T>
auto AttentionPlans<T>::backward(const AttentionSegmentOf<T>* segments, int64_t count, const KvGradientsOf<T>* gradients,
                                 const AttentionSizes& sizes) -> const Backward& {
  const Call<T> call(segments, count, gradients);
  if (backward_.sizes != sizes || !call.has(backward_.layout)) {
    backward_.sizes = {};
    backward_.layout = call.layout();
    const KeyPlan keys = plan_keys(backward_.layout, sizes);
    DeviceTables& memory = backward_.memory;
    backward_.rows = upload_rows(&memory, plan_rows(backward_.layout, sizes, false), [&] {
      const size_t items = memory.add(keys.items), runs = memory.add(keys.runs), offsets = memory.add(keys.offsets),
                   key_sums = memory.add(keys.key_sums), value_sums = memory.add(keys.value_sums);
      return [&, items, runs, offsets, key_sums, value_sums] {
        backward_.keys = {memory.view<int32_t>(items, keys.items),
                          memory.view<int32_t>(runs, keys.runs),
                          memory.view<int64_t>(offsets, keys.offsets),
                          memory.view<int64_t>(key_sums, keys.key_sums),
                          memory.view<int64_t>(value_sums, keys.value_sums),
                          static_cast<uint32_t>(keys.items.size()),
                          keys.aligned_sums};
      };
    });
    backward_.sizes = sizes;
  }
  backward_.first = call.first;
  return backward_;
}

template class AttentionPlans<float>;
template class AttentionPlans<bf16>;

}  // namespace siri::SIRI_DEVICE
