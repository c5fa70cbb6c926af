// The head beside what Backend shows of it: log-sum-exps, vocabularies and row counts of more than one block, borders between equal logits;
// divergences in bfloat16, of rows that outgrow shared memory, and without a gradient.
#include <cmath>

#include "check/device_array.h"
#include "check/families.h"
#include "ops.h"
#include "reference/head.h"
#include "reference/losses.h"

namespace siri::SIRI_DEVICE {
namespace {

using check::Check;
using check::Clock;
using check::Cost;
using check::Outputs;
using check::Random;
using check::size_text;

template <class T>
constexpr const char* kTypeName = std::is_same_v<T, bf16> ? " bf16" : " float32";

template <class T>
struct HeadOnDevice {
  Array<float> x, w;
  Rows<T> hidden, head;
  HeadOnDevice(Device& device, const std::vector<float>& x_host, const std::vector<float>& w_host, int64_t n, int64_t width, int64_t vocab)
      : x(device, x_host), w(device, w_host) {
    device.begin();
    if constexpr (std::is_same_v<T, bf16>) {
      hidden = round_rows(device, x.data(), width, n, width);
      head = round_rows(device, w.data(), width, vocab, width);
    } else {
      hidden = {x.data(), width};
      head = {w.data(), width};
    }
  }
};

// `twice`: every row of the head stands there twice, so that each logit has an equal.
template <class T>
void training(Check& check, Device& device, int64_t n, int64_t width, int64_t vocab, const std::vector<RowSampling>& kinds, bool twice) {
  Random random(check.seed(), 3100 + n * 7919 + vocab);
  const std::vector<float> x = through_bf16(random.normals(n * width, 2.0f)), start = random.normals(vocab * width),
                           dlogprob = random.normals(n), dentropy = random.normals(n, 0.3f);
  std::vector<float> w = through_bf16(random.normals(vocab * width, 0.5f));
  if (twice) std::copy_n(w.begin(), vocab / 2 * width, w.begin() + (vocab - vocab / 2) * width);
  const std::vector<int32_t> target = random.integers(n, vocab);
  std::vector<RowSampling> sampling;
  for (int64_t i = 0; i < n; ++i) sampling.push_back(kinds[i % kinds.size()]);
  const TokenLoss loss = [&](int64_t begin, int64_t end, const float*, const float*, float* dl, float* de) {
    std::copy(dlogprob.begin() + begin, dlogprob.begin() + end, dl);
    std::copy(dentropy.begin() + begin, dentropy.begin() + end, de);
  };
  const std::string shape =
      size_text("rows", n) + size_text(" width", width) + size_text(" vocab", vocab) + kTypeName<T> + (twice ? " equal logits" : "");
  check.operation(
      "head_train", shape, Cost{8.0 * static_cast<double>(n) * static_cast<double>(width) * static_cast<double>(vocab), 0},
      [&](Backend&, Clock& clock) -> Outputs<float> {
        const HeadOnDevice<T> h(device, x, w, n, width, vocab);
        const Array<float> dx(device, n * width, NAN), dw(device, start);
        std::vector<float> logprob(n, NAN), entropy(n, NAN);
        clock([&] {
          head_train(device, h.hidden, h.head, target.data(), sampling.data(), n, width, vocab, loss, logprob.data(), entropy.data(),
                     dx.data(), dw.data());
        });
        return {logprob, entropy, dx.host(), dw.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        constexpr bool kRounds = std::is_same_v<T, bf16> && std::is_same_v<Real, float>;
        std::vector<Real> logprob(n), entropy(n), dx(n * width), dw = check::to<Real>(start);
        const std::vector<Real> dl = check::to<Real>(dlogprob), de = check::to<Real>(dentropy);
        reference::head_score(x.data(), w.data(), target.data(), sampling.data(), n, width, vocab, logprob.data(), entropy.data());
        reference::head_gradient(x.data(), w.data(), target.data(), sampling.data(), n, width, vocab, dl.data(), de.data(), dx.data(),
                                 dw.data(), kRounds ? reference::Operand::kBfloat16 : reference::Operand::kExact);
        return {logprob, entropy, dx, dw};
      });
}

template <class T>
void log_sum_exp(Check& check, Device& device, int64_t n, int64_t width, int64_t vocab) {
  Random random(check.seed(), 3200 + n);
  const std::vector<float> x = through_bf16(random.normals(n * width, 2.0f)), w = through_bf16(random.normals(vocab * width));
  const std::vector<int32_t> target(n, 0);
  const std::vector<RowSampling> sampling(n, RowSampling{0.8f, 0, 1.0f});
  check.operation(
      "head_score", size_text("rows", n) + size_text(" vocab", vocab) + kTypeName<T> + " log-sum-exp", Cost{},
      [&](Backend&, Clock& clock) -> Outputs<float> {
        const HeadOnDevice<T> h(device, x, w, n, width, vocab);
        std::vector<float> logprob(n, NAN), all(n, NAN);
        clock([&] {
          head_score(device, h.hidden, h.head, target.data(), sampling.data(), n, width, vocab, logprob.data(), nullptr, all.data());
        });
        return {all};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        std::vector<Real> all(n);
        for (int64_t i = 0; i < n; ++i) {
          std::vector<Real> z(vocab);
          for (int64_t v = 0; v < vocab; ++v) {
            for (int64_t k = 0; k < width; ++k) z[v] += static_cast<Real>(x[i * width + k]) * static_cast<Real>(w[v * width + k]);
            z[v] /= static_cast<Real>(sampling[i].temperature);
          }
          const Real most = *std::max_element(z.begin(), z.end());
          for (Real v : z) all[i] += std::exp(v - most);
          all[i] = most + std::log(all[i]);
        }
        return {all};
      });
}

template <class T>
void divergence(Check& check, Device& device, int64_t rows, int64_t vocab, DivergenceSpec::Kind kind, cpu::Divergence twin,
                const char* name) {
  const DivergenceSpec spec{kind, 0.3, 1.5};
  Random random(check.seed(), 3300 + rows * 31 + vocab);
  const std::vector<float> student = through_bf16(random.normals(rows * vocab, 2.0f)),
                           teacher = through_bf16(random.normals(rows * vocab, 2.0f));
  std::vector<double> scale(rows);
  for (double& s : scale) s = random.normal(1.0f);
  const std::string shape = std::string(name) + size_text(" rows", rows) + size_text(" vocab", vocab) + kTypeName<T>;
  const auto typed = [](const std::vector<float>& v) {
    if constexpr (std::is_same_v<T, bf16>)
      return rounded(v);
    else
      return v;
  };
  const auto plain = [](const std::vector<T>& v) {
    if constexpr (std::is_same_v<T, bf16>)
      return floats(v);
    else
      return v;
  };
  const auto as_stored = [](const auto& v) {
    if constexpr (std::is_same_v<T, bf16>)
      return stored(v);
    else
      return v;
  };
  const Outputs<float> got = check.operation(
      "divergence_rows", shape, Cost{0, 3.0 * sizeof(T) * static_cast<double>(rows * vocab)},
      [&](Backend&, Clock& clock) -> Outputs<float> {
        const Array<T> z(device, typed(student)), t(device, typed(teacher));
        std::vector<double> value(rows, NAN);
        clock([&] {
          device.begin();
          divergence_rows(device, spec, scale.data(), rows, vocab, z.data(), t.data(), value.data());
        });
        return {plain(z.host()), std::vector<float>(value.begin(), value.end())};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        std::vector<Real> gradient(rows * vocab), value(rows);
        for (int64_t i = 0; i < rows; ++i) {
          value[i] = reference::divergence_row(twin, spec.beta, spec.temperature, student.data() + i * vocab, teacher.data() + i * vocab,
                                               vocab, gradient.data() + i * vocab);
          for (int64_t v = 0; v < vocab; ++v) gradient[i * vocab + v] *= static_cast<Real>(scale[i]);
        }
        return {as_stored(gradient), value};
      });
  check.agreement(
      "divergence_rows", shape + " value alone", [&](Backend&) -> Outputs<float> { return {student, got[1]}; },
      [&](Backend&) -> Outputs<float> {
        const Array<T> z(device, typed(student)), t(device, typed(teacher));
        std::vector<double> value(rows, NAN);
        device.begin();
        divergence_rows(device, spec, nullptr, rows, vocab, z.data(), t.data(), value.data());
        return {plain(z.host()), std::vector<float>(value.begin(), value.end())};
      });
}

template <class T>
void of_type(Check& check, Device& device) {
  const RowSampling plain{}, cool{0.7f, 0, 1.0f}, top{1.0f, 4, 1.0f}, odd_top{1.0f, 5, 1.0f}, nucleus{1.3f, 0, 0.8f}, both{0.9f, 9, 0.7f};
  for (int64_t vocab : {1, 7, 64, 65, 70}) training<T>(check, device, 9, 13, vocab, {plain, cool, top, odd_top, nucleus, both}, true);
  training<T>(check, device, 3, 8, 8192 + 9, {plain, top}, false);
  training<T>(check, device, 8192 + 3, 8, 9, {plain}, false);
  log_sum_exp<T>(check, device, 3, 16, 65);
}

}  // namespace

void check_heads(Check& check, Device& device) {
  of_type<float>(check, device);
  of_type<bf16>(check, device);
  using Kind = DivergenceSpec::Kind;
  for (const auto& [kind, twin, name] : {std::tuple{Kind::kForwardKl, cpu::Divergence::forward_kl, "forward KL"},
                                         {Kind::kReverseKl, cpu::Divergence::reverse_kl, "reverse KL"},
                                         {Kind::kJsd, cpu::Divergence::jsd, "JSD"}}) {
    for (int64_t vocab : {7, 8, 513}) divergence<bf16>(check, device, 2, vocab, kind, twin, name);
    divergence<float>(check, device, 1, 14001, kind, twin, name);
  }
}

}  // namespace siri::SIRI_DEVICE
