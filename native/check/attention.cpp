// Causal attention: against the twin, and bit for bit between prefill from one block, prefill in pieces, and decoding row by row
// from a paged cache.
#include "reference/attention.h"

#include <algorithm>
#include <memory>

#include "check/check.h"
#include "check/data.h"

namespace siri::check {
namespace {

struct Span {
  int64_t queries, keys;
};

struct Problem {
  AttentionShape shape;
  std::vector<Span> spans;
  int64_t q_stride, kv_stride;  // between rows, wider than the row
  int64_t rows = 0, keys = 0;
  std::vector<float> q, k, v, dout;  // k, v: the segments' keys end to end

  int64_t width() const { return shape.heads * shape.head_dim; }
  int64_t kv_width() const { return shape.kv_heads * shape.head_dim; }
};

Problem make(uint64_t seed, AttentionShape shape, std::vector<Span> spans, float scale) {
  Problem p{shape, std::move(spans), 0, 0, 0, 0, {}, {}, {}, {}};
  p.q_stride = p.width() + 2 * p.kv_width();
  p.kv_stride = p.kv_width() + 3;
  for (const Span& s : p.spans) {
    p.rows += s.queries;
    p.keys += s.keys;
  }
  Random random(seed, 700 + p.rows * 7919 + p.keys * 131 + shape.head_dim);
  p.q = random.normals(p.rows * p.q_stride, scale);
  p.k = random.normals(p.keys * p.kv_stride, scale);
  p.v = random.normals(p.keys * p.kv_stride);
  p.dout = random.normals(p.rows * p.q_stride);
  return p;
}

// Keys or values of all segments in memory a backend can read, in one block a segment or in pages. What no position holds is NaN.
class Store {
 public:
  // page 0: one block a segment.
  Store(const Problem& p, const std::vector<float>& rows, int64_t page, uint64_t seed) : p_(p), page_(page) {
    int64_t pages = 0;
    for (const Span& s : p.spans) pages += page == 0 ? 0 : (s.keys + page - 1) / page;
    if (page == 0) {
      memory_ = rows;
      return;
    }
    order_ = Random(seed, 1).distinct(pages, pages);
    memory_.assign(pages * page * p.kv_stride, NAN);
    int64_t from = 0, block = 0;
    for (const Span& s : p.spans) {
      for (int64_t j = 0; j < s.keys; ++j)
        std::copy_n(rows.begin() + (from + j) * p.kv_stride, p.kv_width(),
                    memory_.begin() + (order_[block + j / page] * page + j % page) * p.kv_stride);
      from += s.keys;
      block += (s.keys + page - 1) / page;
    }
  }
  const std::vector<float>& memory() const { return memory_; }
  // One entry a segment; `base` is where memory() lies on the device.
  std::vector<KvRows> rows(const float* base) {
    std::vector<KvRows> result;
    blocks_.clear();
    int64_t from = 0, block = 0;
    for (const Span& s : p_.spans) {
      auto list = std::make_unique<std::vector<const float*>>();
      if (page_ == 0)
        list->push_back(base + from * p_.kv_stride);
      else
        for (int64_t j = 0; j < s.keys; j += page_) list->push_back(base + order_[block++] * page_ * p_.kv_stride);
      from += s.keys;
      result.push_back({list->data(), page_ == 0 ? std::max<int64_t>(1, s.keys) : page_, p_.kv_stride});
      blocks_.push_back(std::move(list));
    }
    return result;
  }

 private:
  const Problem& p_;
  int64_t page_;
  std::vector<int32_t> order_;
  std::vector<float> memory_;
  std::vector<std::unique_ptr<std::vector<const float*>>> blocks_;
};

// The segments, each cut into pieces of at most `piece` queries.
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
        Store keys(p, p.k, 0, 0), values(p, p.v, 0, 0);
        DeviceArray<float> q(b, p.q), k(b, p.k), v(b, p.v), dout(b, p.dout), dk(b, dk_start), dv(b, dv_start);
        DeviceArray<float> out(b, p.rows * p.q_stride, NAN), lse(b, p.rows * p.shape.heads, NAN), dq(b, p.rows * p.q_stride, NAN);
        const std::vector<AttentionSegment> list = segments(p, keys.rows(k.data()), values.rows(v.data()), p.rows + 1);
        std::vector<float*> dk_rows, dv_rows;
        for (int64_t s = 0, from = 0; s < static_cast<int64_t>(p.spans.size()); from += p.spans[s++].keys) {
          dk_rows.push_back(dk.data() + from * p.kv_stride);
          dv_rows.push_back(dv.data() + from * p.kv_stride);
        }
        b.attention(q.data(), p.q_stride, list.data(), list.size(), p.shape, out.data(), p.q_stride, lse.data());
        clock([&] {
          b.attention_backward(q.data(), p.q_stride, out.data(), dout.data(), p.q_stride, lse.data(), list.data(), list.size(), p.shape,
                               dq.data(), p.q_stride, dk_rows.data(), dv_rows.data(), p.kv_stride);
        });
        return {narrow(dq.host(), p.rows, p.q_stride, p.width()), dk.host(), dv.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        Store keys(p, p.k, 0, 0), values(p, p.v, 0, 0);
        const std::vector<AttentionSegment> list = segments(p, keys.rows(p.k.data()), values.rows(p.v.data()), p.rows + 1);
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
        for (int64_t s = 0, from = 0; s < static_cast<int64_t>(p.spans.size()); from += p.spans[s++].keys)
          for (int64_t j = 0; j < p.spans[s].keys; ++j)
            for (int64_t c = 0; c < p.kv_width(); ++c) {
              dk[(from + j) * p.kv_stride + c] += dk_part[s][j * p.kv_width() + c];
              dv[(from + j) * p.kv_stride + c] += dv_part[s][j * p.kv_width() + c];
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
        Store keys(p, p.k, 0, 0), values(p, p.v, 0, 0);
        const std::vector<AttentionSegment> list = segments(p, keys.rows(p.k.data()), values.rows(p.v.data()), p.rows + 1);
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
    check.agreement("attention", text + (cut.page > 0 ? size_text(" page", cut.page) : " one block") + size_text(" queries", cut.piece),
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
  attention(check, 4, 2, 32, std::vector<Span>(8, {150, 150}), "8 x 150");
  attention(check, 4, 2, 32, std::vector<Span>(32, {1, 150}), "32 x 1 of 150");
}

}  // namespace siri::check
