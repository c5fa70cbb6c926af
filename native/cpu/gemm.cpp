// Threads, scratch and the packed-weight cache around the bodies of gemm.inl (header: gemm.h).
#include "cpu/gemm.h"

#include <algorithm>
#include <string>

#include "core/error.h"
#include "core/system.h"
#include "cpu/gemm_table.h"

namespace siri::cpu {
namespace {

// Multiply-adds that are worth a thread's while: about two microseconds.
constexpr int64_t kWorthwhile = int64_t{1} << 18;
// Tiles of rows of one task: as many as the second-level cache holds packed, because every task reads all weights.
constexpr int64_t kTaskTiles = 18;
constexpr int64_t kOuterTaskTiles = 20;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How a [rows, columns] result is cut into tasks. The cut has no influence on the bits.
struct Grid {
  int64_t row_step, column_step, row_tasks, column_tasks;
  int64_t count() const { return row_tasks * column_tasks; }
};

Grid cut(int64_t rows, int64_t row_unit, int64_t max_row_units, int64_t columns, int64_t column_unit, int64_t wanted) {
  const int64_t row_units = divide_up(rows, row_unit), column_units = divide_up(columns, column_unit);
  int64_t r = divide_up(row_units, divide_up(row_units, max_row_units)), c = column_units;  // rows in equal parts
  // Rather rows than columns down to two tiles (a task packs its own rows), then columns, then single tiles.
  const auto tasks = [&] { return divide_up(row_units, r) * divide_up(column_units, c); };
  while (tasks() < wanted && r > 2) r = divide_up(r, 2);
  while (tasks() < wanted && c > 4) c = divide_up(c, 2);
  while (tasks() < wanted && (r > 1 || c > 1)) {
    if (c > 1)
      c = divide_up(c, 2);
    else
      r = divide_up(r, 2);
  }
  return {r * row_unit, c * column_unit, divide_up(row_units, r), divide_up(column_units, c)};
}

int64_t tasks_wanted(const ThreadPool& pool, int64_t work) {
  if (pool.size() == 1) return 1;
  return std::clamp<int64_t>(work / kWorthwhile, 1, 4 * pool.size());
}

// y = x * B for B = W^T or W in panels.
void rows_times_weight(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, const float* x, int64_t x_stride,
                       const float* panels, const float* bias, const float* residual, int64_t n, int64_t k, int64_t columns, float* y,
                       int64_t y_stride, bool continued = false) {
  const GemmTable& g = *table.gemm;
  // Few rows are bound by reading the weights: count a weight as four multiply-adds.
  const Grid grid = cut(n, g.tile_rows, kTaskTiles, columns, g.panel, tasks_wanted(pool, (n + 4) * k * columns));
  packed.reserve_scratch(pool, g.rows_scratch(std::min(n, grid.row_step), k, std::min(columns, grid.column_step)));
  pool.parallel_for(grid.count(), 1, [&](int64_t begin, int64_t end, int worker) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t r = task / grid.column_tasks * grid.row_step, c = task % grid.column_tasks * grid.column_step;
      RowsBlock b;
      b.x = x + r * x_stride;
      b.x_stride = x_stride;
      b.rows = std::min(grid.row_step, n - r);
      b.k = k;
      b.panels = panels + c * g.words(k);
      b.columns = std::min(grid.column_step, columns - c);
      b.bias = bias ? bias + c : nullptr;
      b.residual = residual ? residual + r * y_stride + c : nullptr;
      b.residual_stride = y_stride;
      b.y = y + r * y_stride + c;
      b.y_stride = y_stride;
      b.continued = continued;
      b.scratch = packed.scratch(worker);
      g.rows_product(b);
    }
  });
}

// W [rows, columns] into panels.
void pack(ThreadPool& pool, const KernelTable& table, const float* weight, int64_t rows, int64_t columns, PackedWeights::Order order,
          float* out) {
  const GemmTable& g = *table.gemm;
  const bool transposed = order == PackedWeights::Order::transposed;
  const int64_t k = transposed ? columns : rows, n = transposed ? rows : columns;
  const int64_t grain = std::max<int64_t>(1, kWorthwhile / 8 / std::max<int64_t>(1, k * g.panel));
  pool.parallel_for(divide_up(n, g.panel), grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t p = begin; p < end; ++p) {
      const int64_t c = p * g.panel;
      if (transposed)
        g.pack_transposed(weight + c * columns, columns, k, n - c, out + c * g.words(k));
      else
        g.pack_straight(weight + c, columns, k, n - c, out + c * g.words(k));
    }
  });
}

}  // namespace

void FloatBuffer::Free::operator()(float* p) const { give_pages_back(p, bytes); }

float* FloatBuffer::grow(size_t floats) {
  if (floats > size_) {
    data_.reset();
    size_ = 0;
    const size_t bytes = floats * sizeof(float);
    void* p = take_pages(bytes);
    if (p == nullptr)
      throw MemoryError("no memory for " + std::to_string(bytes) + " bytes of kernel scratch; use a smaller model or batch");
    data_ = {static_cast<float*>(p), Free{bytes}};
    size_ = floats;
  }
  return data_.get();
}

size_t PackedWeights::packed_bytes(const KernelTable& table, int64_t rows, int64_t columns, Order order) {
  const int64_t k = order == Order::transposed ? columns : rows, n = order == Order::transposed ? rows : columns;
  return divide_up(n, table.gemm->panel) * table.gemm->panel * table.gemm->words(k) * sizeof(float);
}

size_t PackedWeights::bytes() const {
  size_t sum = 0;
  for (const auto& [key, entry] : entries_) sum += entry.panels.size() * sizeof(float);
  return sum;
}

const float* PackedWeights::get(ThreadPool& pool, const KernelTable& table, const float* weight, int64_t rows, int64_t columns,
                                Order order) {
  Entry& e = entries_[{weight, order}];
  if (e.version == version_ && e.rows == rows && e.columns == columns) return e.panels.data();
  e.version = 0;  // not valid should grow() throw
  float* out = e.panels.grow(packed_bytes(table, rows, columns, order) / sizeof(float));
  pack(pool, table, weight, rows, columns, order, out);
  e.rows = rows;
  e.columns = columns;
  e.version = version_;
  return out;
}

void PackedWeights::reserve_scratch(ThreadPool& pool, int64_t floats) {
  if (scratch_.size() < static_cast<size_t>(pool.size())) scratch_.resize(pool.size());
  for (FloatBuffer& b : scratch_) b.grow(static_cast<size_t>(floats));
}

void linear(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, const float* x, int64_t x_stride, const float* weight,
            const float* bias, const float* residual, int64_t n, int64_t in, int64_t out, float* y, int64_t y_stride) {
  if (n <= 0 || out <= 0) return;
  const float* panels = packed.get(pool, table, weight, out, in, PackedWeights::Order::transposed);
  rows_times_weight(pool, table, packed, x, x_stride, panels, bias, residual, n, in, out, y, y_stride);
}

void linear_backward_input(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, const float* dy, int64_t dy_stride,
                           const float* weight, int64_t n, int64_t in, int64_t out, float* dx, int64_t dx_stride, bool accumulate) {
  if (n <= 0 || in <= 0) return;
  const float* panels = packed.get(pool, table, weight, out, in, PackedWeights::Order::straight);
  rows_times_weight(pool, table, packed, dy, dy_stride, panels, nullptr, accumulate ? dx : nullptr, n, out, in, dx, dx_stride);
}

void linear_backward_input_once(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, FloatBuffer& panels, const float* dy,
                                int64_t dy_stride, const float* weight, int64_t n, int64_t in, int64_t out, float* dx, int64_t dx_stride,
                                bool continued) {
  if (n <= 0 || in <= 0) return;
  constexpr PackedWeights::Order kOrder = PackedWeights::Order::straight;
  float* b = panels.grow(PackedWeights::packed_bytes(table, out, in, kOrder) / sizeof(float));
  pack(pool, table, weight, out, in, kOrder, b);
  rows_times_weight(pool, table, packed, dy, dy_stride, b, nullptr, nullptr, n, out, in, dx, dx_stride, continued);
}

void linear_backward_weight(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, const float* dy, int64_t dy_stride,
                            const float* x, int64_t x_stride, int64_t n, int64_t in, int64_t out, float* dweight, float* dbias) {
  if (n <= 0 || out <= 0) return;
  const GemmTable& g = *table.gemm;
  const Grid grid = cut(out, g.tile_rows, kOuterTaskTiles, in, g.panel, tasks_wanted(pool, n * in * out));
  packed.reserve_scratch(pool, g.outer_scratch(std::min(out, grid.row_step)));
  pool.parallel_for(grid.count(), 1, [&](int64_t begin, int64_t end, int worker) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t r = task / grid.column_tasks * grid.row_step, c = task % grid.column_tasks * grid.column_step;
      OuterBlock b;
      b.a = dy + r;
      b.b = x + c;
      b.a_stride = dy_stride;
      b.b_stride = x_stride;
      b.n = n;
      b.rows = std::min(grid.row_step, out - r);
      b.columns = std::min(grid.column_step, in - c);
      b.c = dweight + r * in + c;
      b.c_stride = in;
      b.scratch = packed.scratch(worker);
      g.outer_product(b);
    }
  });
  if (dbias == nullptr) return;
  const int64_t grain = std::max<int64_t>(64, kWorthwhile / 4 / n / 64 * 64);
  pool.parallel_for(divide_up(out, grain), 1, [&](int64_t begin, int64_t end, int) {
    const int64_t c = begin * grain;
    g.column_sums(dy + c, dy_stride, n, std::min(end * grain, out) - c, dbias + c);
  });
}

}  // namespace siri::cpu
