// The operations of ops.h in bfloat16, and the advantages over ragged groups with their tokens.
#include "check/check_device.h"
#include "check/device_array.h"
#include "check/families.h"
#include "ops.h"
#include "reference/embedding.h"
#include "reference/gigpo.h"
#include "reference/norm.h"
#include "reference/swiglu.h"

namespace siri::SIRI_DEVICE {
namespace {

using check::Check;
using check::Clock;
using check::Cost;
using check::Outputs;
using check::Random;
using check::size_text;

constexpr bf16 kUntouched = {};

void norm(Check& check, Device& device, int64_t rows, int64_t width, int64_t gap) {
  const int64_t stride = width + gap;
  Random random(check.seed(), 2200 + rows * 7919 + width);
  const std::vector<float> x = through_bf16(random.normals(rows * stride)), dy = through_bf16(random.normals(rows * stride)),
                           start = through_bf16(random.normals(rows * stride)), weight = random.normals(width),
                           dstart = random.normals(width);
  const std::string shape = size_text("rows", rows) + size_text(" width", width) + size_text(" stride", stride) + " bf16";
  const double elements = static_cast<double>(rows) * width;
  check.operation(
      "rms_norm", shape, Cost{0, 4 * elements},
      [&](Backend&, Clock& clock) -> Outputs<float> {
        const Array<bf16> dx(device, rounded(x)), y(device, rows * width, kUntouched);
        const Array<float> w(device, weight), rstd(device, rows, NAN);
        device.begin();
        clock([&] { rms_norm(device, dx.data(), stride, w.data(), rows, width, 1e-6f, y.data(), width, rstd.data()); });
        return {floats(y.host()), rstd.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> y(rows * width), rstd(rows);
        reference::rms_norm(x.data(), stride, weight.data(), rows, width, 1e-6f, y.data(), rstd.data());
        return {stored(y), rstd};
      });
  check.operation(
      "rms_norm_backward", shape + " +=", Cost{0, 8 * elements},
      [&](Backend&, Clock& clock) -> Outputs<float> {
        const Array<bf16> ddy(device, rounded(dy)), xx(device, rounded(x)), dx(device, rounded(start)), y(device, rows * width, kUntouched);
        const Array<float> w(device, weight), dw(device, dstart), rstd(device, rows, NAN);
        device.begin();
        rms_norm(device, xx.data(), stride, w.data(), rows, width, 1e-6f, y.data(), width, rstd.data());
        clock([&] {
          device.begin();
          rms_norm_backward(device, ddy.data(), stride, xx.data(), stride, w.data(), rstd.data(), rows, width, dx.data(), stride, true,
                            dw.data());
        });
        return {floats(dx.host()), dw.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        std::vector<Real> packed(rows * width), dx = check::to<Real>(start), dw = check::to<Real>(dstart);
        reference::rms_norm_backward(dy.data(), stride, x.data(), stride, weight.data(), rows, width, 1e-6f, packed.data(), dw.data());
        for (int64_t i = 0; i < rows; ++i)
          for (int64_t c = 0; c < width; ++c) dx[i * stride + c] += packed[i * width + c];
        return {stored(dx), dw};
      });
}

void swiglu(Check& check, Device& device, int64_t rows, int64_t width) {
  Random random(check.seed(), 2400 + rows * 7919 + width);
  const std::vector<float> gate_up = through_bf16(random.normals(rows * 2 * width)), dh = through_bf16(random.normals(rows * width));
  const std::string shape = size_text("rows", rows) + size_text(" width", width) + " bf16";
  const double elements = static_cast<double>(rows) * width;
  check.operation(
      "swiglu", shape, Cost{0, 6 * elements},
      [&](Backend&, Clock& clock) -> Outputs<float> {
        const Array<bf16> g(device, rounded(gate_up)), h(device, rows * width, kUntouched);
        clock([&] { SIRI_DEVICE::swiglu(device, g.data(), rows, width, h.data()); });
        return {floats(h.host())};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> h(rows * width);
        reference::swiglu(gate_up.data(), rows, width, h.data());
        return {stored(h)};
      });
  check.operation(
      "swiglu_backward", shape, Cost{0, 10 * elements},
      [&](Backend&, Clock& clock) -> Outputs<float> {
        const Array<bf16> g(device, rounded(gate_up)), d(device, rounded(dh)), dg(device, rows * 2 * width, kUntouched);
        clock([&] { swiglu_backward(device, g.data(), d.data(), rows, width, dg.data()); });
        return {floats(dg.host())};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> dg(rows * 2 * width);
        reference::swiglu_backward(gate_up.data(), dh.data(), rows, width, dg.data());
        return {stored(dg)};
      });
}

void rows(Check& check, Device& device, int64_t n, int64_t width, int64_t vocab) {
  Random random(check.seed(), 2100 + n * 7919 + width);
  const std::vector<float> table = through_bf16(random.normals(vocab * width)), dx = through_bf16(random.normals(n * width)),
                           dstart = random.normals(vocab * width);
  const std::vector<int32_t> tokens = random.integers(n, vocab), index = random.distinct(n, vocab);
  const std::string shape = size_text("rows", n) + size_text(" width", width) + " bf16";
  const double elements = static_cast<double>(n) * width;
  check.operation(
      "embed", shape, Cost{0, 4 * elements},
      [&](Backend&, Clock& clock) -> Outputs<float> {
        const Array<bf16> e(device, rounded(table)), x(device, n * width, kUntouched);
        clock([&] {
          device.begin();
          embed(device, tokens.data(), n, e.data(), width, x.data());
        });
        return {floats(x.host())};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> x(n * width);
        reference::embed(tokens.data(), n, table.data(), width, x.data());
        return {x};
      });
  check.operation(
      "embed_backward", shape, Cost{0, 10 * elements},
      [&](Backend&, Clock& clock) -> Outputs<float> {
        const Array<bf16> d(device, rounded(dx));
        const Array<float> dtable(device, dstart);
        clock([&] {
          device.begin();
          embed_backward(device, tokens.data(), n, d.data(), width, dtable.data());
        });
        return {dtable.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> dtable = check::to<decltype(real)>(dstart);
        reference::embed_backward(tokens.data(), n, dx.data(), width, dtable.data());
        return {dtable};
      });
  check.operation(
      "scatter_add_rows", shape, Cost{0, 6 * elements},
      [&](Backend&, Clock& clock) -> Outputs<float> {
        const Array<bf16> y(device, rounded(dx)), x(device, rounded(table));
        clock([&] {
          device.begin();
          scatter_add_rows(device, y.data(), index.data(), n, width, x.data());
        });
        return {floats(x.host())};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> x = check::to<decltype(real)>(table);
        reference::scatter_add_rows(dx.data(), index.data(), n, width, x.data());
        return {stored(x)};
      });
}

// `longest`: steps of a trajectory; some trajectories, and some steps' token ranges, are empty.
void advantages(Check& check, Device& device, int groups, int longest, cpu::Normalisation normalisation, cpu::EpisodeStatistics statistics,
                bool with_tokens) {
  Random random(check.seed(), 2700 + groups * 31 + longest);
  std::vector<int32_t> group_begin = {0}, offset = {0}, group, state;
  std::vector<double> reward;
  std::vector<uint8_t> valid;
  std::vector<int64_t> token_begin = {0};
  int64_t largest = 0;
  for (int g = 0; g < groups; ++g) {
    const int64_t before = static_cast<int64_t>(state.size());
    for (int32_t t = 1 + random.below(8); t > 0; --t) {
      group.push_back(g * 7 - 3);
      for (int32_t n = random.below(longest + 1); n > 0; --n) {
        state.push_back(random.below(1 + longest / 2) - 3);
        reward.push_back(random.normal(1.0f));
        valid.push_back(random.uniform() > 0.2);
        token_begin.push_back(token_begin.back() + random.below(70));
      }
      offset.push_back(static_cast<int32_t>(state.size()));
    }
    group_begin.push_back(static_cast<int32_t>(group.size()));
    largest = std::max(largest, static_cast<int64_t>(state.size()) - before);
  }
  const int64_t steps = static_cast<int64_t>(state.size()), tokens = with_tokens ? token_begin.back() : 0;
  cpu::GigpoSpec spec;
  spec.omega = 0.7;
  spec.normalisation = normalisation;
  spec.episode_statistics = statistics;
  const std::string shape = size_text("steps", steps) + size_text(" groups", groups) +
                            (normalisation == cpu::Normalisation::mean_norm ? " mean" : " mean and std") +
                            (statistics == cpu::EpisodeStatistics::rows ? " rows" : " trajectories") + (with_tokens ? " tokens" : "");
  const auto parts = [](const std::vector<double>& v) {  // and what a float cannot hold
    std::vector<float> high(v.begin(), v.end()), both = high;
    for (size_t i = 0; i < v.size(); ++i) both.push_back(static_cast<float>((v[i] - high[i]) * 1e3));
    return both;
  };
  check.operation(
      "grouped_advantages", shape, Cost{0, 65.0 * static_cast<double>(steps) + 4.0 * static_cast<double>(tokens)},
      [&](Backend&, Clock& clock) -> Outputs<float> {
        const Array<int32_t> g(device, group_begin), t(device, offset), s(device, state);
        const Array<double> r(device, reward), step_return(device, steps, NAN), episode(device, steps, NAN), step(device, steps, NAN),
            advantage(device, steps, NAN);
        const Array<uint8_t> ok(device, valid);
        const Array<int64_t> tb(device, token_begin);
        const Array<float> token(device, tokens, NAN);
        const GroupedSteps in = {
            groups,    static_cast<int64_t>(group.size()), steps, tokens, largest, g.data(), t.data(), s.data(), r.data(),
            ok.data(), with_tokens ? tb.data() : nullptr};
        clock([&] {
          device.begin();
          grouped_advantages(device, spec, in, {step_return.data(), episode.data(), step.data(), advantage.data(), token.data()});
        });
        return {parts(step_return.host()), parts(episode.host()), parts(step.host()), parts(advantage.host()), token.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        const cpu::GigpoTrajectories in = {
            static_cast<int64_t>(group.size()), offset.data(), group.data(), state.data(), reward.data(), valid.data()};
        std::vector<std::vector<double>> all(4, std::vector<double>(steps));
        reference::gigpo_advantages(spec, in, all[0].data(), all[1].data(), all[2].data(), all[3].data());
        Outputs<Real> out;
        for (const std::vector<double>& v : all) {
          const std::vector<float> both = parts(v);
          out.emplace_back(both.begin(), both.end());
        }
        out.emplace_back();
        if (with_tokens)
          for (int64_t i = 0; i < steps; ++i)
            out.back().insert(out.back().end(), token_begin[i + 1] - token_begin[i], static_cast<Real>(static_cast<float>(all[3][i])));
        return out;
      });
}

}  // namespace

void check_kernels(Check& check) {
  Device device(0);
  check.set_wait([&] { device.wait(); });
  for (int64_t n : {1, 127, 128, 129}) norm(check, device, n, 40, 0);
  for (int64_t width : {1, 7, 8, 9, 1023, 1024, 1025}) norm(check, device, 3, width, 8);
  for (int64_t width : {1, 7, 8, 9, 2056}) swiglu(check, device, 3, width);
  for (int64_t n : {0, 1, 9}) rows(check, device, n, 33, 20);
  rows(check, device, 20, 264, 40);
  for (auto normalisation : {cpu::Normalisation::mean_norm, cpu::Normalisation::mean_std_norm})
    for (auto statistics : {cpu::EpisodeStatistics::rows, cpu::EpisodeStatistics::trajectories}) {
      for (int longest : {1, 3, 31, 33, 70}) advantages(check, device, 4, longest, normalisation, statistics, longest != 3);
      advantages(check, device, 1, 0, normalisation, statistics, false);
    }
  check_products(check, device);
  check_heads(check, device);
  check_attention_kernels(check, device);
  check.set_wait([] {});
}

}  // namespace siri::SIRI_DEVICE
