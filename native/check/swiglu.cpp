// SwiGLU, with gates far outside the range a model has.
#include "reference/swiglu.h"

#include "check/check.h"
#include "check/data.h"

namespace siri::check {
namespace {

void swiglu(Check& check, int64_t rows, int64_t width, float scale) {
  Random random(check.seed(), 400 + rows * 7919 + width);
  const std::vector<float> gate_up = random.normals(rows * 2 * width, scale), dh = random.normals(rows * width);
  const std::string shape = size_text("rows", rows) + size_text(" width", width) + (scale == 1.0f ? "" : " large");
  const double elements = static_cast<double>(rows) * width;
  const auto run = [&](Backend& b, Clock& clock, int64_t first, int64_t count) -> Outputs<float> {
    DeviceArray<float> g(b, rows_of(gate_up, first, count, 2 * width)), h(b, count * width, NAN);
    clock([&] { b.swiglu(g.data(), count, width, h.data()); });
    return {h.host()};
  };
  const Outputs<float> all = check.operation(
      "swiglu", shape, {0, 12 * elements}, [&](Backend& b, Clock& clock) { return run(b, clock, 0, rows); },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> h(rows * width);
        reference::swiglu(gate_up.data(), rows, width, h.data());
        return {h};
      });
  if (rows > 1)
    check.agreement(
        "swiglu", shape + " last row alone",
        [&](Backend& b) {
          Clock clock(false);
          return run(b, clock, rows - 1, 1);
        },
        [&](Backend&) -> Outputs<float> { return {rows_of(all[0], rows - 1, 1, width)}; });
  check.operation(
      "swiglu_backward", shape, {0, 20 * elements},
      [&](Backend& b, Clock& clock) -> Outputs<float> {
        DeviceArray<float> g(b, gate_up), d(b, dh), dg(b, rows * 2 * width, NAN);
        clock([&] { b.swiglu_backward(g.data(), d.data(), rows, width, dg.data()); });
        return {dg.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> dg(rows * 2 * width);
        reference::swiglu_backward(gate_up.data(), dh.data(), rows, width, dg.data());
        return {dg};
      });
}

}  // namespace

void check_swiglu(Check& check) {
  for (int64_t rows : {0, 1, 3}) swiglu(check, rows, 320, 1.0f);
  for (int64_t width : {1, 7, 8, 15, 16, 17, 33}) swiglu(check, 4, width, 1.0f);
  swiglu(check, 50, 40, 60.0f);
  swiglu(check, 1200, 320, 1.0f);
}

}  // namespace siri::check
