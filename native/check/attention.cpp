// Causal attention: against the twin, and bit for bit between prefill from one block or along a prefix tree, prefill in pieces, and
// decoding row by row from a paged cache.
#include "reference/attention.h"

#include <algorithm>

#include "check/attention_problem.h"
#include "check/check.h"

namespace siri::check {
namespace {

Outputs<float> forward(Backend& b, Clock& clock, const Problem& p, int64_t page, int64_t piece, bool with_lse) {
  Store<float> keys(p, p.k, page, 11), values(p, p.v, page, 12);
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
      "attention_backward", text, {pairs * 10, 16.0 * p.rows * p.width() + 24.0 * p.keys * p.kv_width()},
      [&](Backend& b, Clock& clock) -> Outputs<float> {
        Store<float> keys(p, p.k, 0, 0), values(p, p.v, 0, 0), key_sums(p, p.k, 0, 0), value_sums(p, p.v, 0, 0);
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
        Store<float> keys(p, k, 0, 0), values(p, v, 0, 0);
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
  const Problem p = make_problem(check.seed(), {heads, kv_heads, dim, 1.0f / std::sqrt(static_cast<float>(dim))}, std::move(spans), scale);
  text = std::to_string(heads) + "/" + std::to_string(kv_heads) + size_text(" heads dim", dim) + " " + text;
  double pairs = 0;  // of query and key, times the width
  for (const Span& s : p.spans) pairs += s.queries * (s.keys - 0.5 * (s.queries - 1)) * p.width();

  check.operation(
      "attention", text, {pairs * 4, 8.0 * (p.rows * p.width() + p.keys * p.kv_width())},
      [&](Backend& b, Clock& clock) { return forward(b, clock, p, 0, p.rows + 1, true); },
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        std::vector<float> k = p.k, v = p.v;
        Store<float> keys(p, k, 0, 0), values(p, v, 0, 0);
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

void check_attention(Check& check, bool timed) {
  attention(check, 4, 2, 32, {}, "no segment");
  attention(check, 4, 2, 32, {{0, 0}, {1, 1}, {0, 5}}, "one row");
  attention(check, 4, 2, 32, {{3, 3}, {4, 4}, {5, 5}, {15, 15}, {16, 16}, {17, 17}}, "3..17");
  attention(check, 4, 2, 32, {{1, 40}, {9, 70}, {64, 64}, {65, 65}}, "after a prefix");
  attention(check, 4, 2, 32, {{40, 40}}, "40, sharp", 6.0f);
  attention(check, 2, 2, 8, {{33, 33}, {2, 20}}, "33 2");
  attention(check, 6, 1, 18, {{20, 37}, {7, 7}}, "20 7");
  attention(check, 3, 3, 40, {{20, 20}, {1, 50}}, "20 1");
  attention(check, 8, 2, 64, {{70, 90}}, "70 of 90");
  attention(check, timed ? 14 : 7, timed ? 2 : 1, 128, {{timed ? 66 : 19, timed ? 66 : 19}}, "of one prompt");
  attention(check, 2, 1, 1, {{5, 5}}, "5");
  attention(check, 4, 2, 32, {{20, 20}, {7, 27, 0}, {1, 28, 1}, {33, 60, 1}, {5, 25, 0}, {9, 9}}, "tree 20(7(1 33) 5) 9");
  attention(check, 4, 2, 32, {{1, 1}, {1, 2, 0}, {1, 3, 1}, {16, 19, 2}, {17, 20, 2}, {15, 16, 0}}, "tree 1(1(1(16 17)) 15)");
  // The last layer: prefixes with few queries or none.
  attention(check, 4, 2, 32, {{0, 40}, {3, 50, 0}, {0, 45, 0}, {2, 61, 2}, {9, 30}}, "tree, few queries");
  attention(check, 6, 1, 18, {{20, 37}, {7, 44, 0}, {4, 41, 0}, {12, 53, 2}}, "tree 37(7 4(12))");
  if (!timed) return;
  attention(check, 4, 2, 32, {{150, 150}, {31, 33}, {141, 141}}, "150 31 141");
  attention(check, 4, 2, 32, {{130, 130}, {20, 150, 0}, {20, 150, 0}, {20, 150, 0}, {20, 150, 0}, {20, 150, 0}, {20, 150, 0}},
            "tree 130(6 x 20)");
  attention(check, 4, 2, 32, std::vector<Span>(8, {150, 150}), "8 x 150");
  attention(check, 4, 2, 32, std::vector<Span>(32, {1, 150}), "32 x 1 of 150");
}

}  // namespace siri::check
