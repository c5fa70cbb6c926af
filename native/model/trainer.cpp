#include "model/trainer.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace siri {

Trainer::Trainer(Backend& backend, const DecoderConfig& config, Weights& weights, Decoder& decoder, Workspace& forward, Workspace& train,
                 int64_t max_batch_tokens, bool share_prefixes)
    : backend_(backend),
      config_(config),
      weights_(weights),
      decoder_(decoder),
      forward_(forward),
      train_(train),
      max_batch_tokens_(max_batch_tokens),
      share_prefixes_(share_prefixes) {}

ScoreResult Trainer::score(const RowSet& rows, const std::atomic<bool>& aborted) {
  const RowPacking packing{.share = share_prefixes_, .max_tokens = max_batch_tokens_};
  ScoreResult result;
  result.logprobs.resize(rows.response_tokens());
  result.entropies.resize(rows.response_tokens());
  for (const RowGroup& group : divide_rows(rows, packing)) {
    if (aborted) throw AbortError();
    pack_rows(rows, group, packing, true, &shared_);
    reserve_outputs();
    const float* hidden = run(shared_, forward_);
    backend_.head_score(hidden, weights_.data(Store::kWeight) + weights_.head(), shared_.target.data(), shared_.sampling.data(),
                        shared_.predictions(), config_.hidden, config_.vocab, logprobs_.data(), entropies_.data());
    for (int64_t k = 0; k < shared_.predictions(); ++k)
      for (int64_t t = shared_.starts[k]; t < shared_.starts[k + 1]; ++t) {
        result.logprobs[shared_.tokens[t]] = logprobs_[k];
        result.entropies[shared_.tokens[t]] = entropies_[k];
      }
    count_saved(shared_);
  }
  return result;
}

void Trainer::reserve_outputs() {
  logprobs_.resize(shared_.target.size());
  entropies_.resize(shared_.target.size());
}

void Trainer::count_saved(const SharedRows& packed) {
  saved_tokens_ += packed.row_tokens - static_cast<int64_t>(packed.batch.tokens.size());
}

const float* Trainer::run(const SharedRows& packed, Workspace& workspace) {
  const float* hidden = decoder_.forward(packed.batch, workspace);
  if (packed.batch.gathered == 0) return hidden;
  backend_.gather_rows(hidden, packed.hidden.data(), packed.predictions(), config_.hidden, workspace.head_hidden);
  return workspace.head_hidden;
}

TokenLoss Trainer::token_loss(TokenTerms& terms) {
  return [this, &terms](int64_t begin, int64_t end, const float* logprob, const float* entropy, float* dlogprob, float* dentropy) {
    // From head rows to the tokens they stand for, and the gradients back.
    const int64_t first = shared_.starts[begin], n = shared_.starts[end] - first;
    for (std::vector<float>& v : expanded_) v.resize(n);
    for (int64_t k = begin; k < end; ++k)
      for (int64_t t = shared_.starts[k]; t < shared_.starts[k + 1]; ++t) {
        expanded_[0][t - first] = logprob[k - begin];
        expanded_[1][t - first] = entropy[k - begin];
      }
    terms.apply(shared_.tokens.data() + first, n, expanded_[0].data(), expanded_[1].data(), expanded_[2].data(), expanded_[3].data());
    for (int64_t k = begin; k < end; ++k) {
      double logprob_sum = 0, entropy_sum = 0;
      for (int64_t t = shared_.starts[k]; t < shared_.starts[k + 1]; ++t) {
        logprob_sum += expanded_[2][t - first];
        entropy_sum += expanded_[3][t - first];
      }
      dlogprob[k - begin] = static_cast<float>(logprob_sum);
      dentropy[k - begin] = static_cast<float>(entropy_sum);
    }
  };
}

LogitLoss Trainer::divergence_loss(const LossSpec& spec, TokenTerms& terms) {
  return [this, &spec, &terms](int64_t begin, int64_t end, const float*, float* logits, const float* teacher_logits) {
    scales_.resize(end - begin);
    values_.resize(end - begin);
    for (int64_t k = begin; k < end; ++k) scales_[k - begin] = spec.scale * terms.coefficient(shared_.tokens[k]);
    backend_.divergence_rows(spec.divergence, scales_.data(), end - begin, config_.vocab, logits, teacher_logits, values_.data());
    for (int64_t k = begin; k < end; ++k) terms.add_divergence(shared_.tokens[k], values_[k - begin]);
  };
}

TrainResult Trainer::train(const RowSet& rows, const LossSpec& spec, const std::atomic<bool>& aborted) {
  const float* head = weights_.data(Store::kWeight) + weights_.head();
  float* dhead = weights_.data(Store::kGradient) + weights_.head();
  const bool distill = spec.kind == LossKind::kDistill;
  const RowPacking packing{
      .with_prompt = spec.kind == LossKind::kWeighted && spec.prompt_coef > 0, .share = share_prefixes_, .max_tokens = max_batch_tokens_};
  TokenTerms terms(rows, spec);
  const int64_t saved_before = saved_tokens_;
  TrainResult result;
  result.logprobs.resize(rows.response_tokens());
  try {
    for (const RowGroup& group : divide_rows(rows, packing)) {
      if (aborted) throw AbortError();
      // Equal predictions of a student may have different teachers.
      pack_rows(rows, group, packing, !distill, &shared_);
      reserve_outputs();
      const int64_t n = shared_.predictions();
      result.total_tokens += static_cast<int64_t>(shared_.batch.tokens.size());
      count_saved(shared_);

      const float* teacher = nullptr;
      if (distill) {
        pack_rows(spec.teacher, group, packing, false, &teacher_);
        result.total_tokens += static_cast<int64_t>(teacher_.batch.tokens.size());
        count_saved(teacher_);
        teacher = run(teacher_, forward_);
      }
      const float* hidden = run(shared_, train_);
      const bool gathered = shared_.batch.gathered > 0;
      float* dhidden = gathered ? train_.head_dhidden : train_.dhidden;
      if (teacher)
        backend_.head_distill(hidden, teacher, head, shared_.target.data(), n, config_.hidden, config_.vocab, divergence_loss(spec, terms),
                              logprobs_.data(), dhidden, dhead);
      else
        backend_.head_train(hidden, head, shared_.target.data(), shared_.sampling.data(), n, config_.hidden, config_.vocab,
                            token_loss(terms), logprobs_.data(), entropies_.data(), dhidden, dhead);
      terms.check_finite();
      if (gathered)
        backend_.sum_rows(dhidden, shared_.users.data(), shared_.user_starts.data(), static_cast<int64_t>(shared_.batch.selected.size()),
                          config_.hidden, train_.dhidden);
      decoder_.backward(shared_.batch, train_);
      for (int64_t k = 0; k < n; ++k)
        for (int64_t t = shared_.starts[k]; t < shared_.starts[k + 1]; ++t)
          if (shared_.tokens[t] != SharedRows::kPromptToken) result.logprobs[shared_.tokens[t]] = logprobs_[k];
    }
  } catch (...) {
    zero_gradients();
    throw;
  }
  has_gradients_ = true;
  trained_tokens_ += result.total_tokens;
  result.saved_tokens = saved_tokens_ - saved_before;
  result.parts = terms.finish();
  return result;
}

UpdateResult Trainer::update(const AdamWOptions& o) {
  if (!has_gradients_)
    throw Error("SIRI_STATE",
                "update() without gradients: nothing was trained since the last update (or the last train() failed); call train() first");
  float* gradient = weights_.data(Store::kGradient);
  const double norm = std::sqrt(backend_.sum_of_squares(gradient, weights_.elements()));
  if (!std::isfinite(norm))
    throw NumericError(
        "the gradient norm is " + std::to_string(norm) +
        "; the weights were left as they were. Call zeroGradients() and train again, with a lower learning rate or checked inputs");
  AdamWStep step{o.lr, o.beta1, o.beta2, o.eps, o.weight_decay, 1.0f, step_ + 1};
  if (o.max_grad_norm > 0) step.gradient_scale = static_cast<float>(std::min(1.0, o.max_grad_norm / (norm + 1e-6)));
  const auto apply = [&](int64_t begin, int64_t end, float decay) {
    step.weight_decay = decay;
    backend_.adamw(weights_.data(Store::kWeight) + begin, gradient + begin, weights_.element(Store::kMoment1, begin),
                   weights_.element(Store::kMoment2, begin), weights_.moments(), begin, end - begin, step);
  };
  apply(0, weights_.matrix_elements(), o.weight_decay);
  apply(weights_.matrix_elements(), weights_.elements(), 0.0f);
  ++step_;
  backend_.weights_changed();
  zero_gradients();
  return {norm, step_};
}

void Trainer::warm_up(int64_t tokens) {
  RowSet rows;
  rows.offsets = rows.response_offsets = {0};
  for (int64_t left = tokens; left > 0;) {
    const int64_t inputs = std::min(left, config_.max_positions - 1);
    for (int64_t i = 0; i <= inputs; ++i) rows.tokens.push_back(static_cast<int32_t>((left + i) % config_.vocab));
    rows.offsets.push_back(static_cast<int64_t>(rows.tokens.size()));
    rows.response_start.push_back(1);
    rows.response_offsets.push_back(rows.response_offsets.back() + inputs);
    rows.sampling.push_back({});
    left -= inputs;
  }
  LossSpec loss;
  loss.kind = LossKind::kWeighted;
  loss.mask = loss.weight = std::vector<float>(rows.response_tokens(), 1.0f);
  const std::atomic<bool> aborted = false;
  train(rows, loss, aborted);
  loss.kind = LossKind::kDistill;
  loss.teacher = rows;
  train(rows, loss, aborted);
  score(rows, aborted);
  zero_gradients();
  trained_tokens_ = saved_tokens_ = 0;
}

void Trainer::zero_gradients() {
  if (weights_.has(Store::kGradient)) backend_.zero(weights_.data(Store::kGradient), weights_.bytes(Store::kGradient));
  has_gradients_ = false;
}

}  // namespace siri
