#include "model/engine.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/rng.h"

namespace siri {
namespace {

constexpr char kWeights[] = "weights", kPositionTables[] = "position tables", kCache[] = "KV cache", kActivations[] = "activations",
               kGradients[] = "gradients", kMoments[] = "AdamW moments";

std::exception_ptr closed_error() {
  return std::make_exception_ptr(
      Error("SIRI_CLOSED", "the policy was closed before this call was done; keep it open until its promises settle"));
}

MemoryPlan make_plan(const Backend& backend, const DecoderConfig& c, size_t cache_bytes, const Weights& weights, Workspace& forward,
                     Workspace& train, int64_t rows) {
  if (c.head_dim > backend.most_head_dim())
    throw Error("SIRI_MODEL_CONFIG", "head_dim is " + std::to_string(c.head_dim) + "; attention on the device " + backend.name() +
                                         " takes at most " + std::to_string(backend.most_head_dim()) + ": run this model with device cpu");
  size_t packed[2] = {};
  for (const bool backward : {false, true}) {
    const auto bytes = [&](int64_t height, int64_t width) { return backend.packed_bytes(height, width, backward); };
    const size_t layer = bytes(c.q_dim(), c.hidden) + bytes(2 * c.kv_dim(), c.hidden) + bytes(c.hidden, c.q_dim()) +
                         bytes(2 * c.intermediate, c.hidden) + bytes(c.hidden, c.intermediate);
    // The gradient of the head packs strip by strip.
    packed[backward] = static_cast<size_t>(c.layers) * layer + (backward ? 0 : bytes(c.vocab, c.hidden));
  }
  return {.weights = weights.bytes(Store::kWeight),
          .position_tables = Decoder::table_bytes(c),
          .kv_cache = KvCache::whole_blocks(c, cache_bytes),
          .gradients = weights.bytes(Store::kGradient),
          .moments = 2 * weights.bytes(Store::kMoment1),
          .forward_activations = forward.bytes(rows, rows, rows),
          .train_activations = train.bytes(rows, rows, rows),
          .packed_weights = packed[0],
          .packed_for_training = packed[1],
          .scratch = 0};
}

}  // namespace

Engine::Engine(std::unique_ptr<Backend> backend, const DecoderConfig& config, const EngineOptions& options)
    : backend_(std::move(backend)),
      config_(config),
      options_(options),
      weights_(config_, options_.moments),
      forward_(*backend_, config_, Workspace::Mode::kForward),
      train_(*backend_, config_, Workspace::Mode::kTrain),
      plan_(make_plan(*backend_, config_, options_.kv_cache_bytes, weights_, forward_, train_, planned_rows())),
      always_(*backend_, {{kWeights, plan_.weights},
                          {kPositionTables, plan_.position_tables},
                          {kCache, plan_.kv_cache},
                          {kActivations, plan_.forward_activations}}),
      training_(*backend_),
      decoder_(*backend_, config_, weights_, always_.part(kPositionTables)),
      cache_(config_, always_.part(kCache), plan_.kv_cache, options.share_prefixes),
      scheduler_(*backend_, config_, weights_, decoder_, forward_, cache_, options.max_batch_tokens),
      trainer_(*backend_, config_, weights_, decoder_, forward_, train_, options.max_batch_tokens, options.share_prefixes) {
  weights_.place(Store::kWeight, always_.part(kWeights));
  forward_.place(always_.part<void>(kActivations), plan_.forward_activations);
  thread_ = std::thread([this] { loop(); });
}

Engine::~Engine() { close(); }

void Engine::submit(std::shared_ptr<Job> job) {
  {
    const std::lock_guard lock(mutex_);
    if (!closed_) {
      queue_.push_back(std::move(job));
      wake_.notify_one();
      return;
    }
  }
  job->done(*job, closed_error());
}

void Engine::begin_close(std::function<void()> ended) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  closed_ = true;
  ended_ = std::move(ended);
  if (current_) current_->aborted = true;  // a train job ends at its next micro-batch
  wake_.notify_one();
}

void Engine::close() {
  begin_close(nullptr);
  if (thread_.joinable()) thread_.join();
}

EngineStats Engine::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void Engine::publish_stats() {
  const size_t scratch = backend_->scratch_bytes();
  const std::lock_guard lock(mutex_);
  scratch_ = scratch;
  stats_ = {scheduler_.stats(), trainer_.trained_tokens(), trainer_.saved_tokens(), weight_version_};
}

MemoryPlan Engine::memory_plan() const {
  MemoryPlan plan = plan_;
  const std::lock_guard lock(mutex_);
  plan.scratch = scratch_;
  return plan;
}

void Engine::prepare_training() {
  if (training_.taken()) return;
  training_.take({{kGradients, plan_.gradients}, {kMoments, plan_.moments}, {kActivations, plan_.train_activations}});
  weights_.place(Store::kGradient, training_.part(kGradients));
  weights_.place(Store::kMoment1, training_.part(kMoments));
  weights_.place(Store::kMoment2, training_.part<char>(kMoments) + weights_.bytes(Store::kMoment1));
  train_.place(training_.part<void>(kActivations), plan_.train_activations);
  if (backend_->wants_warm_up()) trainer_.warm_up(planned_rows());
}

TrainResult Engine::train(const RowSet& rows, const LossSpec& loss, const std::atomic<bool>& aborted) {
  prepare_training();
  return trainer_.train(rows, loss, aborted);
}

void Engine::start_sampling(std::shared_ptr<Job> job) {
  SampleRequest& request = *job->request;
  request.aborted = &job->aborted;
  request.done = [this, raw = job.get()](SampleRequest& finished, bool cancelled) {
    std::shared_ptr<Job> owner;
    {
      const std::lock_guard lock(mutex_);
      const auto it = std::find_if(sampling_.begin(), sampling_.end(), [&](const auto& j) { return j.get() == raw; });
      owner = std::move(*it);
      sampling_.erase(it);
    }
    publish_stats();
    owner->request = std::make_unique<SampleRequest>(std::move(finished));
    owner->done(*owner, cancelled ? std::make_exception_ptr(AbortError()) : nullptr);
  };
  {
    const std::lock_guard lock(mutex_);
    sampling_.push_back(job);
  }
  scheduler_.add(std::move(job->request));
}

void Engine::loop() {
  backend_->enter_thread();
  for (;;) {
    std::shared_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return closed_ || !queue_.empty() || !scheduler_.idle(); });
      if (closed_) break;
      if (!queue_.empty() && !(queue_.front()->changes_weights && !scheduler_.idle())) {
        job = std::move(queue_.front());
        queue_.pop_front();
        current_ = job->request ? nullptr : job;
      }
    }
    if (job && job->request) {
      start_sampling(std::move(job));
      // Take what else has arrived before the next step: more requests make a larger batch.
      const std::lock_guard lock(mutex_);
      if (!queue_.empty() && queue_.front()->request) continue;
    } else if (job) {
      std::exception_ptr error;
      try {
        if (job->aborted) throw AbortError();
        job->run(*job);
      } catch (...) {
        error = std::current_exception();
      }
      {
        const std::lock_guard lock(mutex_);
        current_ = nullptr;
        if (closed_ && error) error = closed_error();
      }
      publish_stats();
      job->done(*job, error);
    }
    if (scheduler_.idle()) continue;
    try {
      scheduler_.step();
    } catch (...) {
      // A step that failed fails every request in it: the error is the device's (memory), not one request's.
      const std::exception_ptr error = std::current_exception();
      scheduler_.drain();
      std::vector<std::shared_ptr<Job>> failed;
      {
        const std::lock_guard lock(mutex_);
        failed.swap(sampling_);
      }
      for (const auto& j : failed) j->done(*j, error);
    }
  }
  scheduler_.drain();
  std::vector<std::shared_ptr<Job>> unfinished;
  {
    const std::lock_guard lock(mutex_);
    unfinished.swap(sampling_);
    unfinished.insert(unfinished.end(), queue_.begin(), queue_.end());
    queue_.clear();
  }
  for (const auto& j : unfinished) j->done(*j, closed_error());
  if (ended_) ended_();
}

void Engine::weights_changed() {
  backend_->weights_changed();
  cache_.invalidate();
  ++weight_version_;
}

UpdateResult Engine::update(const AdamWOptions& options) {
  const UpdateResult result = trainer_.update(options);
  weights_changed();
  return result;
}

void Engine::read(Store store, const std::string& name, float* out) {
  const TensorInfo& t = weights_.find(name);
  weights_.read(*backend_, store, t.offset, t.size, out);
}

void Engine::write(Store store, const std::string& name, const float* data) {
  const TensorInfo& t = weights_.find(name);
  if (store != Store::kWeight) prepare_training();
  weights_.write(*backend_, store, t.offset, t.size, data);
  if (store == Store::kWeight) weights_changed();
}

void Engine::write_file(const std::string& path, std::string header, const std::vector<FileTensor>& tensors, FileType type) {
  const std::string placeholder = "\"step\":\"" + std::string(20, '0') + "\"";
  if (const size_t at = header.find(placeholder); at != std::string::npos) {
    const std::string digits = std::to_string(trainer_.step());
    header.replace(at + placeholder.size() - 1 - digits.size(), digits.size(), digits);
  }
  write_tensor_file(*backend_, weights_, path, header, tensors, type);
}

void Engine::initialise(uint64_t seed, double deviation) {
  std::vector<float> values;
  uint64_t stream = 0;
  for (const TensorInfo& t : weights_.tensors()) {
    values.assign(t.size, t.name.ends_with("norm.weight") ? 1.0f : 0.0f);
    if (t.shape.size() == 2)
      for (int64_t i = 0; i < t.size; i += 2) {
        // Box-Muller: two uniforms make two normals.
        const double radius = deviation * std::sqrt(-2.0 * std::log1p(-uniform(seed, stream, static_cast<uint64_t>(i))));
        const double angle = 2.0 * std::numbers::pi * uniform(seed, stream, static_cast<uint64_t>(i) + 1);
        values[i] = static_cast<float>(radius * std::cos(angle));
        if (i + 1 < t.size) values[i + 1] = static_cast<float>(radius * std::sin(angle));
      }
    ++stream;
    weights_.write(*backend_, Store::kWeight, t.offset, t.size, values.data());
  }
  weights_changed();
}

}  // namespace siri
