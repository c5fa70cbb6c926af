#include "model/scheduler.h"

#include <algorithm>
#include <unordered_set>

namespace siri {

Scheduler::Scheduler(Backend& backend, const DecoderConfig& config, Weights& weights, Decoder& decoder, Workspace& workspace,
                     KvCache& cache, int64_t max_batch_tokens)
    : backend_(backend),
      config_(config),
      weights_(weights),
      decoder_(decoder),
      workspace_(workspace),
      cache_(cache),
      max_batch_tokens_(max_batch_tokens) {}

void Scheduler::step() {
  cancel_aborted();
  admit();
  if (running_.empty()) return;
  build_batch();
  const float* hidden = decoder_.forward(batch_, workspace_);
  for (auto& r : running_) {
    if (r->rows == 0) continue;
    const auto prompt = static_cast<int64_t>(r->request->prompt.size());
    stats_.prefill_tokens += std::clamp<int64_t>(prompt - r->cached.length(), 0, r->rows);
    cache_.advance(&r->cached, r->tokens.data(), r->rows);
  }
  if (hidden) draw(hidden);
}

void Scheduler::finish(std::unique_ptr<Running> r, bool cancelled) {
  cache_.close(&r->cached);
  r->request->done(*r->request, cancelled);
}

void Scheduler::cancel_aborted() {
  const auto flagged = [](const SampleRequest& r) { return r.aborted && r.aborted->load(std::memory_order_relaxed); };
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    if (!flagged(**it)) {
      ++it;
      continue;
    }
    const std::unique_ptr<SampleRequest> request = std::move(*it);
    it = waiting_.erase(it);
    request->done(*request, true);
  }
  for (auto& r : running_)
    if (flagged(*r->request)) finish(std::move(r), true);
  std::erase(running_, nullptr);
}

// First come, first served while memory lasts. A prompt whose next block is being computed by another prompt waits for it: the
// members of a group share one prefill.
void Scheduler::admit() {
  std::unordered_set<KvCache::Key, KvCache::KeyHash> in_progress;
  KvCache::Key key;
  const auto note = [&](const std::vector<int32_t>& prompt) {
    if (cache_.first_missing(prompt.data(), static_cast<int64_t>(prompt.size()), &key)) in_progress.insert(key);
  };
  int64_t budget = max_batch_tokens_;
  for (const auto& r : running_) {
    const auto missing = static_cast<int64_t>(r->tokens.size()) - r->cached.length();
    budget -= missing;
    if (missing > 1) note(r->request->prompt);
  }
  for (auto it = waiting_.begin(); it != waiting_.end() && budget > 0;) {
    const std::vector<int32_t>& prompt = (*it)->prompt;
    const auto count = static_cast<int64_t>(prompt.size());
    if (cache_.first_missing(prompt.data(), count, &key) && in_progress.contains(key)) {
      ++it;
      continue;
    }
    auto r = std::make_unique<Running>();
    // The last new token is never run through the model.
    if (!cache_.open(prompt.data(), count, count + (*it)->max_tokens - 1, &r->cached)) break;
    r->request = std::move(*it);
    it = waiting_.erase(it);
    r->tokens = r->request->prompt;
    r->tokens.reserve(r->tokens.size() + r->request->max_tokens);
    stats_.prefill_tokens_saved += r->cached.length();
    budget -= count - r->cached.length();
    note(r->request->prompt);
    running_.push_back(std::move(r));
  }
}

// Sequences that decode go first, then prompts in order of arrival, cut where the batch is full.
void Scheduler::build_batch() {
  batch_.clear();
  drawing_.clear();
  int64_t budget = max_batch_tokens_;
  for (const bool decoding : {true, false})
    for (auto& r : running_) {
      const auto missing = static_cast<int64_t>(r->tokens.size()) - r->cached.length();
      if ((missing == 1) != decoding) continue;
      r->rows = std::min(missing, budget);
      if (r->rows == 0) continue;
      budget -= r->rows;
      cache_.extend(&r->cached, r->rows);
      const bool complete = r->rows == missing;
      batch_.add(r->tokens.data() + r->cached.length(),
                 {.rows = r->rows, .past = r->cached.length(), .selected = complete ? 1 : 0, .pages = &r->cached.pages()});
      if (complete) drawing_.push_back(r.get());
    }
  batch_.select();
}

void Scheduler::draw(const float* hidden) {
  const auto n = static_cast<int64_t>(drawing_.size());
  sampling_.clear();
  seeds_.clear();
  positions_.clear();
  for (const Running* r : drawing_) {
    sampling_.push_back(r->request->sampling);
    seeds_.push_back(r->request->seed);
    positions_.push_back(r->tokens.size());
  }
  drawn_.resize(n);
  logprobs_.resize(n);
  backend_.head_sample(hidden, weights_.data(Store::kWeight) + weights_.head(), sampling_.data(), seeds_.data(), positions_.data(), n,
                       config_.hidden, config_.vocab, drawn_.data(), logprobs_.data());
  stats_.sampled_tokens += n;
  std::unordered_set<const Running*> ended;
  for (int64_t i = 0; i < n; ++i) {
    Running& r = *drawing_[i];
    SampleRequest& q = *r.request;
    r.tokens.push_back(drawn_[i]);
    q.tokens.push_back(drawn_[i]);
    q.logprobs.push_back(logprobs_[i]);
    q.stopped = std::find(q.stop.begin(), q.stop.end(), drawn_[i]) != q.stop.end();
    if (q.stopped || static_cast<int64_t>(q.tokens.size()) == q.max_tokens) ended.insert(&r);
  }
  if (ended.empty()) return;
  for (auto& r : running_)
    if (ended.contains(r.get())) finish(std::move(r), false);
  std::erase(running_, nullptr);
}

std::vector<std::unique_ptr<SampleRequest>> Scheduler::drain() {
  std::vector<std::unique_ptr<SampleRequest>> all;
  for (auto& r : running_) {
    cache_.close(&r->cached);
    all.push_back(std::move(r->request));
  }
  for (auto& w : waiting_) all.push_back(std::move(w));
  running_.clear();
  waiting_.clear();
  return all;
}

}  // namespace siri
