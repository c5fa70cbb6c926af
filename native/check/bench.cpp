#include "check/bench.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <future>
#include <vector>

#include "check/data.h"
#include "model/engine.h"

namespace siri::check {
namespace {

using Shape = std::vector<std::pair<const char*, int64_t>>;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<int64_t>(v.size()) / 2, v.end());
  return v[v.size() / 2];
}

const char* dtype = "";

void print(const std::string& name, const Shape& shape, const std::vector<double>& seconds, double bytes, double flops) {
  std::string list;
  for (const auto& [key, value] : shape) list += std::string(list.empty() ? "" : ", ") + "\"" + key + "\": " + std::to_string(value);
  const auto [least, most] = std::minmax_element(seconds.begin(), seconds.end());
  std::printf(
      "{\"name\": \"%s\", \"dtype\": \"%s\", \"shape\": {%s}, \"seconds\": %.9g, \"least\": %.9g, \"most\": %.9g, \"rounds\": %zu, "
      "\"bytes\": %.6g, "
      "\"flops\": %.6g}\n",
      name.c_str(), dtype, list.c_str(), median(seconds), *least, *most, seconds.size(), bytes, flops);
  std::fflush(stdout);
}

// Times of `work`, which must have ended when it returns; the first call is not counted.
template <class Work>
std::vector<double> times(int rounds, const Work& work) {
  std::vector<double> all;
  for (int i = 0; i <= rounds; ++i) {
    const double from = now();
    work();
    if (i > 0) all.push_back(now() - from);
  }
  return all;
}

// Log-probs of `rows` targets through the head, and with their gradients. What comes back to the host (log-probs) ends the call.
void bench_head(Backend& b, int64_t rows, int64_t width, int64_t vocab) {
  Random random(1, static_cast<uint64_t>(width));
  const DeviceArray<float> hidden(b, random.normals(rows * width)), head(b, random.normals(vocab * width, 0.02f)),
      dhidden(b, rows * width, 0.0f), dhead(b, vocab * width, 0.0f);
  const std::vector<int32_t> target = random.integers(rows, vocab);
  const std::vector<RowSampling> sampling(rows);
  std::vector<float> logprob(rows), entropy(rows);
  const Shape shape = {{"rows", rows}, {"width", width}, {"vocab", vocab}};
  const double product = 2.0 * static_cast<double>(rows) * static_cast<double>(width) * static_cast<double>(vocab);
  b.weights_changed();
  print("logprob forward", shape,
        times(5,
              [&] {
                b.head_score(hidden.data(), head.data(), target.data(), sampling.data(), rows, width, vocab, logprob.data(),
                             entropy.data());
              }),
        0, product);
  const TokenLoss loss = [](int64_t begin, int64_t end, const float*, const float*, float* dlogprob, float* dentropy) {
    std::fill_n(dlogprob, end - begin, -1.0f);
    std::fill_n(dentropy, end - begin, 0.0f);
  };
  float last = 0;
  print("logprob forward and backward", shape,
        times(5,
              [&] {
                b.head_train(hidden.data(), head.data(), target.data(), sampling.data(), rows, width, vocab, loss, logprob.data(),
                             entropy.data(), dhidden.data(), dhead.data());
                b.download(&last, dhead.data(), sizeof last);
              }),
        0, 3 * product);
}

void bench_adamw(Backend& b, int64_t n) {
  for (const Moments moments : {Moments::kFloat32, Moments::kBfloat16}) {
    const DeviceArray<float> w(b, n, 0.5f), g(b, n, 0.1f), m(b, n, 0.0f), v(b, n, 0.0f);
    float last = 0;
    print(moments == Moments::kFloat32 ? "adamw" : "adamw, bfloat16 moments", {{"n", n}},
          times(10,
                [&] {
                  b.adamw(w.data(), g.data(), m.data(), v.data(), moments, 0, n, {1e-5f, 0.9f, 0.999f, 1e-8f, 0.01f, 1.0f, 10});
                  b.download(&last, w.data(), sizeof last);
                }),
          (moments == Moments::kFloat32 ? 28.0 : 20.0) * static_cast<double>(n), 0);
  }
}

std::future<void> submit(Engine& engine, const std::shared_ptr<Engine::Job>& job) {
  auto promise = std::make_shared<std::promise<void>>();
  job->done = [promise](Engine::Job&, std::exception_ptr error) {
    if (error)
      promise->set_exception(error);
    else
      promise->set_value();
  };
  engine.submit(job);
  return promise->get_future();
}

template <class Work>
void run(Engine& engine, bool changes_weights, const Work& work) {
  auto job = std::make_shared<Engine::Job>();
  job->changes_weights = changes_weights;
  job->run = [&](Engine::Job& self) { work(self); };
  submit(engine, job).get();
}

double parameters_of(const DecoderConfig& c) {
  const double layer = static_cast<double>(c.hidden) * static_cast<double>(2 * c.q_dim() + 2 * c.kv_dim() + 3 * c.intermediate);
  return static_cast<double>(c.layers) * layer + static_cast<double>(c.vocab) * static_cast<double>(c.hidden);
}

// `count` sequences with prompts of their own of `context` tokens, `tokens` more each. Prefill is timed by itself (one token) and taken
// off.
void bench_decode(Engine& engine, const DecoderConfig& c, int64_t count, int64_t context, int64_t tokens) {
  Random random(2, 2);
  std::vector<std::vector<int32_t>> prompts;
  for (int64_t i = 0; i < count; ++i) prompts.push_back(random.integers(context, c.vocab));
  const auto sample = [&](int64_t max_tokens) {
    std::vector<std::shared_ptr<Engine::Job>> jobs;
    std::vector<std::future<void>> done;
    const double from = now();
    for (int64_t i = 0; i < count; ++i) {
      jobs.push_back(std::make_shared<Engine::Job>());
      jobs.back()->request = std::make_unique<SampleRequest>();
      SampleRequest& r = *jobs.back()->request;
      r.prompt = prompts[i];
      r.max_tokens = max_tokens;
      r.seed = static_cast<uint64_t>(i);
      done.push_back(submit(engine, jobs.back()));
    }
    for (auto& d : done) d.get();
    return now() - from;
  };
  sample(1);  // the prompts are in the cache from here on, but for their last blocks
  const double filled = sample(1);
  std::vector<double> steps;
  for (int round = 0; round < 3; ++round) steps.push_back((sample(1 + tokens) - filled) / static_cast<double>(tokens));
  const double cache = 2.0 * 4.0 * static_cast<double>(c.layers * c.kv_dim()) * static_cast<double>(count * (context + tokens / 2));
  print("decode step", {{"sequences", count}, {"context", context}, {"tokens", tokens}}, steps, 2 * parameters_of(c) + cache,
        2 * parameters_of(c) * static_cast<double>(count));
}

void bench_train(Engine& engine, const DecoderConfig& c, int64_t count, int64_t length) {
  Random random(3, 3);
  RowSet rows;
  rows.offsets = rows.response_offsets = {0};
  rows.tokens = random.integers(count * length, c.vocab);
  for (int64_t i = 1; i <= count; ++i) {
    rows.offsets.push_back(i * length);
    rows.response_start.push_back(1);
    rows.response_offsets.push_back(i * (length - 1));
    rows.sampling.push_back({});
  }
  LossSpec loss;
  loss.kind = LossKind::kWeighted;
  loss.mask = loss.weight = std::vector<float>(rows.response_tokens(), 1.0f);
  const std::vector<double> seconds = times(3, [&] {
    run(engine, true, [&](Engine::Job& job) {
      engine.train(rows, loss, job.aborted);
      engine.update({.lr = 1e-6f, .max_grad_norm = 1.0});
    });
  });
  // Six operations a parameter and token; attention's scores and mixes, causal, forward once and backward two and a half times.
  const double tokens = static_cast<double>(count * length);
  const double attention = 3.5 * 2.0 * static_cast<double>(c.layers * c.q_dim()) * static_cast<double>(length) * tokens;
  print("training step", {{"rows", count}, {"length", length}}, seconds, 0, 6 * parameters_of(c) * tokens + attention);
}

}  // namespace

void run_bench(const std::function<std::unique_ptr<Backend>()>& make_device, bool bfloat16, bool small) {
  dtype = bfloat16 ? "bfloat16" : "float32";
  const int64_t rows = small ? 64 : 8192, vocab = small ? 1000 : 151936;
  for (const int64_t width : small ? std::vector<int64_t>{64} : std::vector<int64_t>{1536, 3584}) {
    const std::unique_ptr<Backend> device = make_device();
    bench_head(*device, rows, width, vocab);
  }
  bench_adamw(*make_device(), small ? 10000 : 200000000);

  // The shape of Qwen2.5-1.5B, weights at random.
  DecoderConfig c;
  c.layers = small ? 2 : 28;
  c.hidden = small ? 64 : 1536;
  c.heads = small ? 4 : 12;
  c.kv_heads = 2;
  c.head_dim = small ? 32 : 128;
  c.intermediate = small ? 96 : 8960;
  c.vocab = vocab;
  c.max_positions = small ? 256 : 4096;
  c.tied = c.qkv_bias = true;
  c.rope.theta = 1e6;
  const int64_t sequences = small ? 4 : 256, context = small ? 64 : 2048, tokens = small ? 4 : 32;
  EngineOptions options;
  options.max_batch_tokens = small ? 128 : 8192;
  const size_t cache =
      static_cast<size_t>(sequences * (context + tokens + 32)) * static_cast<size_t>(c.layers * 2 * c.kv_dim()) * sizeof(float);
  {
    options.kv_cache_bytes = cache;
    Engine engine(make_device(), c, options);
    run(engine, true, [&](Engine::Job&) { engine.initialise(1, 0.02); });
    bench_decode(engine, c, sequences, context, tokens);
  }
  options.kv_cache_bytes = size_t{64} << 20;
  Engine engine(make_device(), c, options);
  run(engine, true, [&](Engine::Job&) {
    engine.initialise(1, 0.02);
    engine.prepare_training();
  });
  bench_train(engine, c, small ? 4 : 24, small ? 48 : 1300);
}

}  // namespace siri::check
