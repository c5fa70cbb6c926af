// The Engine class of the addon: marshals arguments into jobs for native/model/engine.h and settles promises when they are done.
// Decides nothing. One ThreadSafeFunction per engine; it keeps the process alive only while calls are unsettled.
#include <napi.h>

#include <mutex>
#include <unordered_map>
#include <utility>

#include "model/engine.h"
#include "model/tensor_file.h"
#include "node/arguments.h"
#include "node/devices.h"
#include "node/register.h"

namespace siri::node {
namespace {

DecoderConfig read_config(const Napi::Object& o) {
  DecoderConfig c;
  c.layers = integer(o, "layers");
  c.hidden = integer(o, "hidden");
  c.heads = integer(o, "heads");
  c.kv_heads = integer(o, "kvHeads");
  c.head_dim = integer(o, "headDim");
  c.intermediate = integer(o, "intermediate");
  c.vocab = integer(o, "vocab");
  c.max_positions = integer(o, "maxPositions");
  c.rms_eps = static_cast<float>(number(o, "rmsEps"));
  c.tied = boolean(o, "tied");
  c.qkv_bias = boolean(o, "qkvBias");
  c.qk_norm = boolean(o, "qkNorm");
  const auto rope = o.Get("rope").As<Napi::Object>();
  c.rope.theta = number(rope, "theta");
  c.rope.llama3 = boolean(rope, "llama3");
  if (c.rope.llama3) {
    c.rope.factor = number(rope, "factor");
    c.rope.low_freq_factor = number(rope, "lowFreqFactor");
    c.rope.high_freq_factor = number(rope, "highFreqFactor");
    c.rope.original_max_positions = number(rope, "originalMaxPositions");
  }
  return c;
}

RowSet read_rows(const Napi::Object& o) {
  RowSet rows;
  rows.tokens = copy_array<int32_t>(o, "tokens");
  const auto offsets = copy_array<int32_t>(o, "offsets");
  rows.offsets.assign(offsets.begin(), offsets.end());
  rows.response_start = copy_array<int32_t>(o, "responseStart");
  const auto temperature = copy_array<float>(o, "temperature");
  const auto top_k = copy_array<int32_t>(o, "topK");
  const auto top_p = copy_array<float>(o, "topP");
  const size_t n = rows.response_start.size();
  if (rows.offsets.size() != n + 1 || temperature.size() != n || top_k.size() != n || top_p.size() != n)
    throw ArgumentError("rows: array lengths do not match");
  rows.response_offsets.push_back(0);
  for (size_t i = 0; i < n; ++i) {
    rows.sampling.push_back({temperature[i], top_k[i], top_p[i]});
    rows.response_offsets.push_back(rows.response_offsets.back() + rows.response_length(static_cast<int64_t>(i)));
  }
  return rows;
}

template <typename E>
E choice(const Napi::Object& o, const char* key, std::initializer_list<std::pair<const char*, E>> names) {
  const std::string value = text(o, key);
  for (const auto& [name, result] : names)
    if (value == name) return result;
  throw ArgumentError(std::string(key) + ": unknown value \"" + value + "\"");
}

LossSpec read_loss(const Napi::Object& o) {
  LossSpec s;
  s.kind =
      choice<LossKind>(o, "kind", {{"policy", LossKind::kPolicy}, {"weighted-nll", LossKind::kWeighted}, {"distill", LossKind::kDistill}});
  s.scale = number(o, "scale");
  s.mask = copy_array_if<float>(o, "mask");
  s.weight = copy_array_if<float>(o, "weight");
  if (s.kind == LossKind::kPolicy) {
    s.advantage = copy_array<float>(o, "advantage");
    s.old_logprob = copy_array<float>(o, "oldLogprobs");
    s.ref_logprob = copy_array_if<float>(o, "refLogprobs");
    s.policy = {number(o, "clipLow"), number(o, "clipHigh"), number(o, "dualClip"), number(o, "klCoef"), number(o, "entropyCoef")};
    const auto aggregation = cpu::aggregation_named(text(o, "aggregation"));
    if (!aggregation) throw ArgumentError("aggregation: unknown value \"" + text(o, "aggregation") + "\"");
    s.aggregation = *aggregation;
  } else if (s.kind == LossKind::kWeighted) {
    s.normaliser = number(o, "normaliser");
    s.prompt_coef = number(o, "promptCoef");
  } else {
    s.teacher = read_rows(o.Get("teacher").As<Napi::Object>());
    using Kind = DivergenceSpec::Kind;
    s.divergence = {
        choice<Kind>(o, "divergence", {{"forward-kl", Kind::kForwardKl}, {"reverse-kl", Kind::kReverseKl}, {"jsd", Kind::kJsd}}),
        number(o, "beta"), number(o, "temperature")};
  }
  return s;
}

Store read_store(const std::string& name) {
  if (name == "weight") return Store::kWeight;
  if (name == "gradient") return Store::kGradient;
  if (name == "moment1") return Store::kMoment1;
  if (name == "moment2") return Store::kMoment2;
  throw ArgumentError("unknown store \"" + name + "\"");
}

class PolicyEngine : public Napi::ObjectWrap<PolicyEngine> {
 public:
  static void define(Napi::Env env, Napi::Object exports) {
    exports.Set("Engine", DefineClass(env, "Engine",
                                      {
                                          InstanceMethod<&PolicyEngine::info>("info"),
                                          InstanceMethod<&PolicyEngine::tensors>("tensors"),
                                          InstanceMethod<&PolicyEngine::stats>("stats"),
                                          InstanceMethod<&PolicyEngine::abort>("abort"),
                                          InstanceMethod<&PolicyEngine::sample>("sample"),
                                          InstanceMethod<&PolicyEngine::score>("score"),
                                          InstanceMethod<&PolicyEngine::prepare_training>("prepareTraining"),
                                          InstanceMethod<&PolicyEngine::train>("train"),
                                          InstanceMethod<&PolicyEngine::update>("update"),
                                          InstanceMethod<&PolicyEngine::zero_gradients>("zeroGradients"),
                                          InstanceMethod<&PolicyEngine::read>("read"),
                                          InstanceMethod<&PolicyEngine::write>("write"),
                                          InstanceMethod<&PolicyEngine::initialise>("initialise"),
                                          InstanceMethod<&PolicyEngine::step>("step"),
                                          InstanceMethod<&PolicyEngine::set_step>("setStep"),
                                          InstanceMethod<&PolicyEngine::write_file>("writeFile"),
                                          InstanceMethod<&PolicyEngine::close>("close"),
                                      }));
  }

  explicit PolicyEngine(const Napi::CallbackInfo& info) : Napi::ObjectWrap<PolicyEngine>(info) {
    const Napi::Env env = info.Env();
    guarded(env, [&] {
      const auto options = info[1].As<Napi::Object>();
      threads_ = static_cast<int>(integer(options, "threads"));
      std::unique_ptr<Backend> backend = open_device(
          {text(options, "device"), threads_, text(options, "isa"),
           choice<cpu::Compute>(options, "dtype", {{"float32", cpu::Compute::kFloat32}, {"bfloat16", cpu::Compute::kBfloat16}})});
      device_ = backend->name();
      EngineOptions engine;
      engine.max_batch_tokens = integer(options, "maxBatchTokens");
      engine.max_row_tokens = integer(options, "maxRowTokens");
      engine.moments = choice<Moments>(options, "moments", {{"float32", Moments::kFloat32}, {"bfloat16", Moments::kBfloat16}});
      engine.share_prefixes = boolean(options, "sharePrefixes");
      engine.kv_cache_bytes = static_cast<size_t>(number(options, "kvCacheMiB") * 1048576.0);
      engine_ = std::make_unique<Engine>(std::move(backend), read_config(info[0].As<Napi::Object>()), engine);
    });
    mail_ = Mail::New(env, "siri engine", 0, 1, this);
    mail_.Unref(env);
    napi_add_env_cleanup_hook(env, on_env_exit, this);
  }

  ~PolicyEngine() override {
    if (!shut_) napi_remove_env_cleanup_hook(Env(), on_env_exit, this);
    shut_down();
  }

 private:
  static void on_env_exit(void* self) { static_cast<PolicyEngine*>(self)->shut_down(); }
  static void on_mail(Napi::Env env, Napi::Function, PolicyEngine* self, void*) {
    if (env != nullptr) self->deliver(env);
  }
  using Mail = Napi::TypedThreadSafeFunction<PolicyEngine, void, &PolicyEngine::on_mail>;

  struct Call {
    Napi::Promise::Deferred deferred;
    std::shared_ptr<Engine::Job> job;
    std::function<Napi::Value(Napi::Env)> result;
  };

  // Ends the engine's thread, then its mail: nothing calls into this environment afterwards.
  void shut_down() {
    if (shut_) return;
    shut_ = true;
    if (engine_) engine_->close();
    mail_.Release();
  }

  Engine& engine() const {
    if (!engine_ || closing_) throw Error("SIRI_CLOSED", "the policy is closed; load it again to use it");
    return *engine_;
  }

  void post(uint64_t id, std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    settled_.emplace_back(id, std::move(error));
    if (settled_.size() == 1) mail_.NonBlockingCall();
  }

  void deliver(Napi::Env env) {
    std::vector<std::pair<uint64_t, std::exception_ptr>> settled;
    {
      const std::lock_guard lock(mutex_);
      settled.swap(settled_);
    }
    for (auto& [id, error] : settled) {
      auto node = calls_.extract(id);
      Call& call = node.mapped();
      if (error)
        call.deferred.Reject(to_js_error(env, error).Value());
      else
        try {
          call.deferred.Resolve(call.result(env));
        } catch (const Napi::Error& e) {  // no memory for the arrays
          call.deferred.Reject(e.Value());
        }
    }
    if (calls_.empty() && !settled.empty()) {
      mail_.Unref(env);
      Unref();
    }
  }

  Napi::Promise remember(Napi::Env env, uint64_t id, std::shared_ptr<Engine::Job> job, std::function<Napi::Value(Napi::Env)> result) {
    if (calls_.empty()) {
      mail_.Ref(env);
      Ref();
    }
    const auto deferred = Napi::Promise::Deferred::New(env);
    calls_.emplace(id, Call{deferred, std::move(job), std::move(result)});
    return deferred.Promise();
  }

  Napi::Value submit(Napi::Env env, uint64_t id, std::shared_ptr<Engine::Job> job, std::function<Napi::Value(Napi::Env)> result) {
    Engine& target = engine();
    job->done = [this, id](Engine::Job&, std::exception_ptr error) { post(id, std::move(error)); };
    const Napi::Promise promise = remember(env, id, job, std::move(result));
    target.submit(std::move(job));
    return promise;
  }

  // A job whose run() leaves its result in `*result`, which `convert` turns into JavaScript.
  template <typename R, typename Run, typename Convert>
  Napi::Value submit_with_result(Napi::Env env, uint64_t id, bool changes_weights, Run run, Convert convert) {
    auto job = std::make_shared<Engine::Job>();
    auto result = std::make_shared<R>();
    job->changes_weights = changes_weights;
    job->run = [result, run = std::move(run)](Engine::Job& self) mutable { *result = run(self); };
    return submit(env, id, job, [result, convert](Napi::Env e) { return convert(e, *result); });
  }
  template <typename Run>
  Napi::Value submit_without_result(Napi::Env env, uint64_t id, bool changes_weights, Run run) {
    auto job = std::make_shared<Engine::Job>();
    job->changes_weights = changes_weights;
    job->run = [run = std::move(run)](Engine::Job&) mutable { run(); };
    return submit(env, id, job, [](Napi::Env e) { return e.Undefined(); });
  }

  // Call ids come from TypeScript, which uses them to abort.
  static uint64_t call_id(const Napi::CallbackInfo& info) { return static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()); }

  Napi::Value info(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      Engine& e = engine();
      Napi::Object o = Napi::Object::New(info.Env());
      o.Set("device", device_);
      o.Set("threads", threads_);
      o.Set("cacheTokens", static_cast<double>(e.cache_tokens()));
      o.Set("parameters", static_cast<double>(e.weights().parameters()));
      const MemoryPlan plan = e.memory_plan();
      Napi::Object m = Napi::Object::New(info.Env());
      m.Set("weights", static_cast<double>(plan.weights));
      m.Set("positionTables", static_cast<double>(plan.position_tables));
      m.Set("scratch", static_cast<double>(plan.scratch));
      m.Set("packedWeights", static_cast<double>(plan.packed_weights));
      m.Set("packedForTraining", static_cast<double>(plan.packed_for_training));
      m.Set("kvCache", static_cast<double>(plan.kv_cache));
      m.Set("gradients", static_cast<double>(plan.gradients));
      m.Set("moments", static_cast<double>(plan.moments));
      m.Set("forwardActivations", static_cast<double>(plan.forward_activations));
      m.Set("trainActivations", static_cast<double>(plan.train_activations));
      o.Set("memory", m);
      return o;
    });
  }

  Napi::Value tensors(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const auto& all = engine().weights().tensors();
      Napi::Array list = Napi::Array::New(info.Env(), all.size());
      for (uint32_t i = 0; i < all.size(); ++i) {
        Napi::Object o = Napi::Object::New(info.Env());
        Napi::Array shape = Napi::Array::New(info.Env());
        for (const int64_t n : all[i].shape) shape.Set(shape.Length(), static_cast<double>(n));
        o.Set("name", all[i].name);
        o.Set("shape", shape);
        list.Set(i, o);
      }
      return list;
    });
  }

  Napi::Value stats(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const EngineStats s = engine().stats();
      Napi::Object o = Napi::Object::New(info.Env());
      o.Set("sampledTokens", static_cast<double>(s.sampling.sampled_tokens));
      o.Set("prefillTokens", static_cast<double>(s.sampling.prefill_tokens));
      o.Set("prefillTokensSaved", static_cast<double>(s.sampling.prefill_tokens_saved));
      o.Set("trainedTokens", static_cast<double>(s.trained_tokens));
      o.Set("savedTokens", static_cast<double>(s.saved_tokens));
      o.Set("weightVersion", static_cast<double>(s.weight_version));
      return o;
    });
  }

  void abort(const Napi::CallbackInfo& info) {
    const auto it = calls_.find(call_id(info));
    if (it != calls_.end() && it->second.job) it->second.job->aborted = true;
  }

  Napi::Value sample(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const auto o = info[1].As<Napi::Object>();
      auto job = std::make_shared<Engine::Job>();
      job->request = std::make_unique<SampleRequest>();
      SampleRequest& r = *job->request;
      r.prompt = copy_array<int32_t>(o, "prompt");
      r.max_tokens = integer(o, "maxTokens");
      r.sampling = {static_cast<float>(number(o, "temperature")), static_cast<int32_t>(integer(o, "topK")),
                    static_cast<float>(number(o, "topP"))};
      bool lossless = true;
      r.seed = o.Get("seed").As<Napi::BigInt>().Uint64Value(&lossless);
      r.stop = copy_array<int32_t>(o, "stop");
      Engine::Job* raw = job.get();  // the call keeps it alive
      return submit(info.Env(), call_id(info), std::move(job), [raw](Napi::Env env) -> Napi::Value {
        const SampleRequest& done = *raw->request;
        Napi::Object result = Napi::Object::New(env);
        result.Set("tokens", to_array(env, done.tokens));
        result.Set("logprobs", to_array(env, done.logprobs));
        result.Set("finish", done.stopped ? "stop" : "length");
        return result;
      });
    });
  }

  Napi::Value score(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      auto rows = std::make_shared<RowSet>(read_rows(info[1].As<Napi::Object>()));
      Engine* e = &engine();
      return submit_with_result<ScoreResult>(
          info.Env(), call_id(info), false, [e, rows](Engine::Job& job) { return e->trainer().score(*rows, job.aborted); },
          [](Napi::Env env, const ScoreResult& r) {
            Napi::Object o = Napi::Object::New(env);
            o.Set("logprobs", to_array(env, r.logprobs));
            o.Set("entropies", to_array(env, r.entropies));
            return o;
          });
    });
  }

  Napi::Value prepare_training(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      Engine* e = &engine();
      return submit_without_result(info.Env(), call_id(info), false, [e] { e->prepare_training(); });
    });
  }

  Napi::Value train(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      auto rows = std::make_shared<RowSet>(read_rows(info[1].As<Napi::Object>()));
      auto loss = std::make_shared<LossSpec>(read_loss(info[2].As<Napi::Object>()));
      Engine* e = &engine();
      return submit_with_result<TrainResult>(
          info.Env(), call_id(info), false, [e, rows, loss](Engine::Job& job) { return e->train(*rows, *loss, job.aborted); },
          [](Napi::Env env, const TrainResult& r) {
            Napi::Object o = Napi::Object::New(env);
            const LossParts& p = r.parts;
            for (const auto& [key, value] :
                 std::initializer_list<std::pair<const char*, double>>{{"loss", p.loss},
                                                                       {"tokens", p.tokens},
                                                                       {"totalTokens", static_cast<double>(r.total_tokens)},
                                                                       {"savedTokens", static_cast<double>(r.saved_tokens)},
                                                                       {"policyLoss", p.policy},
                                                                       {"kl", p.kl},
                                                                       {"klMax", p.kl_max},
                                                                       {"entropy", p.entropy},
                                                                       {"clipFraction", p.clipped},
                                                                       {"approxKl", p.approx_kl},
                                                                       {"nll", p.nll},
                                                                       {"promptNll", p.prompt_nll},
                                                                       {"divergence", p.divergence}})
              o.Set(key, value);
            o.Set("logprobs", to_array(env, r.logprobs));
            return o;
          });
    });
  }

  Napi::Value update(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const auto o = info[1].As<Napi::Object>();
      AdamWOptions a;
      a.lr = static_cast<float>(number(o, "lr"));
      a.beta1 = static_cast<float>(number(o, "beta1"));
      a.beta2 = static_cast<float>(number(o, "beta2"));
      a.eps = static_cast<float>(number(o, "eps"));
      a.weight_decay = static_cast<float>(number(o, "weightDecay"));
      a.max_grad_norm = number(o, "maxGradNorm");
      Engine* e = &engine();
      return submit_with_result<UpdateResult>(
          info.Env(), call_id(info), true, [e, a](Engine::Job&) { return e->update(a); },
          [](Napi::Env env, const UpdateResult& r) {
            Napi::Object result = Napi::Object::New(env);
            result.Set("gradNorm", r.grad_norm);
            result.Set("step", static_cast<double>(r.step));
            return result;
          });
    });
  }

  Napi::Value zero_gradients(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      Engine* e = &engine();
      return submit_without_result(info.Env(), call_id(info), false, [e] { e->trainer().zero_gradients(); });
    });
  }

  // read(id, store, name): Float32Array
  Napi::Value read(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      Engine* e = &engine();
      const Store store = read_store(info[1].As<Napi::String>());
      const std::string name = info[2].As<Napi::String>();
      const int64_t size = e->weights().find(name).size;
      return submit_with_result<std::vector<float>>(
          info.Env(), call_id(info), false,
          [e, store, name, size](Engine::Job&) {
            std::vector<float> values(size);
            e->read(store, name, values.data());
            return values;
          },
          [](Napi::Env env, const std::vector<float>& values) { return to_array(env, values); });
    });
  }

  // write(id, store, name, data: Float32Array)
  Napi::Value write(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      Engine* e = &engine();
      const Store store = read_store(info[1].As<Napi::String>());
      const std::string name = info[2].As<Napi::String>();
      const auto data = info[3].As<Napi::Float32Array>();
      if (static_cast<int64_t>(data.ElementLength()) != e->weights().find(name).size)
        throw ArgumentError("write: " + name + " has another size");
      auto values = std::make_shared<std::vector<float>>(data.Data(), data.Data() + data.ElementLength());
      return submit_without_result(info.Env(), call_id(info), true, [e, store, name, values] { e->write(store, name, values->data()); });
    });
  }

  // initialise(id, seed: bigint, deviation)
  Napi::Value initialise(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      Engine* e = &engine();
      bool lossless = true;
      const uint64_t seed = info[1].As<Napi::BigInt>().Uint64Value(&lossless);
      const double deviation = info[2].As<Napi::Number>().DoubleValue();
      return submit_without_result(info.Env(), call_id(info), true, [e, seed, deviation] { e->initialise(seed, deviation); });
    });
  }

  Napi::Value step(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      Engine* e = &engine();
      return submit_with_result<int64_t>(
          info.Env(), call_id(info), false, [e](Engine::Job&) { return e->trainer().step(); },
          [](Napi::Env env, int64_t n) { return Napi::Number::New(env, static_cast<double>(n)); });
    });
  }

  Napi::Value set_step(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      Engine* e = &engine();
      const int64_t value = info[1].As<Napi::Number>().Int64Value();
      return submit_without_result(info.Env(), call_id(info), false, [e, value] { e->trainer().set_step(value); });
    });
  }

  // writeFile(id, path, header, [store, name, store, name, ...], dtype)
  Napi::Value write_file(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      Engine* e = &engine();
      const std::string path = info[1].As<Napi::String>();
      const std::string header = info[2].As<Napi::String>();
      const auto list = info[3].As<Napi::Array>();
      std::vector<FileTensor> tensors;
      for (uint32_t i = 0; i + 1 < list.Length(); i += 2)
        tensors.push_back({read_store(list.Get(i).As<Napi::String>()), list.Get(i + 1).As<Napi::String>()});
      const std::string dtype = info[4].As<Napi::String>();
      const FileType type = dtype == "bfloat16" ? FileType::kBfloat16 : dtype == "float16" ? FileType::kFloat16 : FileType::kFloat32;
      return submit_without_result(info.Env(), call_id(info), false,
                                   [e, path, header, tensors, type] { e->write_file(path, header, tensors, type); });
    });
  }

  // Settles when everything else has settled and the engine's memory is free.
  Napi::Value close(const Napi::CallbackInfo& info) {
    const uint64_t id = call_id(info);
    closing_ = true;
    const Napi::Promise promise = remember(info.Env(), id, nullptr, [this](Napi::Env env) {
      engine_->close();
      engine_.reset();
      return env.Undefined();
    });
    engine_->begin_close([this, id] { post(id, nullptr); });
    return promise;
  }

  std::unique_ptr<Engine> engine_;
  Mail mail_;
  std::string device_;
  int threads_ = 1;
  bool closing_ = false, shut_ = false;
  std::unordered_map<uint64_t, Call> calls_;  // JavaScript's thread only
  std::mutex mutex_;                          // guards settled_
  std::vector<std::pair<uint64_t, std::exception_ptr>> settled_;
};

}  // namespace

void register_policy(Napi::Env env, Napi::Object exports) { PolicyEngine::define(env, exports); }

}  // namespace siri::node
