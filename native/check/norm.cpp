// RMS norm: layer norms (contiguous rows) and q/k norms (rows inside a wider buffer).
#include "reference/norm.h"

#include "check/check.h"
#include "check/data.h"

namespace siri::check {
namespace {

constexpr float kEps = 1e-6f;

Outputs<float> run_norm(Backend& b, Clock& clock, const std::vector<float>& x, int64_t stride, const std::vector<float>& weight,
                        int64_t rows, int64_t width, bool in_place) {
  DeviceArray<float> dx(b, x), w(b, weight), y(b, rows * width, NAN), rstd(b, rows, NAN);
  float* to = in_place ? dx.data() : y.data();
  clock([&] { b.rms_norm(dx.data(), stride, w.data(), rows, width, kEps, to, in_place ? stride : width, rstd.data()); });
  if (!in_place) return {y.host(), rstd.host()};
  std::vector<float> packed;
  const std::vector<float> wide = dx.host();
  for (int64_t r = 0; r < rows; ++r) packed.insert(packed.end(), wide.begin() + r * stride, wide.begin() + r * stride + width);
  return {packed, rstd.host()};
}

void norm(Check& check, int64_t rows, int64_t width, int64_t gap, float scale, bool in_place) {
  const int64_t stride = width + gap;
  Random random(check.seed(), 200 + rows * 7919 + width);
  const std::vector<float> x = random.normals(rows * stride, scale), weight = random.normals(width);
  // As the gradient of a mean over rows.
  const std::vector<float> dy = random.normals(rows * stride, 1.0f / std::sqrt(static_cast<float>(rows + 1)));
  const std::vector<float> start = random.normals(rows * stride), dstart = random.normals(width);
  std::string shape = size_text("rows", rows) + size_text(" width", width) + size_text(" stride", stride);
  if (scale != 1.0f) shape += scale == 0.0f ? " zeros" : " small";
  const double elements = static_cast<double>(rows) * width;

  const Outputs<float> all = check.operation(
      "rms_norm", shape + (in_place ? " in place" : ""), {0, 8 * elements},
      [&](Backend& b, Clock& clock) { return run_norm(b, clock, x, stride, weight, rows, width, in_place); },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> y(rows * width), rstd(rows);
        reference::rms_norm(x.data(), stride, weight.data(), rows, width, kEps, y.data(), rstd.data());
        return {y, rstd};
      });
  if (rows > 1)
    check.agreement(
        "rms_norm", shape + " last row alone",
        [&](Backend& b) {
          Clock clock(false);
          return run_norm(b, clock, rows_of(x, rows - 1, 1, stride), stride, weight, 1, width, in_place);
        },
        [&](Backend&) -> Outputs<float> { return {rows_of(all[0], rows - 1, 1, width), rows_of(all[1], rows - 1, 1, 1)}; });

  for (bool accumulate : {false, true})
    check.operation(
        "rms_norm_backward", shape + (accumulate ? " +=" : ""), {0, (accumulate ? 16 : 12) * elements},
        [&](Backend& b, Clock& clock) -> Outputs<float> {
          DeviceArray<float> ddy(b, dy), xx(b, x), w(b, weight), y(b, rows * width, NAN), r(b, rows, NAN), dx(b, start), dweight(b, dstart);
          b.rms_norm(xx.data(), stride, w.data(), rows, width, kEps, y.data(), width, r.data());
          clock([&] {
            b.rms_norm_backward(ddy.data(), stride, xx.data(), stride, w.data(), r.data(), rows, width, dx.data(), stride, accumulate,
                                dweight.data());
          });
          return {dx.host(), dweight.host()};
        },
        [&](auto real) -> Outputs<decltype(real)> {
          typedef decltype(real) Real;
          std::vector<Real> packed(rows * width), dx = to<Real>(start), dweight = to<Real>(dstart);
          reference::rms_norm_backward(dy.data(), stride, x.data(), stride, weight.data(), rows, width, kEps, packed.data(),
                                       dweight.data());
          for (int64_t i = 0; i < rows; ++i)
            for (int64_t c = 0; c < width; ++c) dx[i * stride + c] = (accumulate ? dx[i * stride + c] : Real(0)) + packed[i * width + c];
          return {dx, dweight};
        });
}

}  // namespace

void check_norm(Check& check) {
  for (int64_t rows : {0, 1, 63, 64, 65}) norm(check, rows, 128, 0, 1.0f, false);
  for (int64_t width : {1, 8, 15, 16, 17, 33, 65, 1536}) norm(check, 5, width, 3, 1.0f, false);
  norm(check, 9, 32, 96, 1.0f, true);
  norm(check, 3, 40, 0, 0.0f, false);
  norm(check, 3, 40, 0, 1e-4f, false);
  norm(check, 1200, 128, 0, 1.0f, false);
}

}  // namespace siri::check
