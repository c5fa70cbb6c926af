// One policy: weights, cache, scheduler and trainer, driven by one thread of its own. Jobs are taken in the order of submission;
// sampling requests then run side by side, and between two of their steps the next score or train job runs. A job that changes
// weights (update, set tensor) waits until the requests submitted before it are done, and everything after it waits for it.
// Knows nothing of JavaScript.
#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "model/scheduler.h"
#include "model/tensor_file.h"
#include "model/trainer.h"

namespace siri {

struct EngineOptions {
  int64_t max_batch_tokens = 1024;  // rows of one forward pass; a longer row gets a pass of its own
  size_t kv_cache_bytes = size_t{512} << 20;
  bool share_prefixes = true;  // compute once what prompts and rows begin with in common; false only to compare
};

// Bytes by purpose. Training memory (gradients, moments, packed_for_training, train_activations) is taken at the first train() and
// update().
struct MemoryPlan {
  size_t weights, kv_cache, gradients, moments, forward_activations, train_activations;
  size_t packed_weights, packed_for_training;  // the device's copies of the weights, by direction
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

  Engine(std::unique_ptr<Backend> backend, const DecoderConfig& config, const EngineOptions& options);
  ~Engine();

  void submit(std::shared_ptr<Job> job);
  // Fails everything unfinished with SIRI_CLOSED and ends the thread; `ended` (or nothing) is its last act. Later calls do nothing.
  void begin_close(std::function<void()> ended);
  // begin_close and wait. Idempotent; not from the engine's thread.
  void close();

  const DecoderConfig& config() const { return config_; }
  const Weights& weights() const { return weights_; }
  MemoryPlan memory_plan();  // before the first job
  EngineStats stats() const;
  int64_t cache_tokens() const { return cache_.capacity_tokens(); }

  // For jobs, on the engine's thread.
  Trainer& trainer() { return trainer_; }
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

  std::unique_ptr<Backend> backend_;
  DecoderConfig config_;
  EngineOptions options_;
  Weights weights_;
  Decoder decoder_;
  Workspace forward_, train_;
  KvCache cache_;
  Scheduler scheduler_;
  Trainer trainer_;
  int64_t weight_version_ = 0;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> queue_;
  std::vector<std::shared_ptr<Job>> sampling_;  // started and unfinished
  EngineStats stats_;
  std::atomic<bool> closed_ = false;
  std::shared_ptr<Job> current_;
  std::function<void()> ended_;
  std::thread thread_;
};

}  // namespace siri
