// Row copies and their backward passes.
#include "reference/embedding.h"

#include "check/check.h"
#include "check/data.h"

namespace siri::check {
namespace {

void embedding(Check& check, int64_t n, int64_t width, int64_t vocab) {
  Random random(check.seed(), 100 + n * 7919 + width);
  const std::vector<int32_t> tokens = random.integers(n, vocab);
  const std::vector<float> table = random.normals(vocab * width), dx = random.normals(n * width);
  const std::string shape = size_text("rows", n) + size_text(" width", width) + size_text(" vocab", vocab);
  const Cost copy{0, 8.0 * n * width}, add{0, 12.0 * n * width};

  check.operation(
      "embed", shape, copy,
      [&](Backend& b, Clock& clock) -> Outputs<float> {
        DeviceArray<float> e(b, table), x(b, n * width, NAN);
        clock([&] { b.embed(tokens.data(), n, e.data(), width, x.data()); });
        return {x.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> x(n * width);
        reference::embed(tokens.data(), n, table.data(), width, x.data());
        return {x};
      });
  check.operation(
      "embed_backward", shape, add,
      [&](Backend& b, Clock& clock) -> Outputs<float> {
        DeviceArray<float> d(b, dx), dtable(b, table);
        clock([&] { b.embed_backward(tokens.data(), n, d.data(), width, vocab, dtable.data()); });
        return {dtable.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> dtable = to<decltype(real)>(table);
        reference::embed_backward(tokens.data(), n, dx.data(), width, dtable.data());
        return {dtable};
      });

  if (n > vocab) return;  // the next two take distinct indices
  const std::vector<int32_t> index = random.distinct(n, vocab);
  check.operation(
      "gather_rows", shape, copy,
      [&](Backend& b, Clock& clock) -> Outputs<float> {
        DeviceArray<float> x(b, table), y(b, n * width, NAN);
        clock([&] { b.gather_rows(x.data(), index.data(), n, width, y.data()); });
        return {y.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> y(n * width);
        reference::gather_rows(table.data(), index.data(), n, width, y.data());
        return {y};
      });
  check.operation(
      "scatter_add_rows", shape, add,
      [&](Backend& b, Clock& clock) -> Outputs<float> {
        DeviceArray<float> y(b, dx), x(b, table);
        clock([&] { b.scatter_add_rows(y.data(), index.data(), n, width, x.data()); });
        return {x.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> x = to<decltype(real)>(table);
        reference::scatter_add_rows(dx.data(), index.data(), n, width, x.data());
        return {x};
      });

  // Groups of 0, 1, 2, 3, 0, ... rows of the table, some rows in several groups.
  std::vector<int64_t> starts = {0};
  for (int64_t i = 0; i < n; ++i) starts.push_back(starts.back() + i % 4);
  const std::vector<int32_t> users = random.integers(starts.back(), vocab);
  check.operation(
      "sum_rows", shape, add,
      [&](Backend& b, Clock& clock) -> Outputs<float> {
        DeviceArray<float> x(b, table), y(b, n * width, NAN);
        clock([&] { b.sum_rows(x.data(), users.data(), starts.data(), n, width, y.data()); });
        return {y.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        std::vector<decltype(real)> y(n * width);
        reference::sum_rows(table.data(), users.data(), starts.data(), n, width, y.data());
        return {y};
      });
}

// New keys and values on their way to scattered cache pages; the source rows lie in a wider buffer.
void store(Check& check, int64_t n, int64_t width, int64_t stride, int64_t places) {
  Random random(check.seed(), 150 + n * 7919 + width);
  const std::vector<float> x = random.normals(n * stride), start = random.normals(places * width);
  const std::vector<int32_t> place = random.distinct(n, places);
  check.operation(
      "store_rows", size_text("rows", n) + size_text(" width", width) + size_text(" stride", stride), {0, 8.0 * n * width},
      [&](Backend& b, Clock& clock) -> Outputs<float> {
        DeviceArray<float> from(b, x), to(b, start);
        std::vector<float*> rows;
        for (int32_t p : place) rows.push_back(to.data() + p * width);
        clock([&] { b.store_rows(from.data(), stride, n, width, rows.data()); });
        return {to.host()};
      },
      [&](auto real) -> Outputs<decltype(real)> {
        typedef decltype(real) Real;
        std::vector<Real> all = to<Real>(start);
        for (int64_t i = 0; i < n; ++i)
          for (int64_t c = 0; c < width; ++c) all[place[i] * width + c] = x[i * stride + c];
        return {all};
      });
}

}  // namespace

void check_embedding(Check& check) {
  for (int64_t n : {0, 1, 15, 16, 17}) embedding(check, n, 33, 50);
  for (int64_t width : {1, 7, 8, 64, 130}) embedding(check, 40, width, 50);
  embedding(check, 2000, 128, 896);
  embedding(check, 700, 128, 896);
  for (int64_t n : {0, 1, 40}) store(check, n, 24, 31, 64);
}

}  // namespace siri::check
