// What the kernels of the language-model head share: the numbers kept of a row, and which tokens a row keeps. Meaning of a row's
// distribution: native/cpu/head.h. All of a row's numbers are functions of its logits alone, computed by the same kernel whoever asks, so
// that the log-prob of a sample is, bit for bit, the one that scoring gives its token.
#pragma once
#include <vector>

#include "backend.h"
#include "gemm.h"
#include "reduce.cuh"

namespace siri::SIRI_DEVICE {

// Orders floats as they are ordered as numbers (0 == -0); nothing has key 0.
__device__ inline uint32_t order_key(float z) {
  const uint32_t bits = bit_cast<uint32_t>(z + 0.0f);
  return bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
}
__device__ inline float key_value(uint32_t key) { return bit_cast<float>(key >> 31 != 0 ? key & 0x7fffffffu : ~key); }

// The tokens that top_k and top_p leave: those above a logit, and of those that equal it the ids up to `id`.
constexpr int32_t kAnyId = 0x7fffffff;
struct Kept {
  uint32_t key = 0;
  int32_t id = kAnyId;
  __device__ bool operator()(float z, int64_t token) const {
    const uint32_t k = order_key(z);
    return k > key || (k == key && token <= id);
  }
};

// Of the rows of a call, [n] each, on the device. Logits are those of the head divided by the temperature.
struct RowNumbers {
  float* max;          // largest logit
  double* log_sum;     // log of the sum of exp(z - max) over the kept tokens
  float* entropy;      // of the kept tokens
  float* logprob;      // of the target; -inf when it is not kept
  uint32_t* kept_key;  // Kept
  int32_t* kept_id;

  RowNumbers from(int64_t row) const { return {max + row, log_sum + row, entropy + row, logprob + row, kept_key + row, kept_id + row}; }
};

__device__ inline float log_prob(float z, float max, double log_sum) {
  return static_cast<float>(static_cast<double>(z) - static_cast<double>(max) - log_sum);
}

// From sums over the kept tokens of e = exp(z - max) and of e (z - max).
struct Distribution {
  double log_sum;
  float entropy;
  __device__ Distribution(double sum, double weighted) : log_sum(log(sum)), entropy(static_cast<float>(log_sum - weighted / sum)) {}
};

// Hidden states [n, width] and the head [vocab, width], as operands of products of T.
template <class T>
struct HeadOperands {
  Rows<T> hidden, head;
  int64_t n, width, vocab;
  HeadOperands rows(int64_t first, int64_t count) const {
    return {{hidden.data + first * hidden.stride, hidden.stride}, head, count, width, vocab};
  }
};

// head_tiles.cu. All arrays are on the device.

// Writes the numbers of rows that keep all tokens. scale [n]: 1 / temperature. target [n], or null: no log-prob. logits: null, or where the
// logits, times scale, go [n, vocab]. numbers: null for the logits alone.
template <class T>
void score_tiles(Device& device, const HeadOperands<T>& x, const float* scale, const int32_t* target, const RowNumbers* numbers,
                 float* logits);

// What a row's gradient is made of: d loss / d logit = p (all + per_log log p) + (target ? on_target : 0) by the logits as the head
// gives them, p from these times scale.
struct alignas(16) Slope {
  float scale, all, per_log, on_target;
};
// gradient [n, count at `stride`] = d loss / d logit for the tokens [first, first + count), zeros between count and stride. numbers as they
// were scored.
template <class T>
void slope_tiles(Device& device, const HeadOperands<T>& x, const int32_t* target, const RowNumbers& numbers, const Slope* slope,
                 int64_t first, int64_t count, T* gradient, int64_t stride);

// head_cut.cu. A row that cuts off tokens: row `logit_row` of a matrix of logits is row `row` of RowNumbers.
struct alignas(16) CutRow {
  int32_t logit_row, row;
  int32_t top_k;  // 0: all
  float top_p;
};
// Finds what each of the rows keeps and writes its numbers. target [n of RowNumbers], or null: no log-prob.
void cut_rows(Device& device, const float* logits, const std::vector<CutRow>& rows, int64_t vocab, const int32_t* target, int64_t n,
              const RowNumbers& numbers);

// What a call asks of its rows, from the host's arrays. Temperature 0 is greedy: temperature 1, nothing cut off.
struct RowSpecs {
  std::vector<float> scale;  // [n] 1 / temperature
  std::vector<CutRow> cut;   // those that cut off tokens; logit_row == row
  RowSpecs(const RowSampling* sampling, int64_t n, int64_t vocab);
};

// head.cu. The numbers of all rows, whatever they keep. With `logits` [n, vocab] they stay there.
template <class T>
void score_rows(Device& device, const HeadOperands<T>& x, const RowSpecs& specs, const int32_t* target, const RowNumbers& numbers,
                float* logits);
RowNumbers take_numbers(Device& device, int64_t n);

}  // namespace siri::SIRI_DEVICE
