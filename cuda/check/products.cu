// The products of gemm.h beside what Backend shows of them: every tile and every way to cut the depth gives the same bits, a row's bits are
// the same in any batch, and copies of weights follow the weights.
#include "check/device_array.h"
#include "check/families.h"
#include "ops.h"
#include "reference/gemm.h"
#ifndef SIRI_EMULATED
#include <cstdio>

#include "core/error.h"
#include "gpu/cublaslt.h"
#include "gpu/lt_product.h"
#endif

namespace siri::SIRI_DEVICE {
namespace {

using check::Check;
using check::Clock;
using check::Cost;
using check::Outputs;
using check::Random;
using check::size_text;

struct Size {
  int64_t rows, columns, depth, chunk, gap;  // gap: elements between rows of y beyond their width
};

const char* form_name(Form form) { return form == Form::kForward ? "x W^T" : form == Form::kInput ? "dy W" : "dy^T x"; }

// Operands as float32 on the host, packed, and what stands in y.
struct Operands {
  std::vector<float> a, b, bias, y;
  int64_t a_lines, a_width, b_lines, b_width, y_stride;

  Operands(uint64_t seed, Form form, const Size& s)
      : a_lines(form == Form::kWeight ? s.depth : s.rows),
        a_width(form == Form::kWeight ? s.rows : s.depth),
        b_lines(form == Form::kForward ? s.columns : s.depth),
        b_width(form == Form::kForward ? s.depth : s.columns),
        y_stride(s.columns + s.gap) {
    Random random(seed, 2800 + s.rows * 7919 + s.columns * 31 + s.depth);
    a = random.normals(a_lines * a_width);
    b = random.normals(b_lines * b_width);
    bias = random.normals(s.columns);
    y = random.normals(s.rows * y_stride);
  }
};

// y = product + bias + y.
template <class T, class... How>
std::vector<float> product(Device& device, Form form, const Size& s, const Operands& o, Clock& clock, How... how) {
  const Array<float> a(device, o.a), b(device, o.b), bias(device, o.bias), y(device, o.y);
  device.begin();
  Rows<T> left, right;
  if constexpr (std::is_same_v<T, bf16>) {
    left = round_rows(device, a.data(), o.a_width, o.a_lines, o.a_width);
    right = round_rows(device, b.data(), o.b_width, o.b_lines, o.b_width);
  } else {
    left = {a.data(), o.a_width};
    right = {b.data(), o.b_width};
  }
  const Gemm<T> g{form, left, right, s.rows, s.columns, s.depth, s.chunk, bias.data(), y.data(), y.data(), o.y_stride};
  clock([&] { multiply(device, g, how...); });
  return y.host();
}

template <class T, class... How>
Outputs<float> against_twin(Check& check, Device& device, const std::string& text, Form form, const Size& s, How... how) {
  const Operands o(check.seed(), form, s);
  const reference::Operand operand = std::is_same_v<T, bf16> ? reference::Operand::kBfloat16 : reference::Operand::kExact;
  return check.operation(
      "gemm", text, Cost{2.0 * s.rows * s.columns * s.depth},
      [&](Backend&, Clock& clock) -> Outputs<float> { return {product<T>(device, form, s, o, clock, how...)}; },
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        std::vector<Real> y = check::to<Real>(o.y);
        for (int64_t i = 0; i < s.rows; ++i)
          for (int64_t j = 0; j < s.columns; ++j) {
            Real sum = 0;
            for (int64_t k = 0; k < s.depth; ++k)
              sum += reference::as_operand(Real(o.a[form == Form::kWeight ? k * o.a_width + i : i * o.a_width + k]), operand) *
                     reference::as_operand(Real(o.b[form == Form::kForward ? j * o.b_width + k : k * o.b_width + j]), operand);
            y[i * o.y_stride + j] += sum + Real(o.bias[j]);
          }
        return {y};
      });
}

void tiles(Check& check, Device& device, Form form, const Size& s) {
  const std::string shape = std::string(form_name(form)) + size_text(" rows", s.rows) + size_text(" columns", s.columns) +
                            size_text(" depth", s.depth) + size_text(" chunk", s.chunk);
  const Outputs<float> first = against_twin<bf16>(check, device, shape + " bf16 64x64", form, s, Tile::k64x64, Chunks::kBlocks);
  const Operands o(check.seed(), form, s);
  const auto same = [&](const char* name, Tile tile, Chunks chunks) {
    check.agreement(
        "gemm", shape + name,
        [&](Backend&) -> Outputs<float> {
          Clock clock(false);
          return {product<bf16>(device, form, s, o, clock, tile, chunks)};
        },
        [&](Backend&) { return first; });
  };
  same(" bf16 128x256", Tile::k128x256, Chunks::kBlocks);
  if (form == Form::kForward) {
    same(" bf16 16x64", Tile::k16x64, Chunks::kBlocks);
    same(" bf16 128x128", Tile::k128x128, Chunks::kBlocks);
    same(" bf16 128x128 in order", Tile::k128x128, Chunks::kInOrder);
  }
  const Outputs<float> small = against_twin<float>(check, device, shape + " float32 32x32", form, s, false);
  check.agreement(
      "gemm", shape + " float32 128x128",
      [&](Backend&) -> Outputs<float> {
        Clock clock(false);
        return {product<float>(device, form, s, o, clock, true)};
      },
      [&](Backend&) { return small; });
}

// Rows of a batch by themselves and in smaller batches, each size with the tile that it gets.
void batches(Check& check, Device& device, int64_t n, int64_t in, int64_t out) {
  Random random(check.seed(), 2900 + n);
  const std::vector<float> x = random.normals(n * in), w = random.normals(in * out), dy = random.normals(n * out);
  const Array<float> weight(device, w);
  RoundedWeights copies(device);
  const auto run = [&](int64_t first, int64_t count) -> Outputs<float> {
    const Array<float> xs(device, check::rows_of(x, first, count, in)), ys(device, count * out, NAN), dx(device, count * in, NAN),
        d(device, check::rows_of(dy, first, count, out));
    device.begin();
    const Rows<bf16> copy = copies.get(weight.data(), out, in);
    linear<bf16>(device, xs.data(), in, copy, nullptr, nullptr, count, in, out, ys.data(), out);
    linear_backward_input<bf16>(device, d.data(), out, copy, count, in, out, dx.data(), in, false);
    return {ys.host(), dx.host()};
  };
  const Outputs<float> all = run(0, n);
  for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 1}, {n / 2, 1}, {n - 1, 1}, {3, 16}, {5, 60}, {n - 70, 70}})
    check.agreement(
        "gemm",
        "rows " + std::to_string(first) + " to " + std::to_string(first + count) + " of" + size_text("", n) + size_text(" in", in) +
            size_text(" out", out) + " bf16",
        [&](Backend&) { return run(first, count); },
        [&](Backend&) -> Outputs<float> { return {check::rows_of(all[0], first, count, out), check::rows_of(all[1], first, count, in)}; });
}

// A copy is that of the weight as it was after the latest stale().
bool copies_follow(Device& device) {
  constexpr int64_t kRows = 3, kWidth = 13;
  Random random(1, 2950);
  const std::vector<float> before = random.normals(kRows * kWidth), after = random.normals(kRows * kWidth);
  const Array<float> weight(device, before);
  RoundedWeights copies(device);
  const auto holds = [&](const Rows<bf16>& copy, const std::vector<float>& v, int64_t rows, int64_t width) {
    std::vector<bf16> got(rows * copy.stride);
    device.download(got.data(), copy.data, got.size() * sizeof(bf16));
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t c = 0; c < copy.stride; ++c)
        if (to_float(got[i * copy.stride + c]) != (c < width ? to_float(to_bf16(v[i * width + c])) : 0.0f)) return false;
    return true;
  };
  const Rows<bf16> first = copies.get(weight.data(), kRows, kWidth);
  bool ok = holds(first, before, kRows, kWidth);
  device.upload(weight.data(), after.data(), after.size() * sizeof(float));
  ok = ok && holds(copies.get(weight.data(), kRows, kWidth), before, kRows, kWidth);  // nobody said that it had changed
  copies.stale();
  const Rows<bf16> second = copies.get(weight.data(), kRows, kWidth);
  ok = ok && second.data == first.data && holds(second, after, kRows, kWidth);
  return ok && holds(copies.get(weight.data(), kWidth, kRows), after, kWidth, kRows);  // the address holds another shape
}

#ifndef SIRI_EMULATED
// Products of real size, timed, and beside cuBLASLt's where there is one: neither may differ from the other by more than two sums of
// `depth` terms can.
void real_size(Check& check, Device& device, bool cublaslt, Form form, int64_t rows, int64_t columns, int64_t depth, int64_t chunk) {
  const std::string shape =
      std::string(form_name(form)) + size_text(" rows", rows) + size_text(" columns", columns) + size_text(" depth", depth) + " bf16";
  const Cost cost{2.0 * rows * columns * depth, 2.0 * depth * (rows + columns) + 4.0 * rows * columns};
  Random random(check.seed(), 2990);
  std::vector<bf16> values;
  for (int i = 0; i < 65521; ++i) values.push_back(to_bf16(2 * static_cast<float>(random.uniform()) - 1));
  const auto operand = [&](int64_t count, size_t from) {
    std::vector<bf16> v(count);
    for (int64_t i = 0; i < count; ++i) v[i] = values[(from + i) % values.size()];
    return v;
  };
  const Array<bf16> a(device, operand(rows * depth, 0)), b(device, operand(columns * depth, 777));
  const Array<float> y(device, rows * columns, NAN);
  const Gemm<bf16> g{form,
                     {a.data(), form == Form::kWeight ? rows : depth},
                     {b.data(), form == Form::kForward ? depth : columns},
                     rows,
                     columns,
                     depth,
                     chunk,
                     nullptr,
                     nullptr,
                     y.data(),
                     columns};
  const auto seconds = [&](const auto& run) {
    const auto often = [&](int times) {
      for (int i = 0; i < times; ++i) {
        device.begin();
        run();
      }
    };
    often(3);
    constexpr int kTimes = 20;
    return device.seconds([&] { often(kTimes); }) / kTimes;
  };
  check.rate("gemm", shape, cost, seconds([&] { multiply(device, g); }));
  if (!cublaslt) return;
  const std::vector<float> mine = y.host();
  double theirs = 0;
  check.condition("gemm", shape + " as cuBLASLt", [&](Backend&) {
    LtProduct product(device, g);
    theirs = seconds([&] { product.run(); });
    const std::vector<float> other = y.host();
    // Both sum `depth` products of mean size 1/4; each of the sums is off by 2^-23 of that at each step at most.
    const double bound = 2 * 0x1p-23 * static_cast<double>(depth) * (static_cast<double>(depth) / 4);
    for (size_t i = 0; i < mine.size(); ++i)
      if (!(std::abs(static_cast<double>(mine[i]) - other[i]) <= bound)) return false;
    return true;
  });
  check.rate("gemm", shape + " cuBLASLt", cost, theirs);
}

void real_sizes(Check& check, Device& device) {
  bool found = true;
  try {
    cublaslt();
  } catch (const Error& e) {  // own products are timed alone
    found = false;
    std::printf("%s\n", e.what());
  }
  // The layers of a 1.5B model, cut as linear.cu cuts them: rows of a training step, then of decoding.
  for (const int64_t rows : {8192, 256, 1}) {
    real_size(check, device, found, Form::kForward, rows, 1536, 1536, 320);
    real_size(check, device, found, Form::kForward, rows, 17920, 1536, 1536);
    real_size(check, device, found, Form::kForward, rows, 1536, 8960, 1792);
  }
  real_size(check, device, found, Form::kInput, 8192, 1536, 17920, 17920);
  real_size(check, device, found, Form::kWeight, 17920, 1536, 8192, 8192);
}
#endif

}  // namespace

void check_products(Check& check, Device& device) {
  if (!check.wanted("gemm")) return;
  // Odd sizes that leave every kind of remainder; more than one tile in each direction; one piece of the depth and several.
  for (const Form form : {Form::kForward, Form::kInput, Form::kWeight}) {
    tiles(check, device, form, {1, 1, 1, 64, 0});
    tiles(check, device, form, {19, 70, 40, 64, 3});
    tiles(check, device, form, {131, 261, 200, 64, 1});
    tiles(check, device, form, {128, 256, 128, 128, 0});
  }
  batches(check, device, 300, 530, 41);
  check.condition("gemm", "copies follow the weights", [&](Backend&) { return copies_follow(device); });
#ifndef SIRI_EMULATED
  if (check.timed()) real_sizes(check, device);
#endif
}

}  // namespace siri::SIRI_DEVICE
