// Scoring, training and the optimiser step over rows, cut into micro-batches bounded by tokens; what rows of one micro-batch begin
// with in common is computed once. Every normaliser is computed over all rows of the call before the first micro-batch, so neither
// the cut nor the sharing changes a mean. Knows nothing of sampling and threads.
#pragma once
#include <atomic>
#include <functional>
#include <vector>

#include "model/decoder.h"
#include "model/losses.h"
#include "model/rows.h"
#include "model/shared_rows.h"

namespace siri {

struct ScoreResult {
  std::vector<float> logprobs, entropies;  // per response token, rows end to end
};

struct TrainResult {
  LossParts parts;
  int64_t total_tokens = 0;     // run through the engine
  int64_t saved_tokens = 0;     // not run because another row of the micro-batch had them
  std::vector<float> logprobs;  // per response token, rows end to end
};

struct AdamWOptions {
  float lr = 0, beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f, weight_decay = 0;
  double max_grad_norm = 0;  // 0: no clipping
};

struct UpdateResult {
  double grad_norm = 0;
  int64_t step = 0;
};

class Trainer {
 public:
  Trainer(Backend& backend, const DecoderConfig& config, Weights& weights, Decoder& decoder, Workspace& forward, Workspace& train,
          int64_t max_batch_tokens, bool share_prefixes);

  ScoreResult score(const RowSet& rows, const std::atomic<bool>& aborted);
  // Adds to the gradients. Training memory has been placed: gradients, moments, the activations. When it throws (abort, a loss that is not
  // finite) all gradients are cleared.
  TrainResult train(const RowSet& rows, const LossSpec& loss, const std::atomic<bool>& aborted);
  // Applies and clears the gradients. Throws NumericError (weights and gradients as they were) when their norm is not finite, and
  // an error with code SIRI_STATE when nothing was trained since the last update.
  UpdateResult update(const AdamWOptions& options);
  void zero_gradients();
  // Runs every kind of pass over made-up rows of `tokens` tokens together, and leaves gradients and counters as they were before any.
  void warm_up(int64_t tokens);

  bool has_gradients() const { return has_gradients_; }
  int64_t step() const { return step_; }
  void set_step(int64_t step) { step_ = step; }
  int64_t trained_tokens() const { return trained_tokens_; }
  int64_t saved_tokens() const { return saved_tokens_; }  // by train() and score()

 private:
  // Hidden states of the head rows, [predictions, hidden].
  const float* run(const SharedRows& packed, Workspace& workspace);
  // Makes room for what the head says of shared_.
  void reserve_outputs();
  void count_saved(const SharedRows& packed);
  // Losses over the head rows of shared_.
  TokenLoss token_loss(TokenTerms& terms);
  LogitLoss divergence_loss(const LossSpec& spec, TokenTerms& terms);

  Backend& backend_;
  const DecoderConfig& config_;
  Weights& weights_;
  Decoder& decoder_;
  Workspace& forward_;
  Workspace& train_;
  int64_t max_batch_tokens_;
  bool share_prefixes_;
  bool has_gradients_ = false;
  int64_t step_ = 0;
  int64_t trained_tokens_ = 0, saved_tokens_ = 0;

  // Reused between micro-batches.
  SharedRows shared_, teacher_;
  std::vector<float> logprobs_, entropies_;  // per head row
  std::vector<float> expanded_[4];           // per token of a chunk: log-prob, entropy and their gradients
  std::vector<double> scales_, values_;
};

}  // namespace siri
