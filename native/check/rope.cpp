// Rotary positions, forward and inverse, heads inside a wider row.
#include "reference/rope.h"

#include "check/check.h"
#include "check/data.h"

namespace siri::check {
namespace {

constexpr int64_t kPositions = 300;

void rope(Check& check, int64_t n, int64_t heads, int64_t head_dim, int64_t gap) {
  const int64_t stride = heads * head_dim + gap, half = head_dim / 2;
  Random random(check.seed(), 300 + n * 7919 + heads * 131 + head_dim);
  const std::vector<float> x = random.normals(n * stride);
  const std::vector<int32_t> positions = random.integers(n, kPositions);
  std::vector<float> cos(kPositions * half), sin(kPositions * half);
  for (int64_t p = 0; p < kPositions; ++p)
    for (int64_t d = 0; d < half; ++d) {
      const double angle = p * std::pow(10000.0, -static_cast<double>(d) / half);
      cos[p * half + d] = static_cast<float>(std::cos(angle));
      sin[p * half + d] = static_cast<float>(std::sin(angle));
    }
  const std::string shape = size_text("rows", n) + size_text(" heads", heads) + size_text(" dim", head_dim) + size_text(" stride", stride);
  const auto run = [&](Backend& b, Clock& clock, int64_t first, int64_t count, bool inverse) -> Outputs<float> {
    DeviceArray<float> v(b, rows_of(x, first, count, stride)), c(b, cos), s(b, sin);
    const std::vector<int32_t> p = rows_of(positions, first, count, 1);
    clock([&] { b.rope(v.data(), stride, count, heads, head_dim, p.data(), c.data(), s.data(), inverse); });
    return {v.host()};
  };
  for (bool inverse : {false, true}) {
    const Outputs<float> all = check.operation(
        "rope", shape + (inverse ? " inverse" : ""), {0, 8.0 * n * heads * head_dim},
        [&](Backend& b, Clock& clock) { return run(b, clock, 0, n, inverse); },
        [&](auto real) -> Outputs<decltype(real)> {
          typedef decltype(real) Real;
          std::vector<Real> turned(n * heads * head_dim), all = to<Real>(x);  // the gap stays as it was
          reference::rope(x.data(), stride, n, heads, head_dim, positions.data(), cos.data(), sin.data(), inverse, turned.data());
          for (int64_t i = 0; i < n; ++i)
            for (int64_t c = 0; c < heads * head_dim; ++c) all[i * stride + c] = turned[i * heads * head_dim + c];
          return {all};
        });
    if (n > 1)
      check.agreement(
          "rope", shape + " last row alone",
          [&](Backend& b) {
            Clock clock(false);
            return run(b, clock, n - 1, 1, inverse);
          },
          [&](Backend&) -> Outputs<float> { return {rows_of(all[0], n - 1, 1, stride)}; });
  }
}

}  // namespace

void check_rope(Check& check) {
  for (int64_t n : {0, 1, 5}) rope(check, n, 4, 32, 64);
  for (int64_t dim : {2, 8, 16, 18, 64, 128}) rope(check, 3, 3, dim, 5);
  rope(check, 1200, 4, 32, 128);
}

}  // namespace siri::check
