#include "model/shared_rows.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>

namespace siri {
namespace {

// Fixed cost of a batch in tokens, so that two small ones are not cheaper than one.
constexpr int64_t kBatchCost = 32;

int64_t inputs(const RowSet& rows, int64_t row) { return rows.length(row) - 1; }

// First position of a row whose state predicts something.
int64_t first_state(const RowSet& rows, int64_t row, bool with_prompt) { return with_prompt ? 0 : rows.response_start[row] - 1; }

// Stable sort by tokens.
void sort_rows(const RowSet& rows, RowGroup* group) {
  std::stable_sort(group->begin(), group->end(), [&](int64_t a, int64_t b) {
    const int32_t *x = rows.data(a), *y = rows.data(b);
    return std::lexicographical_compare(x, x + inputs(rows, a), y, y + inputs(rows, b));
  });
}

// shared[i]: inputs that row i of the group begins with like row i - 1.
std::vector<int64_t> shared_prefixes(const RowSet& rows, const RowGroup& group, bool share) {
  std::vector<int64_t> shared(group.size(), 0);
  for (size_t i = 1; share && i < group.size(); ++i) {
    const int32_t *x = rows.data(group[i - 1]), *y = rows.data(group[i]);
    shared[i] = std::mismatch(x, x + inputs(rows, group[i - 1]), y, y + inputs(rows, group[i])).first - x;
  }
  return shared;
}

// Builds the segments of sorted rows depth first. Returns for each row of the group the segment that holds its last input.
std::vector<int64_t> build_segments(const RowSet& rows, const RowGroup& group, const std::vector<int64_t>& shared, PackedBatch* batch) {
  std::vector<int64_t> leaf(group.size(), -1);
  // Rows [begin, end) of the group, whose first `depth` inputs are those down to segment `parent`.
  struct Part {
    int64_t begin, end, depth, parent;
  };
  std::vector<Part> parts, children;
  const auto split = [&](int64_t begin, int64_t end, int64_t depth, int64_t parent) {
    children.clear();
    for (int64_t i = begin, from = begin; i < end; ++i)
      if (i + 1 == end || shared[i + 1] <= depth) {
        children.push_back({from, i + 1, depth, parent});
        from = i + 1;
      }
    parts.insert(parts.end(), children.rbegin(), children.rend());
  };
  split(0, static_cast<int64_t>(group.size()), 0, -1);
  while (!parts.empty()) {
    Part p = parts.back();
    parts.pop_back();
    int64_t common = inputs(rows, group[p.begin]);
    for (int64_t i = p.begin + 1; i < p.end; ++i) common = std::min(common, shared[i]);
    const auto segment = static_cast<int64_t>(batch->segments.size());
    batch->add(rows.data(group[p.begin]) + p.depth, {.rows = common - p.depth, .past = p.depth, .parent = p.parent});
    // Rows that end here come first.
    while (p.begin < p.end && inputs(rows, group[p.begin]) == common) leaf[p.begin++] = segment;
    if (p.begin < p.end) split(p.begin, p.end, common, segment);
  }
  return leaf;
}

// One predicted token: which state (row of the batch until `select`, then of the selected ones), what, for whom.
struct Prediction {
  int64_t state;
  int32_t target;
  RowSampling sampling;
  int64_t token;
  auto key() const { return std::tuple(state, target, sampling.temperature, sampling.top_k, sampling.top_p); }
};

void list_predictions(const RowSet& rows, const RowGroup& group, const std::vector<int64_t>& leaf, bool with_prompt, PackedBatch* batch,
                      std::vector<Prediction>* list) {
  for (size_t i = 0; i < group.size(); ++i) {
    const int64_t row = group[i], from = first_state(rows, row, with_prompt), start = rows.response_start[row];
    const auto at = static_cast<int64_t>(list->size());
    list->resize(at + inputs(rows, row) - from);
    for (int64_t s = leaf[i], end = inputs(rows, row); end > from; s = batch->segments[s].parent) {
      Segment& segment = batch->segments[s];
      const int64_t begin = std::max(from, segment.past);
      segment.selected = std::max(segment.selected, segment.past + segment.rows - begin);
      for (int64_t p = begin; p < end; ++p) {
        const bool prompt = p + 1 < start;
        (*list)[at + p - from] = {segment.first_row + p - segment.past, rows.data(row)[p + 1], prompt ? RowSampling{} : rows.sampling[row],
                                  prompt ? SharedRows::kPromptToken : rows.response_offsets[row] + p + 1 - start};
      }
      end = segment.past;
    }
  }
}

}  // namespace

std::vector<RowGroup> divide_rows(const RowSet& rows, const RowPacking& packing) {
  RowGroup all;
  for (int64_t row = 0; row < rows.count(); ++row)
    if (inputs(rows, row) > first_state(rows, row, packing.with_prompt)) all.push_back(row);
  if (packing.share) sort_rows(rows, &all);
  const std::vector<int64_t> shared = shared_prefixes(rows, all, packing.share);

  // cost[e]: least cost of the rows before e; cut[e]: where the batch that ends at e begins.
  const auto n = static_cast<int64_t>(all.size());
  std::vector<int64_t> cost(n + 1, std::numeric_limits<int64_t>::max()), cut(n + 1, 0);
  cost[0] = 0;
  for (int64_t begin = 0; begin < n; ++begin) {
    int64_t tokens = 0, predictions = 0;
    for (int64_t end = begin + 1; end <= n; ++end) {
      tokens += inputs(rows, all[end - 1]) - (end - 1 > begin ? shared[end - 1] : 0);
      predictions += inputs(rows, all[end - 1]) - first_state(rows, all[end - 1], packing.with_prompt);
      if (std::max(tokens, predictions) > packing.max_tokens && end > begin + 1) break;
      if (cost[begin] + tokens + kBatchCost < cost[end]) {
        cost[end] = cost[begin] + tokens + kBatchCost;
        cut[end] = begin;
      }
    }
  }
  std::vector<RowGroup> groups;
  for (int64_t end = n; end > 0; end = cut[end]) groups.emplace_back(all.begin() + cut[end], all.begin() + end);
  std::reverse(groups.begin(), groups.end());
  return groups;
}

void pack_rows(const RowSet& rows, const RowGroup& group, const RowPacking& packing, bool merge, SharedRows* out) {
  out->batch.clear();
  out->row_tokens = 0;
  for (auto* list : {&out->hidden, &out->target, &out->users}) list->clear();
  for (auto* list : {&out->tokens, &out->user_starts}) list->clear();
  out->sampling.clear();
  out->starts = {0};

  RowGroup sorted = group;
  if (packing.share) sort_rows(rows, &sorted);
  const std::vector<int64_t> leaf = build_segments(rows, sorted, shared_prefixes(rows, sorted, packing.share), &out->batch);
  for (const int64_t row : group) out->row_tokens += inputs(rows, row);

  std::vector<Prediction> list;
  list_predictions(rows, sorted, leaf, packing.with_prompt, &out->batch, &list);
  out->batch.select();
  const std::vector<int32_t>& selected = out->batch.selected;
  std::vector<int64_t> place(out->batch.tokens.size(), -1);
  for (size_t i = 0; i < selected.size(); ++i) place[selected[i]] = static_cast<int64_t>(i);
  for (Prediction& p : list) p.state = place[p.state];
  std::stable_sort(list.begin(), list.end(),
                   [&](const Prediction& a, const Prediction& b) { return merge ? a.key() < b.key() : a.token < b.token; });

  for (size_t i = 0; i < list.size(); ++i) {
    const Prediction& p = list[i];
    if (!merge || i == 0 || list[i - 1].key() != p.key()) {
      out->hidden.push_back(static_cast<int32_t>(p.state));
      out->target.push_back(p.target);
      out->sampling.push_back(p.sampling);
      out->starts.push_back(out->starts.back());
    }
    out->tokens.push_back(p.token);
    ++out->starts.back();
  }

  // A state for each head row and in their order: nothing to gather.
  const int64_t n = out->predictions();
  bool direct = n == static_cast<int64_t>(selected.size());
  for (int64_t k = 0; direct && k < n; ++k) direct = out->hidden[k] == k;
  if (direct) return;
  out->batch.gathered = n;
  out->user_starts.assign(selected.size() + 1, 0);
  for (const int32_t h : out->hidden) ++out->user_starts[h + 1];
  std::partial_sum(out->user_starts.begin(), out->user_starts.end(), out->user_starts.begin());
  out->users.resize(n);
  std::vector<int64_t> next(out->user_starts.begin(), out->user_starts.end() - 1);
  for (int64_t k = 0; k < n; ++k) out->users[next[out->hidden[k]]++] = static_cast<int32_t>(k);
}

}  // namespace siri
