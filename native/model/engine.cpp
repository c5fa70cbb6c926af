#include "model/engine.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/rng.h"

namespace siri {
namespace {

std::exception_ptr closed_error() {
  return std::make_exception_ptr(
      Error("SIRI_CLOSED", "the policy was closed before this call was done; keep it open until its promises settle"));
}

}  // namespace

Engine::Engine(std::unique_ptr<Backend> backend, const DecoderConfig& config, const EngineOptions& options)
    : backend_(std::move(backend)),
      config_(config),
      options_(options),
      weights_(*backend_, config_),
      decoder_(*backend_, config_, weights_),
      forward_(*backend_, config_, Workspace::Mode::kForward),
      train_(*backend_, config_, Workspace::Mode::kTrain),
      cache_(*backend_, config_, options.kv_cache_bytes, options.share_prefixes),
      scheduler_(*backend_, config_, weights_, decoder_, forward_, cache_, options.max_batch_tokens),
      trainer_(*backend_, config_, weights_, decoder_, forward_, train_, options.max_batch_tokens, options.share_prefixes),
      thread_([this] { loop(); }) {}

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
  const std::lock_guard lock(mutex_);
  stats_ = {scheduler_.stats(), trainer_.trained_tokens(), trainer_.saved_tokens(), weight_version_};
}

MemoryPlan Engine::memory_plan() {
  const size_t buffer = static_cast<size_t>(weights_.elements()) * sizeof(float);
  const int64_t n = options_.max_batch_tokens;
  size_t packed[2] = {};
  const DecoderConfig& c = config_;
  for (const bool backward : {false, true}) {
    const auto bytes = [&](int64_t rows, int64_t columns) { return backend_->packed_bytes(rows, columns, backward); };
    const size_t layer = bytes(c.q_dim(), c.hidden) + bytes(2 * c.kv_dim(), c.hidden) + bytes(c.hidden, c.q_dim()) +
                         bytes(2 * c.intermediate, c.hidden) + bytes(c.hidden, c.intermediate);
    packed[backward] = static_cast<size_t>(c.layers) * layer + (backward ? 0 : bytes(c.vocab, c.hidden));  // head_train packs by strips
  }
  return {buffer, cache_.bytes(), buffer, 2 * buffer, forward_.bytes(n, n, n), train_.bytes(n, n, n), packed[0], packed[1]};
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
  if (!weights_.has(store)) {
    std::fill_n(out, t.size, 0.0f);
    return;
  }
  backend_->download(out, weights_.data(store) + t.offset, static_cast<size_t>(t.size) * sizeof(float));
}

void Engine::write(Store store, const std::string& name, const float* data) {
  const TensorInfo& t = weights_.find(name);
  weights_.ensure(store);
  backend_->upload(weights_.data(store) + t.offset, data, static_cast<size_t>(t.size) * sizeof(float));
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
    backend_->upload(weights_.data(Store::kWeight) + t.offset, values.data(), static_cast<size_t>(t.size) * sizeof(float));
  }
  weights_changed();
}

}  // namespace siri
