// Rows as a forest of prefixes: what several rows begin with is one segment of the batch, computed once, forward and backward. A
// row is the path from a root to where its tokens end; paths part at the first token that differs.
// Nothing about a row's result depends on what it shares: attention sums over keys in the order of positions, wherever they lie.
// Knows no losses and no memory but the host's.
#pragma once
#include <vector>

#include "model/batch.h"
#include "model/rows.h"

namespace siri {

// How rows are packed. The last token of a row is never an input: nothing is predicted from it.
struct RowPacking {
  bool with_prompt = false;  // predict the prompt's tokens, too
  bool share = true;         // false: every row by itself
  int64_t max_tokens = 0;    // of one batch, and of its predictions; a row that is longer gets a batch of its own
};

// Rows to be packed together, by index into the set; of rows without anything to predict there is no trace.
using RowGroup = std::vector<int64_t>;

// Divides rows into batches. Sharing rows fall together, and the cuts are where they cost least: tokens of all batches are fewest.
std::vector<RowGroup> divide_rows(const RowSet& rows, const RowPacking& packing);

// One batch, and what the head predicts from it.
struct SharedRows {
  static constexpr int64_t kPromptToken = -1;

  PackedBatch batch;
  int64_t row_tokens = 0;  // inputs of the rows, each counted by itself

  // Head rows: the state of selected row `hidden` predicts `target` under `sampling`, for the tokens [starts[k], starts[k + 1]) of
  // `tokens`: indices of response tokens in the set (rows end to end), or kPromptToken.
  std::vector<int32_t> hidden, target;
  std::vector<RowSampling> sampling;
  std::vector<int64_t> starts, tokens;
  // Where the head needs rows of its own (batch.gathered > 0): selected row i is the state of head rows
  // users[user_starts[i] .. user_starts[i + 1]).
  std::vector<int32_t> users;
  std::vector<int64_t> user_starts;

  int64_t predictions() const { return static_cast<int64_t>(target.size()); }
};

// Packs a group. merge: equal predictions (state, target, sampling) become one head row, in order of their states; else head rows are
// the predicted tokens one by one, in their order.
void pack_rows(const RowSet& rows, const RowGroup& group, const RowPacking& packing, bool merge, SharedRows* out);

}  // namespace siri
