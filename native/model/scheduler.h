// Continuous batching: every step runs one forward pass over one new token of each running sequence plus pieces of waiting
// prompts, and draws one token for every sequence whose prompt is complete. Requests arrive at any time and leave when done.
// What is drawn for a request depends on its prompt, settings, seed and the weights only.
// Knows nothing of threads: the engine calls it.
#pragma once
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "model/decoder.h"
#include "model/kv_cache.h"

namespace siri {

struct SampleRequest {
  std::vector<int32_t> prompt;
  int64_t max_tokens = 1;
  RowSampling sampling;  // temperature 0: arg max
  uint64_t seed = 0;
  std::vector<int32_t> stop;
  std::atomic<bool>* aborted = nullptr;
  // Called once: stopped = ended by a stop token. `cancelled` = the abort flag was seen.
  std::function<void(SampleRequest& request, bool cancelled)> done;
  // Filled in.
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;
  bool stopped = false;
};

struct SchedulerStats {
  int64_t sampled_tokens = 0;
  int64_t prefill_tokens = 0;        // prompt tokens run through the model
  int64_t prefill_tokens_saved = 0;  // prompt tokens found in the cache
};

class Scheduler {
 public:
  Scheduler(Backend& backend, const DecoderConfig& config, Weights& weights, Decoder& decoder, Workspace& workspace, KvCache& cache,
            int64_t max_batch_tokens);

  void add(std::unique_ptr<SampleRequest> request) { waiting_.push_back(std::move(request)); }
  bool idle() const { return waiting_.empty() && running_.empty(); }
  void step();
  // Ends everything that waits or runs: done is not called.
  std::vector<std::unique_ptr<SampleRequest>> drain();
  const SchedulerStats& stats() const { return stats_; }

 private:
  struct Running {
    std::unique_ptr<SampleRequest> request;
    std::vector<int32_t> tokens;  // prompt and new tokens
    CachedSequence cached;
    int64_t rows = 0;  // of this step
  };
  void cancel_aborted();
  void admit();
  void build_batch();
  void draw(const float* hidden);
  void finish(std::unique_ptr<Running> sequence, bool cancelled);

  Backend& backend_;
  const DecoderConfig& config_;
  Weights& weights_;
  Decoder& decoder_;
  Workspace& workspace_;
  KvCache& cache_;
  int64_t max_batch_tokens_;
  std::deque<std::unique_ptr<SampleRequest>> waiting_;
  std::vector<std::unique_ptr<Running>> running_;
  SchedulerStats stats_;

  // Reused between steps.
  PackedBatch batch_;
  std::vector<Running*> drawing_;
  std::vector<RowSampling> sampling_;
  std::vector<uint64_t> seeds_, positions_;
  std::vector<int32_t> drawn_;
  std::vector<float> logprobs_;
};

}  // namespace siri
