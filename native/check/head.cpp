// The language-model head: log-prob and entropy of the shaped distribution, gradients, distillation, samples. The log-prob of a
// sample must be, bit for bit, the one that scoring gives its token.
#include "reference/head.h"

#include <type_traits>

#include "check/check.h"
#include "check/data.h"
#include "reference/losses.h"

namespace siri::check {
namespace {

struct Rows {
  int64_t n, width, vocab;
  std::vector<float> hidden, head;
  std::vector<int32_t> target;
  std::vector<RowSampling> sampling;
  std::string text;
};

// Values that stay what they are as operands of this compute type.
std::vector<float> operands(const Check& check, std::vector<float> v) {
  for (float& x : v) x = reference::as_operand(x, check.operand());
  return v;
}

// The twin in double leaves the gradient of a logit exact; the straightforward formula of bfloat16 rounds it.
template <class Real>
reference::Operand gradient_operand(const Check& check) {
  return std::is_same_v<Real, float> ? check.operand() : reference::Operand::kExact;
}

Rows make(const Check& check, int64_t n, int64_t width, int64_t vocab, const char* name, std::vector<RowSampling> kinds) {
  Random random(check.seed(), 1000 + n * 7919 + width * 131 + vocab);
  Rows r{n,
         width,
         vocab,
         operands(check, random.normals(n * width, 2.0f)),
         operands(check, random.normals(vocab * width, 1.0f / std::sqrt(static_cast<float>(width)))),
         {},
         {},
         size_text("rows", n) + size_text(" width", width) + size_text(" vocab", vocab) + " " + name};
  r.target = random.integers(n, vocab);
  for (int64_t i = 0; i < n; ++i) r.sampling.push_back(kinds[i % kinds.size()]);
  return r;
}

Outputs<float> score(Backend& b, Clock& clock, const Rows& r, const std::vector<int32_t>& target, int64_t first, int64_t count) {
  DeviceArray<float> x(b, rows_of(r.hidden, first, count, r.width)), head(b, r.head);
  b.weights_changed();
  std::vector<float> logprob(count, NAN), entropy(count, NAN);
  clock([&] {
    b.head_score(x.data(), head.data(), target.data() + first, r.sampling.data() + first, count, r.width, r.vocab, logprob.data(),
                 entropy.data());
  });
  return {logprob, entropy};
}

void scoring(Check& check, const Rows& r) {
  const Outputs<float> all = check.operation(
      "head_score", r.text, {2.0 * r.n * r.width * r.vocab}, [&](Backend& b, Clock& clock) { return score(b, clock, r, r.target, 0, r.n); },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> logprob(r.n), entropy(r.n);
        reference::head_score(r.hidden.data(), r.head.data(), r.target.data(), r.sampling.data(), r.n, r.width, r.vocab, logprob.data(),
                              entropy.data());
        return {logprob, entropy};
      });
  if (r.n > 1)
    check.agreement(
        "head_score", r.text + " last row alone",
        [&](Backend& b) {
          Clock clock(false);
          return score(b, clock, r, r.target, r.n - 1, 1);
        },
        [&](Backend&) -> Outputs<float> { return {rows_of(all[0], r.n - 1, 1, 1), rows_of(all[1], r.n - 1, 1, 1)}; });
}

void training(Check& check, const Rows& r) {
  Random random(check.seed(), 1100 + r.n);
  const std::vector<float> dlogprob = random.normals(r.n), dentropy = random.normals(r.n, 0.3f), start = random.normals(r.vocab * r.width);
  const TokenLoss loss = [&](int64_t begin, int64_t end, const float*, const float*, float* dl, float* de) {
    for (int64_t i = begin; i < end; ++i) {
      dl[i - begin] = dlogprob[i];
      de[i - begin] = dentropy[i];
    }
  };
  const Outputs<float> all = check.operation(
      "head_train", r.text, {6.0 * r.n * r.width * r.vocab},
      [&](Backend& b, Clock& clock) -> Outputs<float> {
        DeviceArray<float> x(b, r.hidden), head(b, r.head), dx(b, r.n * r.width, NAN), dhead(b, start);
        b.weights_changed();
        std::vector<float> logprob(r.n, NAN), entropy(r.n, NAN);
        clock([&] {
          b.head_train(x.data(), head.data(), r.target.data(), r.sampling.data(), r.n, r.width, r.vocab, loss, logprob.data(),
                       entropy.data(), dx.data(), dhead.data());
        });
        return {logprob, entropy, dx.host(), dhead.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        std::vector<Real> logprob(r.n), entropy(r.n), dx(r.n * r.width), dhead = to<Real>(start);
        const std::vector<Real> dl = to<Real>(dlogprob), de = to<Real>(dentropy);
        reference::head_score(r.hidden.data(), r.head.data(), r.target.data(), r.sampling.data(), r.n, r.width, r.vocab, logprob.data(),
                              entropy.data());
        reference::head_gradient(r.hidden.data(), r.head.data(), r.target.data(), r.sampling.data(), r.n, r.width, r.vocab, dl.data(),
                                 de.data(), dx.data(), dhead.data(), gradient_operand<Real>(check));
        return {logprob, entropy, dx, dhead};
      });
  check.agreement(
      "head_train", r.text + " log-prob as scored", [&](Backend&) -> Outputs<float> { return {all[0], all[1]}; },
      [&](Backend& b) {
        Clock clock(false);
        return score(b, clock, r, r.target, 0, r.n);
      });
}

void sampling(Check& check, const Rows& r) {
  std::vector<uint64_t> seed(r.n), position(r.n);
  for (int64_t i = 0; i < r.n; ++i) {
    seed[i] = check.seed() * 1000 + i;
    position[i] = 17 * i;
  }
  std::vector<int32_t> token(r.n);
  const auto run = [&](Backend& b, Clock& clock) -> Outputs<float> {
    DeviceArray<float> x(b, r.hidden), head(b, r.head);
    b.weights_changed();
    std::vector<float> logprob(r.n, NAN);
    clock([&] {
      b.head_sample(x.data(), head.data(), r.sampling.data(), seed.data(), position.data(), r.n, r.width, r.vocab, token.data(),
                    logprob.data());
    });
    return {logprob, std::vector<float>(token.begin(), token.end())};
  };
  check.operation("head_sample", r.text, {2.0 * r.n * r.width * r.vocab}, run, [&](auto real) -> Outputs<decltype(real)> {
    typedef decltype(real) Real;
    std::vector<Real> logprob(r.n), entropy(r.n);
    reference::head_score(r.hidden.data(), r.head.data(), token.data(), r.sampling.data(), r.n, r.width, r.vocab, logprob.data(),
                          entropy.data());
    return {logprob, std::vector<Real>(token.begin(), token.end())};
  });
  check.agreement(
      "head_sample", r.text + " log-prob as scored",
      [&](Backend& b) -> Outputs<float> {
        Clock clock(false);
        return {run(b, clock)[0]};
      },
      [&](Backend& b) -> Outputs<float> {
        Clock clock(false);
        return {score(b, clock, r, token, 0, r.n)[0]};
      });
  // Where no rounding can decide, the token is the twin's.
  check.condition("head_sample", r.text + " tokens", [&](Backend& b) {
    Clock clock(false);
    run(b, clock);
    std::vector<int32_t> want(r.n);
    std::vector<double> logprob(r.n), margin(r.n);
    reference::head_sample(r.hidden.data(), r.head.data(), r.sampling.data(), seed.data(), position.data(), r.n, r.width, r.vocab,
                           want.data(), logprob.data(), margin.data());
    for (int64_t i = 0; i < r.n; ++i)
      if (margin[i] > 1e-5 && want[i] != token[i]) return false;
    return true;
  });
}

void distillation(Check& check, const Rows& r, DivergenceSpec spec, cpu::Divergence kind, const char* name) {
  Random random(check.seed(), 1200 + r.n);
  const std::vector<float> teacher = operands(check, random.normals(r.n * r.width, 2.0f)), start = random.normals(r.vocab * r.width);
  std::vector<double> scale(r.n);
  for (double& s : scale) s = random.uniform();
  const std::string text = r.text + " " + name + (spec.temperature == 1.0 ? "" : " warm");
  check.operation(
      "head_distill", text, {8.0 * r.n * r.width * r.vocab},
      [&](Backend& b, Clock& clock) -> Outputs<float> {
        DeviceArray<float> x(b, r.hidden), t(b, teacher), head(b, r.head), dx(b, r.n * r.width, NAN), dhead(b, start);
        b.weights_changed();
        std::vector<float> logprob(r.n, NAN);
        std::vector<double> value(r.n, NAN);
        const LogitLoss loss = [&](int64_t begin, int64_t end, const float*, float* logits, const float* teacher_logits) {
          b.divergence_rows(spec, scale.data() + begin, end - begin, r.vocab, logits, teacher_logits, value.data() + begin);
        };
        clock([&] {
          b.head_distill(x.data(), t.data(), head.data(), r.target.data(), r.n, r.width, r.vocab, loss, logprob.data(), dx.data(),
                         dhead.data());
        });
        return {logprob, std::vector<float>(value.begin(), value.end()), dx.host(), dhead.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        std::vector<Real> logprob(r.n), entropy(r.n), value(r.n), dx(r.n * r.width), dhead = to<Real>(start), dlogits(r.vocab);
        const std::vector<RowSampling> plain(r.n);
        reference::head_score(r.hidden.data(), r.head.data(), r.target.data(), plain.data(), r.n, r.width, r.vocab, logprob.data(),
                              entropy.data());
        std::vector<float> z(r.vocab), q(r.vocab);
        for (int64_t i = 0; i < r.n; ++i) {
          for (int64_t v = 0; v < r.vocab; ++v) {
            Real student = 0, other = 0;
            for (int64_t k = 0; k < r.width; ++k) {
              student += Real(r.hidden[i * r.width + k]) * Real(r.head[v * r.width + k]);
              other += Real(teacher[i * r.width + k]) * Real(r.head[v * r.width + k]);
            }
            z[v] = static_cast<float>(student);
            q[v] = static_cast<float>(other);
          }
          value[i] = reference::divergence_row<Real>(kind, spec.beta, spec.temperature, z.data(), q.data(), r.vocab, dlogits.data());
          for (int64_t v = 0; v < r.vocab; ++v)
            for (int64_t k = 0; k < r.width; ++k) {
              const Real dlogit = reference::as_operand(Real(scale[i]) * dlogits[v], gradient_operand<Real>(check));
              dx[i * r.width + k] += dlogit * Real(r.head[v * r.width + k]);
              dhead[v * r.width + k] += dlogit * Real(r.hidden[i * r.width + k]);
            }
        }
        return {logprob, value, dx, dhead};
      });
}

}  // namespace

void check_head(Check& check, bool timed) {
  const RowSampling plain{}, cool{0.7f, 0, 1.0f}, top{1.0f, 5, 1.0f}, nucleus{1.3f, 0, 0.8f}, both{0.9f, 20, 0.95f}, greedy{0.0f, 0, 1.0f};
  std::vector<Rows> problems;
  for (int64_t n : {0, 1, 2, 17}) problems.push_back(make(check, n, 24, 70, "plain", {plain}));
  for (int64_t vocab : {1, 2, 15, 16, 17, 33}) problems.push_back(make(check, 5, 9, vocab, "mixed", {plain, cool, top, nucleus, greedy}));
  problems.push_back(make(check, 12, 32, 100, "mixed", {plain, cool, top, nucleus, both, greedy}));
  if (timed) {
    problems.push_back(make(check, 250, 128, 896, "plain", {plain}));
    problems.push_back(make(check, 50, 64, 896, "mixed", {cool, top, nucleus, both}));
  } else {
    problems.push_back(make(check, 130, 16, 300, "mixed", {plain, cool, top, nucleus, both}));
  }
  problems.push_back(make(check, 20, 24, 2100, "strips", {plain, top}));  // the backward pass takes 1,024 columns at a time
  for (const Rows& r : problems) {
    scoring(check, r);
    training(check, r);
    sampling(check, r);
  }
  using Kind = DivergenceSpec::Kind;
  for (int64_t n : {0, 1, 20}) {
    const Rows r = make(check, n, 16, 65, "", {plain});
    distillation(check, r, {Kind::kForwardKl, 0.5, 1.0}, cpu::Divergence::forward_kl, "forward KL");
    distillation(check, r, {Kind::kReverseKl, 0.5, 1.0}, cpu::Divergence::reverse_kl, "reverse KL");
    distillation(check, r, {Kind::kJsd, 0.3, 1.0}, cpu::Divergence::jsd, "JSD");
    distillation(check, r, {Kind::kJsd, 0.5, 2.0}, cpu::Divergence::jsd, "JSD");
    distillation(check, r, {Kind::kForwardKl, 0.5, 0.7}, cpu::Divergence::forward_kl, "forward KL");
  }
}

}  // namespace siri::check
