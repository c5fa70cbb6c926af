// One policy: weights, cache, scheduler and trainer, driven by one thread of its own. Jobs are taken in the order of submission;
// sampling requests then run side by side, and between two of their steps the next score or train job runs. A job that changes
// weights (update, set tensor) waits until the requests submitted before it are done, and everything after it waits for it.
// Knows nothing of JavaScript.
#pragma once
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "model/arena.h"
#include "model/scheduler.h"
#include "model/tensor_file.h"
#include "model/trainer.h"

namespace siri {

struct EngineOptions {
  int64_t max_batch_tokens = 1024;  // rows of one forward pass; a longer row gets a pass of its own
  int64_t max_row_tokens = 0;       // the longest row that memory is planned for, when it is longer than that
  size_t kv_cache_bytes = size_t{512} << 20;
  Moments moments = Moments::kFloat32;
  bool share_prefixes = true;  // compute once what prompts and rows begin with in common; false only to compare
};

// Bytes by purpose. Weights, position tables, cache and forward activations are taken together when the engine is made; gradients,
// moments and training activations together by prepare_training(); what is packed and scratch by the operations that need it.
struct MemoryPlan {
  size_t weights, position_tables, kv_cache, gradients, moments, forward_activations, train_activations;
  size_t packed_weights, packed_for_training;  // the device's copies of the weights, by direction
  size_t scratch;                              // Backend::scratch_bytes, so far
};

struct EngineStats {
  SchedulerStats sampling;
  int64_t trained_tokens = 0;
  int64_t saved_tokens = 0;  // Trainer::saved_tokens
  int64_t weight_version = 0;
};

class Engine {
 public:
  // Work for the engine's thread. `run` throws to fail the job; `done` is called exactly once, on the engine's thread (or on the
  // submitting thread after close()), with the failure or null.
  struct Job {
    std::function<void(Job& job)> run;       // empty for sampling
    std::unique_ptr<SampleRequest> request;  // sampling only; given back before done
    bool changes_weights = false;
    std::atomic<bool> aborted = false;
    std::function<void(Job& job, std::exception_ptr error)> done;
  };

  // Throws MemoryError naming every part of the plan when the device has too little.
  Engine(std::unique_ptr<Backend> backend, const DecoderConfig& config, const EngineOptions& options);
  ~Engine();

  void submit(std::shared_ptr<Job> job);
  // Fails everything unfinished with SIRI_CLOSED and ends the thread; `ended` (or nothing) is its last act. Later calls do nothing.
  void begin_close(std::function<void()> ended);
  // begin_close and wait. Idempotent; not from the engine's thread.
  void close();

  const DecoderConfig& config() const { return config_; }
  const Weights& weights() const { return weights_; }
  MemoryPlan memory_plan() const;
  EngineStats stats() const;
  int64_t cache_tokens() const { return cache_.capacity_tokens(); }

  // For jobs, on the engine's thread.
  Trainer& trainer() { return trainer_; }
  // Takes the memory of training, so that too little is an error now; and where the device asks for it runs a pass over a full batch.
  // Done once; train() and writes of moments do it where nobody did. Throws MemoryError.
  void prepare_training();
  TrainResult train(const RowSet& rows, const LossSpec& loss, const std::atomic<bool>& aborted);
  void read(Store store, const std::string& name, float* out);          // zeros when the store was never written
  void write(Store store, const std::string& name, const float* data);  // weights and moments
  // A step of twenty zeros in the header becomes the optimiser's step count.
  void write_file(const std::string& path, std::string header, const std::vector<FileTensor>& tensors, FileType type);
  // Normal(0, deviation) matrices, norm weights 1, biases 0: a function of the seed alone.
  void initialise(uint64_t seed, double deviation);
  UpdateResult update(const AdamWOptions& options);

 private:
  void loop();
  void start_sampling(std::shared_ptr<Job> job);
  void weights_changed();
  void publish_stats();
  int64_t planned_rows() const { return std::max(options_.max_batch_tokens, options_.max_row_tokens); }

  std::unique_ptr<Backend> backend_;
  DecoderConfig config_;
  EngineOptions options_;
  Weights weights_;
  Workspace forward_, train_;
  MemoryPlan plan_;
  Arena always_, training_;
  Decoder decoder_;
  KvCache cache_;
  Scheduler scheduler_;
  Trainer trainer_;
  int64_t weight_version_ = 0;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> queue_;
  std::vector<std::shared_ptr<Job>> sampling_;  // started and unfinished
  EngineStats stats_;
  size_t scratch_ = 0;
  std::atomic<bool> closed_ = false;
  std::shared_ptr<Job> current_;
  std::function<void()> ended_;
  std::thread thread_;
};

}  // namespace siri
