// Attention and rotary positions beside what Backend shows of them: products in bfloat16, sequences longer than a part, keys that
// sequences share, and that a row has the same bits however its queries and keys are cut.
#include "attention_rows.cuh"
#include "check/attention_problem.h"
#include "check/check.h"
#include "check/device_array.h"
#include "check/families.h"
#include "reference/attention.h"
#include "reference/rope.h"

namespace siri::SIRI_DEVICE {
namespace {

using check::Check;
using check::Clock;
using check::Cost;
using check::make_problem;
using check::narrow;
using check::Outputs;
using check::Problem;
using check::Random;
using check::size_text;
using check::Span;
using check::Store;

// How queries and keys of a problem reach the device.
struct Cut {
  int64_t page = 0, piece = INT64_MAX;  // as check::Store and check::segments have it
  bool second = false;                  // after a layer with other keys elsewhere
};

// Result and lse of all rows.
template <class T, class E>
Outputs<float> forward(AttentionPlans<T>& plans, Clock& clock, const Problem& p, const Cut& cut = {}) {
  Device& device = plans.device();
  Store<T> keys(p, p.k, cut.page, 11), values(p, p.v, cut.page, 12);
  const Array<T> q(device, typed<T>(p.q)), k(device, typed<T>(keys.memory())), v(device, typed<T>(values.memory())),
      out(device, typed<T>(std::vector<float>(p.rows * p.q_stride, NAN)));
  const Array<float> lse(device, p.rows * p.shape.heads, NAN);
  const Array<T> other_k(device, typed<T>(values.memory())), other_v(device, typed<T>(keys.memory()));
  const auto run = [&](T* key_memory, T* value_memory) {
    const auto list = segments(p, keys.rows(key_memory), values.rows(value_memory), cut.piece);
    clock([&] {
      device.begin();
      attention<T, E>(plans, q.data(), p.q_stride, list.data(), static_cast<int64_t>(list.size()), p.shape, out.data(), p.q_stride,
                      lse.data());
    });
  };
  if (cut.second) run(other_k.data(), other_v.data());
  run(k.data(), v.data());
  return {narrow(plain(out.host()), p.rows, p.q_stride, p.width()), lse.host()};
}

// What is computed in bfloat16 from inputs in bfloat16, in the straightforward way (float): exponentials are operands of a product and
// are rounded, relative to the largest score up to the end of their tile; the gradient of a score is rounded before its scale. In double
// nothing is rounded.
template <class Real>
Real operand(Real x) {
  return std::is_same_v<Real, float> ? static_cast<Real>(to_float(to_bf16(static_cast<float>(x)))) : x;
}

template <class Real>
struct Twin {
  Outputs<Real> forward;  // result, lse
  std::vector<Real> dq, dk, dv;
};

template <class T, class Real>
Twin<Real> twin(const Problem& p, const std::vector<float>& dk_start, const std::vector<float>& dv_start) {
  const int64_t dim = p.shape.head_dim, heads = p.shape.heads, group = heads / p.shape.kv_heads;
  const auto in_memory = [](const std::vector<Real>& v) { return std::is_same_v<T, bf16> ? stored(v) : v; };
  Twin<Real> result{{std::vector<Real>(p.rows * p.width()), std::vector<Real>(p.rows * heads)},
                    std::vector<Real>(p.rows * p.width()),
                    check::to<Real>(dk_start),
                    check::to<Real>(dv_start)};
  int64_t row = 0;
  for (size_t s = 0; s < p.spans.size(); ++s)
    for (int64_t i = 0; i < p.spans[s].queries; ++i, ++row)
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t n = p.spans[s].keys - p.spans[s].queries + i + 1;
        const float *query = p.q.data() + row * p.q_stride + h * dim, *gradient = p.dout.data() + row * p.q_stride + h * dim;
        const auto key_at = [&](int64_t j) { return p.key_row(s, j) * p.kv_stride + h / group * dim; };
        std::vector<Real> score(n), weight(n), out(dim);
        Real top = -INFINITY, sum = 0;
        for (int64_t j = 0; j < n; ++j) {
          Real dot = 0;
          for (int64_t d = 0; d < dim; ++d) dot += Real(query[d]) * Real(p.k[key_at(j) + d]);
          score[j] = dot * Real(p.shape.scale);
          top = std::max(top, score[j]);
        }
        Real near = -INFINITY;  // largest of the part so far
        for (int64_t j = 0; j < n; ++j) {
          if (j % kSplitKeys == 0) near = -INFINITY;
          if (j % kStreamRows == 0)
            for (int64_t k = j; k < std::min(n, j + kStreamRows); ++k) near = std::max(near, score[k]);
          const Real e = std::exp(score[j] - near), shrink = std::exp(near - top);
          weight[j] = operand(e) * shrink;
          sum += e * shrink;
        }
        for (int64_t d = 0; d < dim; ++d) {
          for (int64_t j = 0; j < n; ++j) out[d] += weight[j] * Real(p.v[key_at(j) + d]);
          out[d] /= sum;
        }
        out = in_memory(out);
        const Real lse = top + std::log(sum);
        std::copy(out.begin(), out.end(), result.forward[0].begin() + (row * heads + h) * dim);
        result.forward[1][row * heads + h] = lse;
        Real delta = 0;
        for (int64_t d = 0; d < dim; ++d) delta += out[d] * Real(gradient[d]);
        for (int64_t j = 0; j < n; ++j) {
          Real dp = 0;
          for (int64_t d = 0; d < dim; ++d) dp += Real(gradient[d]) * Real(p.v[key_at(j) + d]);
          const Real probability = std::exp(score[j] - top) / sum, ds = operand(probability * (dp - delta)) * Real(p.shape.scale);
          for (int64_t d = 0; d < dim; ++d) {
            result.dq[(row * heads + h) * dim + d] += ds * Real(p.k[key_at(j) + d]);
            result.dk[key_at(j) + d] += ds * Real(query[d]);
            result.dv[key_at(j) + d] += operand(probability) * Real(gradient[d]);
          }
        }
      }
  result.dq = in_memory(result.dq);
  result.dk = in_memory(result.dk);
  result.dv = in_memory(result.dv);
  return result;
}

template <class T, class E>
Outputs<float> backward(AttentionPlans<T>& plans, Clock& clock, const Problem& p, const std::vector<float>& dk_start,
                        const std::vector<float>& dv_start) {
  Device& device = plans.device();
  Store<T> keys(p, p.k, 0, 0), values(p, p.v, 0, 0), key_sums(p, p.k, 0, 0), value_sums(p, p.v, 0, 0);
  const std::vector<float> nothing(p.rows * p.q_stride, NAN);
  const Array<T> q(device, typed<T>(p.q)), k(device, typed<T>(p.k)), v(device, typed<T>(p.v)), out(device, typed<T>(nothing)),
      dout(device, typed<T>(p.dout)), dq(device, typed<T>(nothing)), dk(device, typed<T>(dk_start)), dv(device, typed<T>(dv_start));
  const Array<float> lse(device, p.rows * p.shape.heads, NAN);
  const auto list = segments(p, keys.rows(k.data()), values.rows(v.data()), INT64_MAX);
  const auto count = static_cast<int64_t>(list.size());
  key_sums.rows(dk.data());
  value_sums.rows(dv.data());
  std::vector<KvGradientsOf<T>> gradients;
  for (size_t s = 0; s < p.spans.size(); ++s) gradients.push_back({key_sums.pieces(s), value_sums.pieces(s)});
  device.begin();
  attention<T, E>(plans, q.data(), p.q_stride, list.data(), count, p.shape, out.data(), p.q_stride, lse.data());
  clock([&] {
    device.begin();
    attention_backward<T, E>(plans, q.data(), p.q_stride, out.data(), dout.data(), p.q_stride, lse.data(), list.data(), count, p.shape,
                             dq.data(), p.q_stride, gradients.data(), p.kv_stride);
  });
  return {narrow(plain(dq.host()), p.rows, p.q_stride, p.width()), plain(dk.host()), plain(dv.host())};
}

Problem bfloat16_problem(Check& check, int64_t heads, int64_t kv_heads, int64_t dim, std::vector<Span> spans, int64_t gap) {
  Problem p = make_problem(check.seed(), {heads, kv_heads, dim, 1.0f / std::sqrt(static_cast<float>(dim))}, std::move(spans), 1.0f, gap);
  for (auto* v : {&p.q, &p.k, &p.v, &p.dout}) *v = through_bf16(*v);
  return p;
}

template <class T>
void products(Check& check, Device& device, int64_t heads, int64_t kv_heads, int64_t dim, std::vector<Span> spans, int64_t gap,
              const char* what) {
  const Problem p = bfloat16_problem(check, heads, kv_heads, dim, std::move(spans), gap);
  const std::string text = std::to_string(heads) + "/" + std::to_string(kv_heads) + size_text(" heads dim", dim) + " " + what +
                           (std::is_same_v<T, bf16> ? " bf16" : " float32 in bf16");
  AttentionPlans<T> plans(device);
  double pairs = 0;
  for (const Span& s : p.spans) pairs += s.queries * (s.keys - 0.5 * (s.queries - 1)) * p.width();
  const double queries = static_cast<double>(p.rows * p.width()) * sizeof(T), keys = static_cast<double>(p.keys * p.kv_width()) * sizeof(T);
  Random random(check.seed(), 801);
  const std::vector<float> dk = through_bf16(random.normals(p.keys * p.kv_stride)), dv = through_bf16(random.normals(p.keys * p.kv_stride));
  check.operation(
      "attention", text, Cost{4 * pairs, 2 * (queries + keys)}, [&](Backend&, Clock& clock) { return forward<T, bf16>(plans, clock, p); },
      [&](auto real) { return twin<T, decltype(real)>(p, dk, dv).forward; });
  for (const Cut& cut : {Cut{16, 1}, Cut{16, 1, true}, Cut{0, 3}})
    check.agreement(
        "attention",
        text +
            (cut.second     ? " in a second layer,"
             : cut.page > 0 ? " in pages,"
                            : " in place,") +
            size_text(" queries", cut.piece),
        [&](Backend&) {
          Clock clock(false);
          return forward<T, bf16>(plans, clock, p);
        },
        [&](Backend&) {
          Clock clock(false);
          return forward<T, bf16>(plans, clock, p, cut);
        });
  check.operation(
      "attention_backward", text, Cost{10 * pairs, 4 * queries + 6 * keys},
      [&](Backend&, Clock& clock) { return backward<T, bf16>(plans, clock, p, dk, dv); },
      [&](auto real) -> Outputs<decltype(real)> {
        const auto t = twin<T, decltype(real)>(p, dk, dv);
        return {t.dq, t.dk, t.dv};
      });
}

// Queries at the end of a long sequence: as one segment, one by one from pages that each has for itself, and one by one from the same
// pages, whose parts one block reads for all.
template <class T, class E>
void parts(Check& check, Device& device, int64_t heads, int64_t kv_heads, int64_t dim, int64_t queries, int64_t keys) {
  const Problem p = bfloat16_problem(check, heads, kv_heads, dim, {{queries, keys}}, 0);
  Problem each = p;  // the same queries as sequences of their own
  each.spans.clear();
  each.first.clear();
  for (int64_t i = 0; i < queries; ++i) {
    each.spans.push_back({1, keys - queries + i + 1});
    each.first.push_back(0);
  }
  const std::string text = std::to_string(heads) + "/" + std::to_string(kv_heads) + size_text(" heads dim", dim) +
                           size_text(" last", queries) + size_text(" of", keys) + (std::is_same_v<T, bf16> ? " bf16" : " float32") +
                           (std::is_same_v<E, T> ? "" : " in bf16");
  AttentionPlans<T> plans(device);
  const auto run = [&](const Problem& problem, const Cut& cut) {
    Clock clock(false);
    return forward<T, E>(plans, clock, problem, cut);
  };
  const Outputs<float> whole = check.operation(
      "attention", text, Cost{4.0 * static_cast<double>(queries * keys * p.width()), 0},
      [&](Backend&, Clock& clock) { return forward<T, E>(plans, clock, p); },
      [&](auto real) -> Outputs<decltype(real)> {
        const std::vector<float> zeros(p.k.size());
        if constexpr (std::is_same_v<E, bf16>) {
          return twin<T, decltype(real)>(p, zeros, zeros).forward;
        } else {
          std::vector<decltype(real)> out(p.rows * p.width()), lse(p.rows * heads);
          std::vector<float> k = p.k, v = p.v;
          Store<float> key_store(p, k, 0, 0), value_store(p, v, 0, 0);
          const auto list = segments(p, key_store.rows(k.data()), value_store.rows(v.data()), INT64_MAX);
          reference::attention(p.q.data(), p.q_stride, list.data(), 1, p.shape, out.data(), lse.data());
          return {out, lse};
        }
      });
  const auto same = [&](const char* how, const Problem& problem, const Cut& cut) {
    check.agreement("attention", text + how, [&](Backend&) { return whole; }, [&](Backend&) { return run(problem, cut); });
  };
  same(" one by one, pages of their own", each, {16, 1});
  same(" one by one, the same pieces", each, {0, 1});
  same(" one by one, one sequence", p, {0, 1});
}

void turn(Check& check, Device& device, int64_t n, int64_t dim, int64_t gap) {
  const int64_t heads = 3, stride = heads * dim + gap, half = dim / 2, positions = 50;
  Random random(check.seed(), 2800 + dim);
  const std::vector<float> x = through_bf16(random.normals(n * stride)), cos = random.normals(positions * half),
                           sin = random.normals(positions * half);
  const std::vector<int32_t> at = random.integers(n, positions);
  check.operation(
      "rope", size_text("rows", n) + size_text(" heads", heads) + size_text(" dim", dim) + size_text(" stride", stride) + " bf16",
      Cost{0, 4.0 * static_cast<double>(n * heads * dim)},
      [&](Backend&, Clock& clock) -> Outputs<float> {
        const Array<bf16> v(device, rounded(x));
        const Array<float> c(device, cos), s(device, sin);
        clock([&] {
          device.begin();
          rope(device, v.data(), stride, n, heads, dim, at.data(), c.data(), s.data(), false);
        });
        return {floats(v.host())};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> turned(n * heads * dim), all = check::to<decltype(real)>(x);
        reference::rope(x.data(), stride, n, heads, dim, at.data(), cos.data(), sin.data(), false, turned.data());
        for (int64_t i = 0; i < n; ++i) std::copy_n(turned.begin() + i * heads * dim, heads * dim, all.begin() + i * stride);
        return {stored(all)};
      });
}

}  // namespace

void check_attention_kernels(Check& check, Device& device) {
  for (int64_t dim : {2, 18, 64, 128}) turn(check, device, 3, dim, dim == 64 ? 8 : 5);
  const std::vector<Span> tree = {{20, 20}, {7, 27, 0}, {3, 30, 1}, {5, 25, 0}, {0, 40}, {9, 9}};
  products<float>(check, device, 4, 2, 32, tree, 0, "tree 20(7(3) 5) 9");
  products<bf16>(check, device, 4, 2, 32, tree, 0, "tree 20(7(3) 5) 9");
  products<bf16>(check, device, 3, 1, 18, {{5, 41}, {1, 1}}, 3, "5 of 41, 1");
  products<bf16>(check, device, 7, 1, 64, {{10, 40}}, 0, "10 of 40");
  products<float>(check, device, 2, 2, 80, {{33, 35}}, 0, "33 of 35");
  products<bf16>(check, device, 5, 1, 96, {{14, 33}}, 8, "14 of 33");
  products<bf16>(check, device, 6, 1, 128, {{13, 70}}, 0, "13 of 70");
  products<float>(check, device, 2, 1, 128, {{17, 17}}, 0, "17");
  parts<float, float>(check, device, 1, 1, 32, 35, 1027);
  parts<float, bf16>(check, device, 4, 2, 32, 5, 1040);
  parts<bf16, bf16>(check, device, 13, 1, 32, 6, 1026);
}

}  // namespace siri::SIRI_DEVICE
