// The optimiser's step and the sum of squares.
#include "reference/adamw.h"

#include "check/check.h"
#include "check/data.h"

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
        clock([&] { b.adamw(w.data(), g.data(), dm.data(), dv.data(), n, s); });
        return {w.host(), dm.host(), dv.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> w(n), new_m(n), new_v(n);
        reference::adamw(weight.data(), gradient.data(), m.data(), v.data(), n, s, w.data(), new_m.data(), new_v.data());
        return {w, new_m, new_v};
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
  for (int64_t n : {0, 1, 15, 31, 32, 33, 16383, 16384, 16385, 804992}) squares(check, n);
}

}  // namespace siri::check
