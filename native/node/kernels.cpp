// The named kernels on typed arrays: exports.kernels. Synchronous, on the calling thread and a small pool of this environment.
// src/kernels checks every argument before it calls these; here they are only read. Does no arithmetic of its own beyond weighing and
// adding up per-token terms.
#include <napi.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cpu/gigpo.h"
#include "cpu/head.h"
#include "cpu/losses.h"
#include "cpu/similarity.h"
#include "node/arguments.h"

namespace siri::node {
namespace {

using namespace siri::cpu;
using Object = Napi::Object;
using Floats = Napi::Float32Array;

// Threads, kernels and scratch of one environment, made on first use.
struct Engine {
  int threads = std::max(1u, std::thread::hardware_concurrency());
  std::string isa;  // empty: the best
  std::unique_ptr<ThreadPool> pool_made;
  PackedWeights packed;

  ThreadPool& pool() {
    if (!pool_made) pool_made = std::make_unique<ThreadPool>(threads);
    return *pool_made;
  }
  const KernelTable& table() const { return kernels(isa.empty() ? nullptr : isa.c_str()); }
};

// Weights belong to the caller and may change or go away after the call: packed copies live as long as it.
struct PackedForCall {
  PackedWeights& packed;
  ~PackedForCall() { packed.forget(); }
};

bool has(const Object& o, const char* key) { return !o.Get(key).IsUndefined(); }

// Pointer to the data of o[key], null when it is undefined.
template <typename T>
T* data(const Object& o, const char* key) {
  if (!has(o, key)) return nullptr;
  return o.Get(key).As<Napi::TypedArrayOf<T>>().Data();
}

double number_or(const Object& o, const char* key, double otherwise) { return has(o, key) ? number(o, key) : otherwise; }

Floats floats(Napi::Env env, int64_t n) { return Floats::New(env, static_cast<size_t>(n)); }

// What is common to the calls that go through the head or start from logits: rows of hidden x head, or of a copy of the logits.
struct Source {
  explicit Source(const Object& o)
      : rows(integer(o, "rows")),
        vocab(integer(o, "vocab")),
        through_head(has(o, "hidden")),
        width(through_head ? integer(o, "width") : 0),
        hidden(data<float>(o, "hidden")),
        head(data<float>(o, "head")),
        logits(data<float>(o, "logits")),
        target(data<int32_t>(o, "target")),
        sampling(rows, RowSampling{static_cast<float>(number_or(o, "temperature", 1.0)), 0, 1.0f}) {
    if (target == nullptr) {
      no_target.assign(rows, 0);
      target = no_target.data();
    }
  }
  int64_t rows, vocab;
  bool through_head;
  int64_t width;
  const float *hidden, *head, *logits;
  const int32_t* target;
  std::vector<RowSampling> sampling;
  std::vector<int32_t> no_target;
};

// Runs `loss` over the source; result gets logprob, entropy and dhidden + dhead or dlogits.
void train_tokens(Engine& engine, const Source& s, const TokenLoss& loss, Napi::Env env, Object& result) {
  Floats logprob = floats(env, s.rows), entropy = floats(env, s.rows);
  if (s.through_head) {
    const PackedForCall call{engine.packed};
    Floats dhidden = floats(env, s.rows * s.width), dhead = floats(env, s.vocab * s.width);
    head_train(engine.pool(), engine.table(), engine.packed, s.hidden, s.head, s.target, s.sampling.data(), s.rows, s.width, s.vocab, loss,
               logprob.Data(), entropy.Data(), dhidden.Data(), dhead.Data());
    result.Set("dhidden", dhidden);
    result.Set("dhead", dhead);
  } else {
    Floats dlogits = floats(env, s.rows * s.vocab);
    std::copy_n(s.logits, s.rows * s.vocab, dlogits.Data());
    logits_train(engine.pool(), engine.table(), dlogits.Data(), s.target, s.sampling.data(), s.rows, s.vocab, 0, loss, logprob.Data(),
                 entropy.Data());
    result.Set("dlogits", dlogits);
  }
  result.Set("logprob", logprob);
  result.Set("entropy", entropy);
}

Napi::Value selected_log_probs(Engine& engine, Napi::Env env, const Object& o) {
  const Source s(o);
  const PackedForCall call{engine.packed};
  Floats logprob = floats(env, s.rows), entropy = floats(env, s.rows), logsumexp = floats(env, s.rows);
  head_score(engine.pool(), engine.table(), engine.packed, s.hidden, s.head, s.target, s.sampling.data(), s.rows, s.width, s.vocab,
             logprob.Data(), entropy.Data(), logsumexp.Data());
  Object result = Object::New(env);
  result.Set("logprob", logprob);
  result.Set("entropy", entropy);
  result.Set("logsumexp", logsumexp);
  return result;
}

Napi::Value selected_log_probs_backward(Engine& engine, Napi::Env env, const Object& o) {
  const float *given_logprob = data<float>(o, "dlogprob"), *given_entropy = data<float>(o, "dentropy");
  Object result = Object::New(env);
  train_tokens(
      engine, Source(o),
      [&](int64_t begin, int64_t end, const float*, const float*, float* dlogprob, float* dentropy) {
        std::copy(given_logprob + begin, given_logprob + end, dlogprob);
        if (given_entropy) std::copy(given_entropy + begin, given_entropy + end, dentropy);
      },
      env, result);
  return result;
}

// Per-token terms of the policy loss, filled row by row; weights over all rows are known before the first.
class PolicyTokens {
 public:
  PolicyTokens(Napi::Env env, const Object& o)
      : rows_(integer(o, "rows")),
        spec_{number(o, "clipLow"), number(o, "clipHigh"), number(o, "dualClip"), number(o, "klCoef"), number(o, "entropyCoef")},
        old_(data<float>(o, "oldLogprob")),
        ref_(data<float>(o, "refLogprob")),
        advantage_(data<float>(o, "advantage")),
        weight_(rows_),
        pg_(floats(env, rows_)),
        kl_(floats(env, rows_)),
        clipped_(Napi::Uint8Array::New(env, static_cast<size_t>(rows_))) {
    aggregation_weights(*aggregation_named(text(o, "aggregation")), data<float>(o, "mask"), data<int32_t>(o, "sequence"), rows_,
                        integer(o, "sequences"), weight_.data());
  }

  void rows(int64_t begin, int64_t end, const float* logprob, const float* entropy, float* dlogprob, float* dentropy) {
    for (int64_t i = begin; i < end; ++i) {
      const double lp = logprob[i - begin], h = entropy ? entropy[i - begin] : 0.0;
      const PolicyTerms t = policy_token_loss(spec_, lp, old_[i], ref_ ? ref_[i] : lp, advantage_[i]);
      pg_.Data()[i] = static_cast<float>(t.pg);
      kl_.Data()[i] = static_cast<float>(t.kl);
      clipped_.Data()[i] = t.clipped;
      if (weight_[i] == 0.0) {
        dlogprob[i - begin] = dentropy[i - begin] = 0.0f;
        continue;
      }
      loss_ += weight_[i] * (t.pg + spec_.kl_coef * t.kl - spec_.entropy_coef * h);
      dlogprob[i - begin] = static_cast<float>(weight_[i] * t.dlogprob);
      dentropy[i - begin] = static_cast<float>(-weight_[i] * spec_.entropy_coef);
    }
  }

  void finish(Napi::Env env, Object& result) const {
    result.Set("loss", Napi::Number::New(env, loss_));
    result.Set("pg", pg_);
    result.Set("kl", kl_);
    result.Set("clipped", clipped_);
  }

 private:
  int64_t rows_;
  PolicyLossSpec spec_;
  const float *old_, *ref_, *advantage_;
  std::vector<double> weight_;
  Floats pg_, kl_;
  Napi::Uint8Array clipped_;
  double loss_ = 0.0;
};

Napi::Value policy_loss(Engine& engine, Napi::Env env, const Object& o) {
  Object result = Object::New(env);
  PolicyTokens tokens(env, o);
  if (has(o, "hidden") || has(o, "logits")) {
    train_tokens(
        engine, Source(o),
        [&](int64_t begin, int64_t end, const float* logprob, const float* entropy, float* dlogprob, float* dentropy) {
          tokens.rows(begin, end, logprob, entropy, dlogprob, dentropy);
        },
        env, result);
  } else {
    const int64_t n = integer(o, "rows");
    Floats dlogprob = floats(env, n), dentropy = floats(env, n);
    tokens.rows(0, n, data<float>(o, "logprob"), data<float>(o, "entropy"), dlogprob.Data(), dentropy.Data());
    result.Set("dlogprob", dlogprob);
    result.Set("dentropy", dentropy);
  }
  tokens.finish(env, result);
  return result;
}

Napi::Value internalisation(Engine& engine, Napi::Env env, const Object& o) {
  const Source s(o);
  const float *gate = data<float>(o, "gate"), *advantage = data<float>(o, "advantage");
  const double most = number(o, "maxWeight");
  double divisor = 0.0;
  for (int64_t i = 0; i < s.rows; ++i) divisor += gate[i];
  divisor = number_or(o, "normaliser", divisor);

  double loss = 0.0;
  Object result = Object::New(env);
  train_tokens(
      engine, s,
      [&](int64_t begin, int64_t end, const float* logprob, const float*, float* dlogprob, float*) {
        for (int64_t i = begin; i < end; ++i) {
          // What the gate keeps out must not touch the loss, whatever its advantage is.
          const bool counts = divisor > 0.0 && gate[i] != 0.0f;
          const double w = counts ? internalisation_weight(advantage[i], most) / divisor : 0.0;
          if (w != 0.0) loss -= w * logprob[i - begin];
          dlogprob[i - begin] = static_cast<float>(-w);
        }
      },
      env, result);
  result.Set("row", result.Get("logprob"));
  result.Set("loss", Napi::Number::New(env, loss));
  return result;
}

Napi::Value divergence(Engine& engine, Napi::Env env, const Object& o) {
  const Source s(o);
  const Divergence kind = *divergence_named(text(o, "divergence"));
  const double beta = number(o, "beta"), temperature = number(o, "temperature");
  const float *weight = data<float>(o, "rowWeight"), *teacher_logits = data<float>(o, "teacherLogits");
  std::vector<double> share(s.rows, 1.0), value(s.rows);
  if (weight) std::copy_n(weight, s.rows, share.begin());
  double total = 0.0;
  for (double w : share) total += w;
  for (double& w : share) w = total > 0.0 ? w / total : 0.0;

  Object result = Object::New(env);
  if (s.through_head) {
    const PackedForCall call{engine.packed};
    Floats dhidden = floats(env, s.rows * s.width), dhead = floats(env, s.vocab * s.width);
    std::vector<float> logprob(s.rows);
    head_distill(
        engine.pool(), engine.table(), engine.packed, s.hidden, data<float>(o, "teacherHidden"), s.head, s.target, s.rows, s.width, s.vocab,
        [&](int64_t begin, int64_t end, const float*, float* logits, const float* teacher) {
          divergence_rows(engine.pool(), engine.table(), kind, beta, temperature, share.data() + begin, end - begin, s.vocab, logits,
                          teacher ? teacher : teacher_logits + begin * s.vocab, value.data() + begin);
        },
        logprob.data(), dhidden.Data(), dhead.Data());
    result.Set("dhidden", dhidden);
    result.Set("dhead", dhead);
  } else {
    Floats dlogits = floats(env, s.rows * s.vocab);
    std::copy_n(s.logits, s.rows * s.vocab, dlogits.Data());
    divergence_rows(engine.pool(), engine.table(), kind, beta, temperature, share.data(), s.rows, s.vocab, dlogits.Data(), teacher_logits,
                    value.data());
    result.Set("dlogits", dlogits);
  }
  double loss = 0.0;
  for (int64_t i = 0; i < s.rows; ++i)
    if (share[i] != 0.0) loss += share[i] * value[i];
  Floats row = floats(env, s.rows);
  for (int64_t i = 0; i < s.rows; ++i) row.Data()[i] = static_cast<float>(value[i]);
  result.Set("row", row);
  result.Set("loss", Napi::Number::New(env, loss));
  return result;
}

Napi::Value group_advantages(Engine&, Napi::Env env, const Object& o) {
  GigpoSpec spec;
  spec.gamma = number(o, "gamma");
  spec.omega = number(o, "omega");
  spec.invalid_penalty = number(o, "invalidPenalty");
  spec.normalisation = text(o, "normalisation") == "mean_norm" ? Normalisation::mean_norm : Normalisation::mean_std_norm;
  spec.episode_statistics = text(o, "episodeStatistics") == "rows" ? EpisodeStatistics::rows : EpisodeStatistics::trajectories;
  GigpoTrajectories t;
  t.count = integer(o, "count");
  t.offset = data<int32_t>(o, "offset");
  t.group = data<int32_t>(o, "group");
  t.state = data<int32_t>(o, "state");
  t.reward = data<double>(o, "reward");
  t.valid = data<uint8_t>(o, "valid");

  const size_t steps = static_cast<size_t>(t.offset[t.count]);
  const auto doubles = [&] { return Napi::Float64Array::New(env, steps); };
  Napi::Float64Array step_return = doubles(), episode = doubles(), step = doubles(), advantage = doubles();
  gigpo_advantages(spec, t, step_return.Data(), episode.Data(), step.Data(), advantage.Data());
  Object result = Object::New(env);
  result.Set("stepReturn", step_return);
  result.Set("episode", episode);
  result.Set("step", step);
  result.Set("advantage", advantage);
  return result;
}

std::u32string code_points(const Napi::Value& value) {
  const std::u16string s = value.As<Napi::String>().Utf16Value();
  std::u32string out;
  out.reserve(s.size());
  for (size_t i = 0; i < s.size(); ++i) {
    const bool pair = (s[i] & 0xFC00) == 0xD800 && i + 1 < s.size() && (s[i + 1] & 0xFC00) == 0xDC00;
    out.push_back(pair ? 0x10000 + ((char32_t{s[i]} - 0xD800) << 10) + (char32_t{s[i + 1]} - 0xDC00) : char32_t{s[i]});
    i += pair;
  }
  return out;
}

Napi::Value clusters(Engine&, Napi::Env env, const Object& o) {
  const Napi::Array texts = o.Get("texts").As<Napi::Array>();
  const int32_t* pool = data<int32_t>(o, "pool");
  std::vector<std::u32string> points;
  for (uint32_t i = 0; i < texts.Length(); ++i) points.push_back(code_points(texts.Get(i)));
  return to_array(env, similarity_clusters(points, std::vector<int32_t>(pool, pool + points.size()), number(o, "threshold")));
}

Napi::Value similarity(Engine&, Napi::Env env, const Object& o) {
  return Napi::Number::New(env, similarity_ratio(code_points(o.Get("a")), code_points(o.Get("b"))));
}

Napi::Value configure(Engine& engine, Napi::Env env, const Object& o) {
  if (has(o, "isa")) {
    const std::string isa = text(o, "isa");
    kernels(isa.empty() ? nullptr : isa.c_str());  // throws when the machine or the build lacks it
    if (isa != engine.isa) engine.packed.forget();
    engine.isa = isa;
  }
  if (has(o, "threads") && integer(o, "threads") != engine.threads) {
    engine.pool_made.reset();
    engine.threads = static_cast<int>(integer(o, "threads"));
  }
  Object result = Object::New(env);
  result.Set("threads", Napi::Number::New(env, engine.threads));
  result.Set("isa", Napi::String::New(env, engine.table().isa));
  return result;
}

}  // namespace
}  // namespace siri::node

void register_kernels(Napi::Env env, Napi::Object exports) {
  using namespace siri::node;
  const auto engine = std::make_shared<Engine>();
  Napi::Object kernels = Napi::Object::New(env);
  const auto add = [&](const char* name, Napi::Value (*f)(Engine&, Napi::Env, const Napi::Object&)) {
    kernels.Set(name, Napi::Function::New(
                          env,
                          [engine, f](const Napi::CallbackInfo& info) {
                            return guarded(info.Env(), [&] { return f(*engine, info.Env(), info[0].As<Napi::Object>()); });
                          },
                          name));
  };
  add("selectedLogProbs", selected_log_probs);
  add("selectedLogProbsBackward", selected_log_probs_backward);
  add("policyLoss", policy_loss);
  add("internalisation", internalisation);
  add("divergence", divergence);
  add("groupAdvantages", group_advantages);
  add("clusters", clusters);
  add("similarity", similarity);
  add("configure", configure);
  exports.Set("kernels", kernels);
}
