// Attention calls for checks: sequences, some of them after a prefix that others share, and their keys and values in memory as training
// and the cache lay them. T: type of keys and values on the device.
#pragma once
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "backend.h"
#include "check/data.h"

namespace siri::check {

// `keys` counts those of the parent, too, which this span shares: all of the parent's, before its own.
struct Span {
  int64_t queries, keys;
  int64_t parent = -1;
};

struct Problem {
  AttentionShape shape;
  std::vector<Span> spans;
  int64_t q_stride, kv_stride;       // between rows, wider than the row
  int64_t rows = 0, keys = 0;        // keys: those that are shared counted once
  std::vector<float> q, k, v, dout;  // k, v: the spans' own keys end to end
  std::vector<int64_t> first;        // [spans] first own key

  int64_t width() const { return shape.heads * shape.head_dim; }
  int64_t kv_width() const { return shape.kv_heads * shape.head_dim; }
  int64_t past(size_t s) const { return spans[s].parent < 0 ? 0 : spans[spans[s].parent].keys; }
  int64_t own(size_t s) const { return spans[s].keys - past(s); }
  // Row of k and v that position j of span s is.
  int64_t key_row(size_t s, int64_t j) const {
    while (j < past(s)) s = spans[s].parent;
    return first[s] + j - past(s);
  }
};

// `gap`: elements between rows of keys beyond their width.
inline Problem make_problem(uint64_t seed, AttentionShape shape, std::vector<Span> spans, float scale, int64_t gap = 3) {
  Problem p{shape, std::move(spans), 0, 0, 0, 0, {}, {}, {}, {}, {}};
  p.q_stride = p.width() + 2 * p.kv_width();
  p.kv_stride = p.kv_width() + gap;
  for (size_t s = 0; s < p.spans.size(); ++s) {
    p.first.push_back(p.keys);
    p.rows += p.spans[s].queries;
    p.keys += p.own(s);
  }
  Random random(seed, 700 + p.rows * 7919 + p.keys * 131 + shape.head_dim);
  p.q = random.normals(p.rows * p.q_stride, scale);
  p.k = random.normals(p.keys * p.kv_stride, scale);
  p.v = random.normals(p.keys * p.kv_stride);
  p.dout = random.normals(p.rows * p.q_stride);
  return p;
}

// Keys or values of all spans in memory a backend can read: as they lie, shared ones once, or in pages, every span with its own
// copies. What no position holds is NaN.
template <class T>
class Store {
 public:
  // page 0: as they lie.
  Store(const Problem& p, const std::vector<float>& rows, int64_t page, uint64_t seed) : p_(p), page_(page) {
    if (page == 0) {
      memory_ = rows;
      return;
    }
    int64_t pages = 0;
    for (const Span& s : p.spans) pages += (s.keys + page - 1) / page;
    order_ = Random(seed, 1).distinct(pages, pages);
    memory_.assign(pages * page * p.kv_stride, NAN);
    int64_t block = 0;
    for (size_t s = 0; s < p.spans.size(); ++s) {
      for (int64_t j = 0; j < p.spans[s].keys; ++j)
        std::copy_n(rows.begin() + p.key_row(s, j) * p.kv_stride, p.kv_width(),
                    memory_.begin() + (order_[block + j / page] * page + j % page) * p.kv_stride);
      block += (p.spans[s].keys + page - 1) / page;
    }
  }
  const std::vector<float>& memory() const { return memory_; }
  // One entry a span; `base` is where memory() lies on the device.
  std::vector<KvRowsOf<T>> rows(T* base) {
    lists_.clear();
    int64_t block = 0;
    for (size_t s = 0; s < p_.spans.size(); ++s) {
      Lists& l = *lists_.emplace_back(std::make_unique<Lists>());
      if (page_ == 0)
        for (auto a = static_cast<int64_t>(s); a >= 0; a = p_.spans[a].parent) {
          l.pieces.insert(l.pieces.begin(), base + p_.first[a] * p_.kv_stride);
          l.ends.insert(l.ends.begin(), p_.spans[a].keys);
        }
      else
        for (int64_t j = 0; j < p_.spans[s].keys; j += page_) {
          l.pieces.push_back(base + order_[block++] * page_ * p_.kv_stride);
          l.ends.push_back(j + page_);
        }
    }
    std::vector<KvRowsOf<T>> result;
    for (const auto& l : lists_) result.push_back({l->pieces.data(), l->ends.data(), p_.kv_stride});
    return result;
  }
  T* const* pieces(size_t s) const { return lists_[s]->pieces.data(); }

 private:
  struct Lists {
    std::vector<T*> pieces;
    std::vector<int64_t> ends;
  };
  const Problem& p_;
  int64_t page_;
  std::vector<int32_t> order_;
  std::vector<float> memory_;
  std::vector<std::unique_ptr<Lists>> lists_;
};

// The first `width` elements of rows.
inline std::vector<float> narrow(const std::vector<float>& wide, int64_t rows, int64_t stride, int64_t width) {
  std::vector<float> result;
  for (int64_t r = 0; r < rows; ++r) result.insert(result.end(), wide.begin() + r * stride, wide.begin() + r * stride + width);
  return result;
}

// The spans, each cut into pieces of at most `piece` queries.
template <class T>
std::vector<AttentionSegmentOf<T>> segments(const Problem& p, const std::vector<KvRowsOf<T>>& keys, const std::vector<KvRowsOf<T>>& values,
                                            int64_t piece) {
  std::vector<AttentionSegmentOf<T>> result;
  int64_t row = 0;
  for (size_t s = 0; s < p.spans.size(); ++s) {
    const Span& span = p.spans[s];
    if (span.queries == 0) result.push_back({row, 0, span.keys, keys[s], values[s]});
    for (int64_t i = 0; i < span.queries; i += piece) {
      const int64_t n = std::min(piece, span.queries - i);
      result.push_back({row + i, n, span.keys - span.queries + i + n, keys[s], values[s]});
    }
    row += span.queries;
  }
  return result;
}

}  // namespace siri::check
