// The whole engine on a device beside the CPU's: replies, log-probs, gradients, and weights after optimiser steps with all three kinds of
// loss. An element of a result may be as far from the CPU's as an operation's from its twin: 1e-5.
#include "model/engine.h"

#include <algorithm>
#include <future>

#include "check/check.h"
#include "check/data.h"
#include "check/separated_backend.h"
#include "cpu/cpu_backend.h"

namespace siri::check {
namespace {

struct Model {
  const char* name;
  DecoderConfig config;
};

std::vector<Model> models() {
  DecoderConfig c;
  c.layers = 2;
  c.hidden = 40;
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = 32;
  c.intermediate = 56;
  c.vocab = 67;
  c.max_positions = 96;
  c.rms_eps = 1e-6f;
  Model qwen2{"qwen2", c}, qwen3{"qwen3", c}, llama{"llama", c};
  qwen2.config.tied = qwen2.config.qkv_bias = true;
  qwen3.config.qk_norm = true;
  qwen3.config.heads = 2;
  qwen3.config.kv_heads = 1;
  llama.config.layers = 1;
  llama.config.kv_heads = 4;
  llama.config.rope = {
      .theta = 1000, .llama3 = true, .factor = 4, .low_freq_factor = 1, .high_freq_factor = 4, .original_max_positions = 24};
  return {qwen2, qwen3, llama};
}

// An engine that is asked one thing after the other.
class Session {
 public:
  Session(std::unique_ptr<Backend> device, const DecoderConfig& config, bool share)
      : engine_(std::move(device), config, {.max_batch_tokens = 64, .kv_cache_bytes = size_t{1} << 20, .share_prefixes = share}) {}

  // Runs `work` on the engine's thread; throws what it throws.
  template <class Work>
  void run(bool changes_weights, const Work& work) {
    auto job = std::make_shared<Engine::Job>();
    job->changes_weights = changes_weights;
    job->run = [&](Engine::Job& self) { work(engine_, self); };
    submit(job).get();
  }

  std::vector<SampleRequest> sample(const std::vector<SampleRequest>& asked) {
    std::vector<std::shared_ptr<Engine::Job>> jobs;
    std::vector<std::future<void>> done;
    for (const SampleRequest& request : asked) {
      jobs.push_back(std::make_shared<Engine::Job>());
      jobs.back()->request = std::make_unique<SampleRequest>(request);
      done.push_back(submit(jobs.back()));
    }
    std::vector<SampleRequest> replies;
    for (size_t i = 0; i < jobs.size(); ++i) {
      done[i].get();
      replies.push_back(*jobs[i]->request);
    }
    return replies;
  }

  std::vector<float> read(Store store) {
    std::vector<float> all;
    run(false, [&](Engine& e, Engine::Job&) {
      for (const TensorInfo& t : e.weights().tensors()) {
        all.resize(all.size() + t.size);
        e.read(store, t.name, all.data() + all.size() - t.size);
      }
    });
    return all;
  }

  Engine& engine() { return engine_; }

 private:
  std::future<void> submit(const std::shared_ptr<Engine::Job>& job) {
    auto promise = std::make_shared<std::promise<void>>();
    job->done = [promise](Engine::Job&, std::exception_ptr error) {
      if (error)
        promise->set_exception(error);
      else
        promise->set_value();
    };
    engine_.submit(job);
    return promise->get_future();
  }

  Engine engine_;
};

// Prompts that begin alike, in every shape of distribution.
std::vector<SampleRequest> requests(const DecoderConfig& c) {
  Random random(11, 3);
  const std::vector<int32_t> stem = random.integers(35, c.vocab);
  const RowSampling shapes[] = {{1, 0, 1}, {0.7f, 0, 1}, {1.3f, 20, 1}, {1, 0, 0.9f}, {0.9f, 30, 0.8f}, {0, 0, 1}};
  std::vector<SampleRequest> all;
  for (int i = 0; i < 8; ++i) {
    SampleRequest r;
    r.prompt.assign(stem.begin(), stem.begin() + (i % 4 == 3 ? 1 : 35 - i % 3));
    if (i > 1)
      for (int32_t t : random.integers(1 + i % 5, c.vocab)) r.prompt.push_back(t);
    r.max_tokens = 2 + i % 5;
    r.sampling = shapes[i % 6];
    r.seed = 100 + i;
    all.push_back(std::move(r));
  }
  return all;
}

RowSet rows_of(const std::vector<SampleRequest>& replies, int64_t prompt_tokens_left_out = 0) {
  RowSet rows;
  rows.offsets = rows.response_offsets = {0};
  for (const SampleRequest& r : replies) {
    const auto left_out = std::min<int64_t>(prompt_tokens_left_out, static_cast<int64_t>(r.prompt.size()) - 1);
    rows.tokens.insert(rows.tokens.end(), r.prompt.begin() + left_out, r.prompt.end());
    rows.tokens.insert(rows.tokens.end(), r.tokens.begin(), r.tokens.end());
    rows.offsets.push_back(static_cast<int64_t>(rows.tokens.size()));
    rows.response_start.push_back(static_cast<int32_t>(static_cast<int64_t>(r.prompt.size()) - left_out));
    rows.response_offsets.push_back(rows.response_offsets.back() + static_cast<int64_t>(r.tokens.size()));
    rows.sampling.push_back(r.sampling);
    if (rows.sampling.back().temperature == 0) rows.sampling.back().temperature = 1;
  }
  return rows;
}

std::vector<LossSpec> losses(const std::vector<SampleRequest>& replies, const RowSet& rows) {
  Random random(12, 4);
  const int64_t n = rows.response_tokens();
  LossSpec policy, weighted, distill;
  policy.mask = weighted.mask = weighted.weight = distill.weight = std::vector<float>(n, 1.0f);
  for (int64_t i = 0; i < n; ++i) {
    policy.mask[i] = i % 7 == 3 ? 0.0f : 1.0f;
    distill.weight[i] = 0.5f + static_cast<float>(random.uniform());
  }
  policy.advantage = random.normals(n);
  for (const SampleRequest& r : replies) policy.old_logprob.insert(policy.old_logprob.end(), r.logprobs.begin(), r.logprobs.end());
  policy.ref_logprob = policy.old_logprob;
  for (float& x : policy.ref_logprob) x += random.normal(0.1f);
  policy.policy = {0.2, 0.2, 3.0, 0.05, 0.01};
  weighted.kind = LossKind::kWeighted;
  weighted.prompt_coef = 0.3;
  weighted.scale = 0.5;
  distill.kind = LossKind::kDistill;
  distill.teacher = rows_of(replies, 5);
  distill.divergence = {DivergenceSpec::Kind::kJsd, 0.3, 0.8};
  distill.scale = 0.7;
  return {policy, weighted, distill};
}

struct Trace {
  std::vector<int32_t> tokens;                                                        // of all replies, end to end
  std::vector<float> sampled, scored, trained, entropies, gradients, norms, weights;  // log-probs three times
  int64_t saved_prompt_tokens = 0;

  Outputs<float> outputs() const { return {sampled, scored, entropies, trained, gradients, norms, weights}; }
};

// `given`: replies to score and train on instead of the device's own.
Trace trace(std::unique_ptr<Backend> device, const DecoderConfig& config, bool share, const std::vector<SampleRequest>* given,
            std::vector<SampleRequest>* replies) {
  Session session(std::move(device), config, share);
  Trace t;
  session.run(true, [&](Engine& e, Engine::Job&) {
    e.initialise(5, 0.15);
    Random random(13, 5);
    for (const TensorInfo& info : e.weights().tensors()) {  // norms and biases that are not all alike
      if (info.shape.size() == 2) continue;
      std::vector<float> values(info.size);
      for (float& x : values) x = (info.name.ends_with("norm.weight") ? 1.0f : 0.0f) + random.normal(0.2f);
      e.write(Store::kWeight, info.name, values.data());
    }
  });
  *replies = session.sample(requests(config));
  session.sample(requests(config));  // now from the cache
  t.saved_prompt_tokens = session.engine().stats().sampling.prefill_tokens_saved;
  for (const SampleRequest& r : *replies) {
    t.tokens.insert(t.tokens.end(), r.tokens.begin(), r.tokens.end());
    t.sampled.insert(t.sampled.end(), r.logprobs.begin(), r.logprobs.end());
  }
  const std::vector<SampleRequest>& used = given != nullptr ? *given : *replies;
  const RowSet sampled_rows = rows_of(used);
  // What topK and topP cut off is another set after a step, and a token that is not in it has no finite loss.
  RowSet rows = sampled_rows;
  for (RowSampling& s : rows.sampling) s = {s.temperature, 0, 1.0f};
  const std::vector<LossSpec> kinds = losses(used, rows);
  session.run(false, [&](Engine& e, Engine::Job& job) {
    const ScoreResult scored = e.trainer().score(sampled_rows, job.aborted);
    t.scored = scored.logprobs;
    t.entropies = scored.entropies;
  });
  for (int step = 0; step < 3; ++step) {
    session.run(false, [&](Engine& e, Engine::Job& job) {
      if (step == 0) t.trained = e.train(sampled_rows, kinds[0], job.aborted).logprobs;
      for (const LossSpec& loss : kinds) e.train(rows, loss, job.aborted);
    });
    if (step == 0) t.gradients = session.read(Store::kGradient);
    // eps is large beside what rounding leaves of a gradient that is zero: AdamW would make a whole step of it.
    session.run(true, [&](Engine& e, Engine::Job&) {
      t.norms.push_back(static_cast<float>(
          e.update({.lr = 1e-2f, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-2f, .weight_decay = 0.1f, .max_grad_norm = 1.0}).grad_norm));
    });
  }
  t.weights = session.read(Store::kWeight);
  return t;
}

}  // namespace

void check_engine(Check& check, const std::function<std::unique_ptr<Backend>()>& make_device) {
  if (!check.wanted("engine")) return;
  for (const Model& model : models()) {
    std::vector<SampleRequest> replies, unused;
    const Trace cpu = trace(make_cpu_backend(1, ""), model.config, true, nullptr, &replies);
    Trace device, alone;
    const std::string name = model.name;
    check.operation(
        "engine", name + ": log-probs, gradients, three steps, beside the CPU", {},
        [&](Backend&, Clock&) -> Outputs<float> {
          device = trace(make_device(), model.config, true, &replies, &unused);
          return device.outputs();
        },
        [&](auto real) -> Outputs<decltype(real)> {
          Outputs<decltype(real)> want;
          for (const std::vector<float>& v : cpu.outputs()) want.push_back(to<decltype(real)>(v));
          return want;
        });
    check.condition("engine", name + ": replies of the CPU", [&](Backend&) { return !cpu.tokens.empty() && device.tokens == cpu.tokens; });
    const auto gap = [&](const char* what, const std::vector<float>& ours) {
      check.operation(
          "engine", name + ": log-probs " + what + " beside sampled", {}, [&](Backend&, Clock&) -> Outputs<float> { return {ours}; },
          [&](auto real) -> Outputs<decltype(real)> { return {to<decltype(real)>(device.sampled)}; });
    };
    gap("scored", device.scored);
    gap("trained", device.trained);
    check.condition("engine", name + ": replies and log-probs without a prefix cache, the same bits", [&](Backend&) {
      alone = trace(make_device(), model.config, false, &replies, &unused);
      return alone.saved_prompt_tokens == 0 && device.saved_prompt_tokens > 100 && alone.tokens == device.tokens &&
             alone.sampled == device.sampled && alone.scored == device.scored;
    });
  }
}

void check_separated_engine(Check& check) {
  if (!check.wanted("engine")) return;
  for (const Model& model : models())
    check.condition("engine", std::string(model.name) + ": device memory out of the host's reach, the same bits", [&](Backend&) {
      std::vector<SampleRequest> replies;
      const Trace cpu = trace(make_cpu_backend(2, ""), model.config, true, nullptr, &replies),
                  far = trace(make_separated_backend(2), model.config, true, nullptr, &replies);
      return !cpu.tokens.empty() && cpu.tokens == far.tokens && cpu.outputs() == far.outputs();
    });
}

}  // namespace siri::check
