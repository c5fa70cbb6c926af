// Row copies: token embedding and row gathering, with their backward passes. One pass over memory, nothing to compute;
// the backward of the embedding is cut by columns, so that rows that share a token are added in row order.

static void embed(const int32_t* tokens, int64_t begin, int64_t end, const float* table, int64_t width, float* x) {
  for (int64_t i = begin; i < end; ++i) std::memcpy(x + i * width, table + tokens[i] * width, sizeof(float) * width);
}

static void add_row(const float* from, int64_t n, float* to) {
  int64_t c = 0;
  for (; c + W <= n; c += W) store(to + c, load(to + c) + load(from + c));
  if (c < n) store_n(to + c, load_n(to + c, n - c) + load_n(from + c, n - c), n - c);
}

static void embed_backward(const int32_t* tokens, int64_t n, const float* dx, int64_t width, int64_t begin, int64_t end, float* dtable) {
  for (int64_t i = 0; i < n; ++i) add_row(dx + i * width + begin, end - begin, dtable + tokens[i] * width + begin);
}

static void gather_rows(const float* x, const int32_t* index, int64_t begin, int64_t end, int64_t width, float* y) {
  for (int64_t i = begin; i < end; ++i) std::memcpy(y + i * width, x + index[i] * width, sizeof(float) * width);
}

static void scatter_add_rows(const float* y, const int32_t* index, int64_t begin, int64_t end, int64_t width, float* x) {
  for (int64_t i = begin; i < end; ++i) add_row(y + i * width, width, x + index[i] * width);
}

static void sum_rows(const float* x, const int32_t* index, const int64_t* starts, int64_t begin, int64_t end, int64_t width, float* y) {
  for (int64_t i = begin; i < end; ++i) {
    float* row = y + i * width;
    for (int64_t c = 0; c < width; ++c) row[c] = 0.0f;
    for (int64_t k = starts[i]; k < starts[i + 1]; ++k) add_row(x + index[k] * width, width, row);
  }
}
