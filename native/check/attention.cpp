// Causal attention: against the twin, and bit for bit between prefill from one block or along a prefix tree, prefill in pieces, and
// decoding row by row from a paged cache.
#include "reference/attention.h"

#include <algorithm>
#include <memory>

#include "check/check.h"
#include "check/data.h"

namespace siri::check {
namespace {

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

Problem make(uint64_t seed, AttentionShape shape, std::vector<Span> spans, float scale) {
  Problem p{shape, std::move(spans), 0, 0, 0, 0, {}, {}, {}, {}, {}};
  p.q_stride = p.width() + 2 * p.kv_width();
  p.kv_stride = p.kv_width() + 3;
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
  std::vector<KvRows> rows(float* base) {
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
    std::vector<KvRows> result;
    for (const auto& l : lists_) result.push_back({l->pieces.data(), l->ends.data(), p_.kv_stride});
    return result;
  }
  float* const* pieces(size_t s) const { return lists_[s]->pieces.data(); }

 private:
  struct Lists {
    std::vector<float*> pieces;
    std::vector<int64_t> ends;
  };
  const Problem& p_;
  int64_t page_;
  std::vector<int32_t> order_;
  std::vector<float> memory_;
  std::vector<std::unique_ptr<Lists>> lists_;
};

// The spans, each cut into pieces of at most `piece` queries.
std::vector<AttentionSegment> segments(const Problem& p, const std::vector<KvRows>& keys, const std::vector<KvRows>& values,
                                       int64_t piece) {
  std::vector<AttentionSegment> result;
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

std::vector<float> narrow(const std::vector<float>& wide, int64_t rows, int64_t stride, int64_t width) {
  std::vector<float> result;
  for (int64_t r = 0; r < rows; ++r) result.insert(result.end(), wide.begin() + r * stride, wide.begin() + r * stride + width);
  return result;
}

Outputs<float> forward(Backend& b, Clock& clock, const Problem& p, int64_t page, int64_t piece, bool with_lse) {
  Store keys(p, p.k, page, 11), values(p, p.v, page, 12);
  DeviceArray<float> q(b, p.q), k(b, keys.memory()), v(b, values.memory());
  DeviceArray<float> out(b, p.rows * p.q_stride, NAN), lse(b, p.rows * p.shape.heads, NAN);
  const std::vector<AttentionSegment> list = segments(p, keys.rows(k.data()), values.rows(v.data()), piece);
  clock([&] {
    b.attention(q.data(), p.q_stride, list.data(), list.size(), p.shape, out.data(), p.q_stride, with_lse ? lse.data() : nullptr);
  });
  Outputs<float> result = {narrow(out.host(), p.rows, p.q_stride, p.width())};
  if (with_lse) result.push_back(lse.host());
  return result;
}

void backward(Check& check, const Problem& p, const std::string& text, double pairs) {
  Random random(check.seed(), 800 + p.rows);
  const std::vector<float> dk_start = random.normals(p.keys * p.kv_stride), dv_start = random.normals(p.keys * p.kv_stride);
  check.operation(
      "attention_backward", text, {pairs * 10},
      [&](Backend& b, Clock& clock) -> Outputs<float> {
        Store keys(p, p.k, 0, 0), values(p, p.v, 0, 0), key_sums(p, p.k, 0, 0), value_sums(p, p.v, 0, 0);
        DeviceArray<float> q(b, p.q), k(b, p.k), v(b, p.v), dout(b, p.dout), dk(b, dk_start), dv(b, dv_start);
        DeviceArray<float> out(b, p.rows * p.q_stride, NAN), lse(b, p.rows * p.shape.heads, NAN), dq(b, p.rows * p.q_stride, NAN);
        const std::vector<AttentionSegment> list = segments(p, keys.rows(k.data()), values.rows(v.data()), p.rows + 1);
        key_sums.rows(dk.data());
        value_sums.rows(dv.data());
        std::vector<KvGradients> gradients;
        for (size_t s = 0; s < p.spans.size(); ++s) gradients.push_back({key_sums.pieces(s), value_sums.pieces(s)});
        b.attention(q.data(), p.q_stride, list.data(), list.size(), p.shape, out.data(), p.q_stride, lse.data());
        clock([&] {
          b.attention_backward(q.data(), p.q_stride, out.data(), dout.data(), p.q_stride, lse.data(), list.data(), list.size(), p.shape,
                               dq.data(), p.q_stride, gradients.data(), p.kv_stride);
        });
        return {narrow(dq.host(), p.rows, p.q_stride, p.width()), dk.host(), dv.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        // The twin knows no sharing: every span has gradients of its own, which are added up here.
        std::vector<float> k = p.k, v = p.v;
        Store keys(p, k, 0, 0), values(p, v, 0, 0);
        const std::vector<AttentionSegment> list = segments(p, keys.rows(k.data()), values.rows(v.data()), p.rows + 1);
        std::vector<Real> dq(p.rows * p.width()), dk = to<Real>(dk_start), dv = to<Real>(dv_start);
        Outputs<Real> dk_part, dv_part;
        std::vector<Real*> dk_rows, dv_rows;
        for (const Span& s : p.spans) {
          dk_part.emplace_back(s.keys * p.kv_width());
          dv_part.emplace_back(s.keys * p.kv_width());
        }
        for (size_t s = 0; s < p.spans.size(); ++s) {
          dk_rows.push_back(dk_part[s].data());
          dv_rows.push_back(dv_part[s].data());
        }
        reference::attention_backward(p.q.data(), p.q_stride, p.dout.data(), p.q_stride, list.data(), list.size(), p.shape, dq.data(),
                                      dk_rows.data(), dv_rows.data());
        for (size_t s = 0; s < p.spans.size(); ++s)
          for (int64_t j = 0; j < p.spans[s].keys; ++j)
            for (int64_t c = 0; c < p.kv_width(); ++c) {
              dk[p.key_row(s, j) * p.kv_stride + c] += dk_part[s][j * p.kv_width() + c];
              dv[p.key_row(s, j) * p.kv_stride + c] += dv_part[s][j * p.kv_width() + c];
            }
        return {dq, dk, dv};
      });
}

void attention(Check& check, int64_t heads, int64_t kv_heads, int64_t dim, std::vector<Span> spans, std::string text, float scale = 1.0f) {
  const Problem p = make(check.seed(), {heads, kv_heads, dim, 1.0f / std::sqrt(static_cast<float>(dim))}, std::move(spans), scale);
  text = std::to_string(heads) + "/" + std::to_string(kv_heads) + size_text(" heads dim", dim) + " " + text;
  double pairs = 0;  // of query and key, times the width
  for (const Span& s : p.spans) pairs += s.queries * (s.keys - 0.5 * (s.queries - 1)) * p.width();

  check.operation(
      "attention", text, {pairs * 4}, [&](Backend& b, Clock& clock) { return forward(b, clock, p, 0, p.rows + 1, true); },
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        std::vector<float> k = p.k, v = p.v;
        Store keys(p, k, 0, 0), values(p, v, 0, 0);
        const std::vector<AttentionSegment> list = segments(p, keys.rows(k.data()), values.rows(v.data()), p.rows + 1);
        std::vector<Real> out(p.rows * p.width()), lse(p.rows * heads);
        reference::attention(p.q.data(), p.q_stride, list.data(), list.size(), p.shape, out.data(), lse.data());
        return {out, lse};
      });
  const auto whole = [&](Backend& b) {
    Clock clock(false);
    return forward(b, clock, p, 0, p.rows + 1, true);
  };
  struct Cut {
    int64_t page, piece;  // of the cache, of the queries
  };
  for (const Cut cut : {Cut{16, 1}, Cut{7, 5}, Cut{0, 3}})
    check.agreement("attention", text + (cut.page > 0 ? size_text(" page", cut.page) : " in place") + size_text(" queries", cut.piece),
                    whole, [&](Backend& b) {
                      Clock clock(false);
                      return forward(b, clock, p, cut.page, cut.piece, true);
                    });
  check.agreement(
      "attention", text + " without lse", [&](Backend& b) -> Outputs<float> { return {whole(b)[0]}; },
      [&](Backend& b) {
        Clock clock(false);
        return forward(b, clock, p, 0, p.rows + 1, false);
      });
  backward(check, p, text, pairs);
}

}  // namespace

void check_attention(Check& check) {
  attention(check, 4, 2, 32, {}, "no segment");
  attention(check, 4, 2, 32, {{0, 0}, {1, 1}, {0, 5}}, "one row");
  attention(check, 4, 2, 32, {{3, 3}, {4, 4}, {5, 5}, {15, 15}, {16, 16}, {17, 17}}, "3..17");
  attention(check, 4, 2, 32, {{1, 40}, {9, 70}, {64, 64}, {65, 65}}, "after a prefix");
  attention(check, 4, 2, 32, {{150, 150}, {31, 33}, {141, 141}}, "150 31 141");
  attention(check, 4, 2, 32, {{40, 40}}, "40, sharp", 6.0f);
  attention(check, 2, 2, 8, {{33, 33}, {2, 20}}, "33 2");
  attention(check, 6, 1, 18, {{20, 37}, {7, 7}}, "20 7");
  attention(check, 3, 3, 40, {{20, 20}, {1, 50}}, "20 1");
  attention(check, 8, 2, 64, {{70, 90}}, "70 of 90");
  attention(check, 14, 2, 128, {{66, 66}}, "66");
  attention(check, 2, 1, 1, {{5, 5}}, "5");
  attention(check, 4, 2, 32, {{20, 20}, {7, 27, 0}, {1, 28, 1}, {33, 60, 1}, {5, 25, 0}, {9, 9}}, "tree 20(7(1 33) 5) 9");
  attention(check, 4, 2, 32, {{1, 1}, {1, 2, 0}, {1, 3, 1}, {16, 19, 2}, {17, 20, 2}, {15, 16, 0}}, "tree 1(1(1(16 17)) 15)");
  // The last layer: prefixes with few queries or none.
  attention(check, 4, 2, 32, {{0, 40}, {3, 50, 0}, {0, 45, 0}, {2, 61, 2}, {9, 30}}, "tree, few queries");
  attention(check, 6, 1, 18, {{20, 37}, {7, 44, 0}, {4, 41, 0}, {12, 53, 2}}, "tree 37(7 4(12))");
  attention(check, 4, 2, 32, {{130, 130}, {20, 150, 0}, {20, 150, 0}, {20, 150, 0}, {20, 150, 0}, {20, 150, 0}, {20, 150, 0}},
            "tree 130(6 x 20)");
  attention(check, 4, 2, 32, std::vector<Span>(8, {150, 150}), "8 x 150");
  attention(check, 4, 2, 32, std::vector<Span>(32, {1, 150}), "32 x 1 of 150");
}

}  // namespace siri::check
