#include "model/trainer.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace siri {

Trainer::Trainer(Backend& backend, const DecoderConfig& config, Weights& weights, Decoder& decoder, Workspace& forward, Workspace& train,
                 int64_t max_batch_tokens)
    : backend_(backend),
      config_(config),
      weights_(weights),
      decoder_(decoder),
      forward_(forward),
      train_(train),
      max_batch_tokens_(max_batch_tokens) {}

// The last token of a row is never an input: nothing is predicted from it.
int64_t Trainer::pack(const RowSet& rows, int64_t first, bool with_prompt) {
  batch_.clear();
  int64_t row = first;
  for (; row < rows.count(); ++row) {
    const int64_t inputs = rows.length(row) - 1;
    const int64_t selected = with_prompt ? inputs : rows.response_length(row);
    if (selected == 0) continue;
    if (!batch_.tokens.empty() && static_cast<int64_t>(batch_.tokens.size()) + inputs > max_batch_tokens_) break;
    batch_.add(rows.data(row), inputs, 0, selected, nullptr);
  }
  return row;
}

void Trainer::collect_targets(const RowSet& rows, int64_t first, int64_t last, bool with_prompt) {
  targets_.clear();
  sampling_.clear();
  for (int64_t row = first; row < last; ++row)
    for (int64_t p = with_prompt ? 1 : rows.response_start[row]; p < rows.length(row); ++p) {
      targets_.push_back(rows.data(row)[p]);
      sampling_.push_back(p < rows.response_start[row] ? RowSampling{} : rows.sampling[row]);
    }
  logprobs_.resize(targets_.size());
  entropies_.resize(targets_.size());
}

ScoreResult Trainer::score(const RowSet& rows, const std::atomic<bool>& aborted) {
  ScoreResult result;
  for (int64_t row = 0; row < rows.count();) {
    if (aborted) throw AbortError();
    const int64_t last = pack(rows, row, false);
    collect_targets(rows, row, last, false);
    row = last;
    const float* hidden = decoder_.forward(batch_, forward_);
    if (!hidden) continue;
    backend_.head_score(hidden, weights_.data(Store::kWeight) + weights_.head(), targets_.data(), sampling_.data(),
                        static_cast<int64_t>(targets_.size()), config_.hidden, config_.vocab, logprobs_.data(), entropies_.data());
    result.logprobs.insert(result.logprobs.end(), logprobs_.begin(), logprobs_.end());
    result.entropies.insert(result.entropies.end(), entropies_.begin(), entropies_.end());
  }
  return result;
}

TrainResult Trainer::train(const RowSet& rows, const LossSpec& spec, const std::atomic<bool>& aborted) {
  weights_.ensure(Store::kGradient);
  const float* head = weights_.data(Store::kWeight) + weights_.head();
  float* dhead = weights_.data(Store::kGradient) + weights_.head();
  const bool with_prompt = spec.kind == LossKind::kWeighted && spec.prompt_coef > 0;
  TokenTerms terms(rows, spec);
  TrainResult result;
  std::vector<int64_t> index;
  std::vector<double> scales, values;
  int64_t response = 0;  // response tokens before this micro-batch
  try {
    for (int64_t row = 0; row < rows.count();) {
      if (aborted) throw AbortError();
      const int64_t last = pack(rows, row, with_prompt);
      collect_targets(rows, row, last, with_prompt);
      const auto n = static_cast<int64_t>(targets_.size());
      index.clear();
      for (int64_t r = row; r < last; ++r) {
        if (with_prompt) index.insert(index.end(), rows.response_start[r] - 1, TokenTerms::kPrompt);
        for (int64_t i = 0; i < rows.response_length(r); ++i) index.push_back(response++);
      }
      const int64_t first = row;
      row = last;
      if (n == 0) continue;
      result.total_tokens += static_cast<int64_t>(batch_.tokens.size());

      const float* teacher = nullptr;
      if (spec.kind == LossKind::kDistill) {
        teacher_.clear();
        for (int64_t r = first; r < last; ++r)
          teacher_.add(spec.teacher.data(r), spec.teacher.length(r) - 1, 0, rows.response_length(r), nullptr);
        result.total_tokens += static_cast<int64_t>(teacher_.tokens.size());
        teacher = decoder_.forward(teacher_, forward_);
      }
      const float* hidden = decoder_.forward(batch_, train_);
      if (teacher) {
        const LogitLoss loss = [&](int64_t begin, int64_t end, const float*, float* logits, const float* teacher_logits) {
          scales.resize(end - begin);
          values.resize(end - begin);
          for (int64_t i = begin; i < end; ++i) scales[i - begin] = spec.scale * terms.coefficient(index[i]);
          backend_.divergence_rows(spec.divergence, scales.data(), end - begin, config_.vocab, logits, teacher_logits, values.data());
          for (int64_t i = begin; i < end; ++i) terms.add_divergence(index[i], values[i - begin]);
        };
        backend_.head_distill(hidden, teacher, head, targets_.data(), n, config_.hidden, config_.vocab, loss, logprobs_.data(),
                              train_.dhidden, dhead);
      } else {
        const TokenLoss loss = [&](int64_t begin, int64_t end, const float* logprob, const float* entropy, float* dlogprob,
                                   float* dentropy) {
          terms.apply(index.data() + begin, end - begin, logprob, entropy, dlogprob, dentropy);
        };
        backend_.head_train(hidden, head, targets_.data(), sampling_.data(), n, config_.hidden, config_.vocab, loss, logprobs_.data(),
                            entropies_.data(), train_.dhidden, dhead);
      }
      terms.check_finite();
      decoder_.backward(batch_, train_);
      for (int64_t i = 0; i < n; ++i)
        if (index[i] != TokenTerms::kPrompt) result.logprobs.push_back(logprobs_[i]);
    }
  } catch (...) {
    zero_gradients();
    throw;
  }
  has_gradients_ = true;
  trained_tokens_ += result.total_tokens;
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
  weights_.ensure(Store::kMoment1);
  weights_.ensure(Store::kMoment2);
  AdamWStep step{o.lr, o.beta1, o.beta2, o.eps, o.weight_decay, 1.0f, step_ + 1};
  if (o.max_grad_norm > 0) step.gradient_scale = static_cast<float>(std::min(1.0, o.max_grad_norm / (norm + 1e-6)));
  const auto apply = [&](int64_t begin, int64_t end, float decay) {
    step.weight_decay = decay;
    backend_.adamw(weights_.data(Store::kWeight) + begin, gradient + begin, weights_.data(Store::kMoment1) + begin,
                   weights_.data(Store::kMoment2) + begin, end - begin, step);
  };
  apply(0, weights_.matrix_elements(), o.weight_decay);
  apply(weights_.matrix_elements(), weights_.elements(), 0.0f);
  ++step_;
  backend_.weights_changed();
  zero_gradients();
  return {norm, step_};
}

void Trainer::zero_gradients() {
  if (weights_.has(Store::kGradient))
    backend_.zero(weights_.data(Store::kGradient), static_cast<size_t>(weights_.elements()) * sizeof(float));
  has_gradients_ = false;
}

}  // namespace siri
