// The optimiser's step and the sum of squares.
#include "reference/adamw.h"

#include <algorithm>
#include <bit>

#include "check/check.h"
#include "check/data.h"
#include "core/bfloat16.h"

namespace siri::check {
namespace {

void adamw(Check& check, int64_t n, int64_t step, float decay) {
  Random random(check.seed(), 500 + n * 31 + step);
  const std::vector<float> weight = random.normals(n), gradient = random.normals(n, 0.1f), m = random.normals(n, 0.05f);
  std::vector<float> v(n);
  for (float& x : v) x = 0.01f * static_cast<float>(random.uniform());
  const AdamWStep s{1e-2f, 0.9f, 0.999f, 1e-8f, decay, 0.7f, step};
  const std::string shape = size_text("n", n) + size_text(" step", step) + (decay > 0 ? " decay" : "");
  check.operation(
      "adamw", shape, {0, 28.0 * n},
      [&](Backend& b, Clock& clock) -> Outputs<float> {
        DeviceArray<float> w(b, weight), g(b, gradient), dm(b, m), dv(b, v);
        clock([&] { b.adamw(w.data(), g.data(), dm.data(), dv.data(), Moments::kFloat32, 0, n, s); });
        return {w.host(), dm.host(), dv.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> w(n), new_m(n), new_v(n);
        reference::adamw(weight.data(), gradient.data(), m.data(), v.data(), n, s, w.data(), new_m.data(), new_v.data());
        return {w, new_m, new_v};
      });
}

std::vector<uint16_t> halves(const std::vector<float>& v) {
  std::vector<uint16_t> h(v.size());
  std::transform(v.begin(), v.end(), h.begin(), to_bfloat16);
  return h;
}
std::vector<float> floats(const std::vector<uint16_t>& h) {
  std::vector<float> v(h.size());
  std::transform(h.begin(), h.end(), v.begin(), from_bfloat16);
  return v;
}

// Moments in bfloat16. `first`: where in the whole the call's elements lie.
void adamw_bfloat16(Check& check, int64_t first, int64_t n) {
  Random random(check.seed(), 550 + n * 31 + first);
  const std::vector<float> weight = random.normals(n), gradient = random.normals(n, 0.1f);
  std::vector<float> small(n);
  for (float& x : small) x = 0.01f * static_cast<float>(random.uniform());
  const std::vector<uint16_t> m = halves(random.normals(n, 0.05f)), v = halves(small);
  const AdamWStep s{1e-2f, 0.9f, 0.999f, 1e-8f, 0.1f, 0.7f, 5};
  const std::string shape = size_text("n", n) + size_text(" first", first) + " bf16 moments";
  const auto twin = [&](auto real) {
    Outputs<decltype(real)> out(3, std::vector<decltype(real)>(n));
    reference::adamw(weight.data(), gradient.data(), floats(m).data(), floats(v).data(), n, s, out[0].data(), out[1].data(), out[2].data());
    return out;
  };
  std::vector<uint16_t> got_v;
  check.operation(
      "adamw", shape, {0, 20.0 * n},
      [&](Backend& b, Clock& clock) -> Outputs<float> {
        DeviceArray<float> w(b, weight), g(b, gradient);
        DeviceArray<uint16_t> dm(b, m), dv(b, v);
        clock([&] { b.adamw(w.data(), g.data(), dm.data(), dv.data(), Moments::kBfloat16, first, n, s); });
        got_v = dv.host();
        return {w.host(), floats(dm.host())};
      },
      // What is left between the two is a unit of the last place where they fall on different sides of a boundary, so the straightforward
      // float formula is rounded and the exact one is not.
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        Outputs<Real> out = twin(real);
        out.pop_back();
        if constexpr (std::is_same_v<Real, float>)
          for (Real& x : out[1]) x = from_bfloat16(to_bfloat16(x));
        return out;
      });
  // Other bits in the last place of a float32 turn a rounding in one of 65,536 cases.
  check.condition("adamw", shape + ": v as the rule rounds it", [&](Backend&) {
    const std::vector<double> want = twin(double())[2];
    int64_t other = 0;
    for (int64_t i = 0; i < n; ++i)
      other += got_v[i] != round_by_chance(std::bit_cast<uint32_t>(static_cast<float>(want[i])), scramble(first + i, s.step));
    return static_cast<int64_t>(got_v.size()) == n && other <= n / 1000;
  });
}

// A second moment whose gradients have become zero falls as it should, though a step takes less from it than its last place.
void falls(Check& check) {
  check.condition("adamw", "n 64, bf16 moments: v falls by beta2 a step", [](Backend& b) {
    constexpr int64_t kN = 64, kSteps = 1500;
    DeviceArray<float> w(b, std::vector<float>(kN, 0.0f)), g(b, std::vector<float>(kN, 0.0f));
    DeviceArray<uint16_t> m(b, std::vector<uint16_t>(kN, 0)), v(b, std::vector<uint16_t>(kN, to_bfloat16(1.0f)));
    for (int64_t t = 1; t <= kSteps; ++t)
      b.adamw(w.data(), g.data(), m.data(), v.data(), Moments::kBfloat16, 0, kN, {1e-3f, 0.9f, 0.999f, 1e-8f, 0.0f, 1.0f, t});
    double mean = 0;
    for (const float x : floats(v.host())) mean += x / kN;
    const double want = std::pow(0.999, kSteps);
    return std::abs(mean - want) < 0.1 * want;
  });
}

void squares(Check& check, int64_t n) {
  Random random(check.seed(), 600 + n);
  const std::vector<float> x = random.normals(n);
  check.operation(
      "sum_of_squares", size_text("n", n), {0, 4.0 * n},
      [&](Backend& b, Clock& clock) -> Outputs<float> {
        DeviceArray<float> d(b, x);
        double sum = 0;
        clock([&] { sum = b.sum_of_squares(d.data(), n); });
        const float high = static_cast<float>(sum);  // and what a float cannot hold
        return {{high, static_cast<float>(sum - high)}};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        const auto sum = reference::sum_of_squares<decltype(real)>(x.data(), n);
        const float high = static_cast<float>(sum);
        return {{high, sum - high}};
      });
  // The result is a double, so it has to have a double's precision.
  check.condition("sum_of_squares", size_text("n", n) + " relative error <= n * 2^-53", [&](Backend& b) {
    DeviceArray<float> d(b, x);
    const double want = reference::sum_of_squares<double>(x.data(), n);
    return std::abs(b.sum_of_squares(d.data(), n) - want) <= std::ldexp(static_cast<double>(n), -53) * want;
  });
}

}  // namespace

void check_adamw(Check& check) {
  for (int64_t n : {0, 1, 7, 15, 16, 17, 33}) adamw(check, n, 1, 0.0f);
  adamw(check, 1000, 3, 0.1f);
  adamw(check, 804992, 100, 0.01f);
  for (int64_t n : {1, 3, 4, 5, 255, 256, 257, 1023, 1025}) adamw_bfloat16(check, 0, n);
  adamw_bfloat16(check, int64_t{5} << 32, 20000);
  falls(check);
  for (int64_t n : {0, 1, 15, 31, 32, 33, 16383, 16384, 16385, 804992}) squares(check, n);
}

}  // namespace siri::check
