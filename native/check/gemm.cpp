// The three products of a linear layer, with operands inside wider buffers.
#include "reference/gemm.h"

#include "check/check.h"
#include "check/data.h"

namespace siri::check {
namespace {

struct Layer {
  int64_t n, in, out, gap;  // gap: elements between rows of x and y beyond their width
  bool bias = false, residual = false;
};

// Writes rows [n, width] into a wider buffer.
template <class Real>
std::vector<Real> widen(const std::vector<Real>& packed, std::vector<Real> wide, int64_t n, int64_t width, int64_t stride) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t c = 0; c < width; ++c) wide[i * stride + c] = packed[i * width + c];
  return wide;
}

// Multiplications and additions, and the bytes that have to be moved: each array once.
Cost cost(const Layer& l, double weight_bytes) {
  const double n = static_cast<double>(l.n), in = static_cast<double>(l.in), out = static_cast<double>(l.out);
  return {2 * n * in * out, 4 * n * (in + out) + weight_bytes * in * out};
}
// Of an element of a weight as products read it; of its gradient, which is read and written.
double weight_bytes(const Check& check) { return check.operand() == reference::Operand::kExact ? 4 : 2; }
constexpr double kGradientBytes = 8;

void forward(Check& check, const Layer& l, const std::string& shape, const std::vector<float>& x, const std::vector<float>& y_start,
             const std::vector<float>& weight, const std::vector<float>& bias) {
  const int64_t x_stride = l.in + l.gap, y_stride = l.out + l.gap;
  // The residual is what stands in y.
  const auto run = [&](Backend& b, Clock& clock, int64_t first, int64_t count) -> Outputs<float> {
    DeviceArray<float> dx(b, rows_of(x, first, count, x_stride)), w(b, weight), wb(b, bias), y(b, rows_of(y_start, first, count, y_stride));
    b.weights_changed();
    clock([&] {
      b.linear(dx.data(), x_stride, w.data(), l.bias ? wb.data() : nullptr, l.residual ? y.data() : nullptr, count, l.in, l.out, y.data(),
               y_stride);
    });
    return {y.host()};
  };
  const std::string text = shape + (l.bias ? " bias" : "") + (l.residual ? " residual" : "");
  const Outputs<float> all = check.operation(
      "linear", text, cost(l, weight_bytes(check)), [&](Backend& b, Clock& clock) { return run(b, clock, 0, l.n); },
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        std::vector<float> residual;
        for (int64_t i = 0; i < l.n; ++i)
          residual.insert(residual.end(), y_start.begin() + i * y_stride, y_start.begin() + i * y_stride + l.out);
        std::vector<Real> y(l.n * l.out);
        reference::linear(x.data(), x_stride, weight.data(), l.bias ? bias.data() : nullptr, l.residual ? residual.data() : nullptr, l.n,
                          l.in, l.out, y.data(), check.operand());
        return {widen(y, to<Real>(y_start), l.n, l.out, y_stride)};
      });
  for (int64_t row : {int64_t{0}, l.n - 1})
    if (l.n > 1)
      check.agreement(
          "linear", text + size_text(" row", row) + " alone",
          [&](Backend& b) {
            Clock clock(false);
            return run(b, clock, row, 1);
          },
          [&](Backend&) -> Outputs<float> { return {rows_of(all[0], row, 1, y_stride)}; });
}

void linear(Check& check, const Layer& l) {
  const int64_t x_stride = l.in + l.gap, y_stride = l.out + l.gap;
  Random random(check.seed(), 900 + l.n * 7919 + l.in * 131 + l.out);
  const std::vector<float> x = random.normals(l.n * x_stride), y_start = random.normals(l.n * y_stride), bias = random.normals(l.out);
  const std::vector<float> weight = random.normals(l.out * l.in, 1.0f / std::sqrt(static_cast<float>(l.in)));
  // As the gradient of a mean over rows.
  const std::vector<float> dy = random.normals(l.n * y_stride, 1.0f / std::sqrt(static_cast<float>(l.n + 1)));
  const std::vector<float> dweight_start = random.normals(l.out * l.in);
  const std::string shape = size_text("rows", l.n) + size_text(" in", l.in) + size_text(" out", l.out);
  forward(check, l, shape, x, y_start, weight, bias);

  for (bool accumulate : {false, true}) {
    const auto run = [&](Backend& b, Clock& clock, int64_t first, int64_t count) -> Outputs<float> {
      DeviceArray<float> d(b, rows_of(dy, first, count, y_stride)), w(b, weight), dx(b, rows_of(x, first, count, x_stride));
      b.weights_changed();
      clock([&] { b.linear_backward_input(d.data(), y_stride, w.data(), count, l.in, l.out, dx.data(), x_stride, accumulate); });
      return {dx.host()};
    };
    const Outputs<float> all = check.operation(
        "linear_backward_input", shape + (accumulate ? " +=" : ""), cost(l, weight_bytes(check)),
        [&](Backend& b, Clock& clock) { return run(b, clock, 0, l.n); },
        [&](auto real) -> Outputs<decltype(real)> {
          typedef decltype(real) Real;
          std::vector<Real> dx;
          for (int64_t i = 0; i < l.n; ++i) dx.insert(dx.end(), x.begin() + i * x_stride, x.begin() + i * x_stride + l.in);
          reference::linear_backward_input(dy.data(), y_stride, weight.data(), l.n, l.in, l.out, dx.data(), accumulate, check.operand());
          return {widen(dx, to<Real>(x), l.n, l.in, x_stride)};
        });
    if (l.n > 1)
      check.agreement(
          "linear_backward_input", shape + (accumulate ? " +=" : "") + " last row alone",
          [&](Backend& b) {
            Clock clock(false);
            return run(b, clock, l.n - 1, 1);
          },
          [&](Backend&) -> Outputs<float> { return {rows_of(all[0], l.n - 1, 1, x_stride)}; });
  }

  check.operation(
      "linear_backward_weight", shape + (l.bias ? " bias" : ""), cost(l, kGradientBytes),
      [&](Backend& b, Clock& clock) -> Outputs<float> {
        DeviceArray<float> d(b, dy), xx(b, x), dw(b, dweight_start), db(b, bias);
        clock([&] {
          b.linear_backward_weight(d.data(), y_stride, xx.data(), x_stride, l.n, l.in, l.out, dw.data(), l.bias ? db.data() : nullptr);
        });
        return {dw.host(), db.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        std::vector<Real> dw = to<Real>(dweight_start), db = to<Real>(bias);
        reference::linear_backward_weight(dy.data(), y_stride, x.data(), x_stride, l.n, l.in, l.out, dw.data(),
                                          l.bias ? db.data() : nullptr, check.operand());
        return {dw, db};
      });
}

}  // namespace

void check_gemm(Check& check, bool timed) {
  for (int64_t n : {0, 1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 33}) linear(check, {n, 40, 33, 3, n % 2 == 0, n % 3 == 0});
  for (int64_t out : {1, 7, 8, 15, 16, 17, 31, 32, 33, 47, 48, 49, 65}) linear(check, {5, 19, out, 0, true, true});
  linear(check, {3, 1, 1, 0, true, false});
  linear(check, {9, 1100, 38, 0, false, false});
  linear(check, {1500, 24, 40, 8, true, false});
  if (!timed) return;
  linear(check, {1200, 128, 256, 0, true, false});
  linear(check, {1200, 128, 640, 0, false, false});
  linear(check, {1200, 320, 128, 0, false, true});
}

}  // namespace siri::check
