#include "node/workload.h"

#include <napi.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "core/error.h"
#include "core/rng.h"
#include "core/system.h"
#include "cpu/cpu_backend.h"
#include "node/arguments.h"
#include "node/register.h"

namespace siri::node {
namespace {

constexpr int64_t kHeadDim = 32, kKvShare = 4;  // query heads to a key head: the reference shape's

// The yardsticks of bench:check: about a millisecond of multiply-adds in the first-level cache and of loads from the second; and as long of
// reading and writing memory, which neighbours slow down in another measure. Not part of the engine, and never to be changed: recorded
// ratios mean nothing across a change of them.
void yardstick() {
  thread_local std::vector<float> memory(65536, 1.0f);
  float sum[16] = {};
  for (int round = 0; round < 40; ++round)
    for (size_t i = 0; i < memory.size(); i += 16)
      for (int j = 0; j < 16; ++j) sum[j] = sum[j] * 0.999f + memory[i + j];
  memory[0] = sum[3] > 1e30f ? 2.0f : 1.0f;
}

void memory_yardstick() {
  constexpr size_t kFloats = size_t{1} << 21;
  thread_local std::vector<float> from(kFloats, 1.0f), to(kFloats, 1.0f);
  for (size_t i = 0; i < kFloats; ++i) to[i] = to[i] * 0.5f + from[i];
}

void on_threads(int threads, void (*work)()) {
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& t : others) t.join();
}

}  // namespace

float* Workload::array(int64_t size, float scale) {
  auto* p = static_cast<float*>(backend_->allocate(static_cast<size_t>(size) * sizeof(float)));
  arrays_.push_back(p);
  for (int64_t i = 0; i < size; ++i)
    p[i] = scale * static_cast<float>(2.0 * uniform(1, arrays_.size(), static_cast<uint64_t>(i & 0xffff)) - 1.0);
  return p;
}

Workload::Workload(const WorkloadSpec& s) {
  const int64_t n = s.rows, in = s.in, out = s.out;
  if (s.op == "yardstick" || s.op == "memory_yardstick") {
    work_ = [threads = s.threads, work = s.op == "yardstick" ? yardstick : memory_yardstick] { on_threads(threads, work); };
    return;
  }
  backend_ = make_cpu_backend(s.threads, s.isa.c_str(), s.compute);
  Backend& b = *backend_;
  const float small = 1.0f / std::sqrt(static_cast<float>(std::max<int64_t>(1, in)));
  if (s.op == "linear") {
    float *x = array(n * in, 1), *w = array(out * in, small), *y = array(n * out, 1);
    work_ = [=, &b] { b.linear(x, in, w, nullptr, nullptr, n, in, out, y, out); };
  } else if (s.op == "linear_backward_input") {
    float *dy = array(n * out, 1), *w = array(out * in, small), *dx = array(n * in, 1);
    work_ = [=, &b] { b.linear_backward_input(dy, out, w, n, in, out, dx, in, false); };
  } else if (s.op == "linear_backward_weight") {
    float *dy = array(n * out, small), *x = array(n * in, small), *dw = array(out * in, 1);
    work_ = [=, &b] { b.linear_backward_weight(dy, out, x, in, n, in, out, dw, nullptr); };
  } else if (s.op == "pack") {
    // A product of one row after the weights changed: what an optimiser step costs the next pass.
    float *x = array(in, 1), *w = array(out * in, small), *y = array(out, 1);
    work_ = [=, &b] {
      b.weights_changed();
      b.linear(x, in, w, nullptr, nullptr, 1, in, out, y, out);
    };
  } else if (s.op == "head_score" || s.op == "head_train" || s.op == "head_sample") {
    for (int64_t i = 0; i < n; ++i) targets_.push_back(static_cast<int32_t>(i * 7919 % out));
    sampling_.resize(n);
    logprob_.resize(n);
    entropy_.resize(n);
    float *x = array(n * in, 1), *head = array(out * in, small);
    if (s.op == "head_score") {
      work_ = [=, this, &b] { b.head_score(x, head, targets_.data(), sampling_.data(), n, in, out, logprob_.data(), entropy_.data()); };
    } else if (s.op == "head_train") {
      float *dx = array(n * in, 1), *dhead = array(out * in, 0);
      const TokenLoss loss = [](int64_t begin, int64_t end, const float*, const float*, float* dlogprob, float* dentropy) {
        std::fill_n(dlogprob, end - begin, 1.0f);
        std::fill_n(dentropy, end - begin, 0.0f);
      };
      work_ = [=, this, &b] {
        b.head_train(x, head, targets_.data(), sampling_.data(), n, in, out, loss, logprob_.data(), entropy_.data(), dx, dhead);
      };
    } else {
      const std::vector<uint64_t> seed(n, 1), position(n, 2);
      work_ = [=, this, &b] {
        b.head_sample(x, head, sampling_.data(), seed.data(), position.data(), n, in, out, targets_.data(), logprob_.data());
      };
    }
  } else if (s.op == "rms_norm" || s.op == "rms_norm_backward") {
    float *x = array(n * in, 1), *w = array(in, 1), *y = array(n * in, 1), *rstd = array(n, 1), *dx = array(n * in, 1), *dw = array(in, 0);
    if (s.op == "rms_norm")
      work_ = [=, &b] { b.rms_norm(x, in, w, n, in, 1e-6f, y, in, rstd); };
    else
      work_ = [=, &b] { b.rms_norm_backward(y, in, x, in, w, rstd, n, in, dx, in, true, dw); };
  } else if (s.op == "swiglu" || s.op == "swiglu_backward") {
    float *gate_up = array(n * 2 * in, 4), *h = array(n * in, 1), *dgate_up = array(n * 2 * in, 1);
    if (s.op == "swiglu")
      work_ = [=, &b] { b.swiglu(gate_up, n, in, h); };
    else
      work_ = [=, &b] { b.swiglu_backward(gate_up, h, n, in, dgate_up); };
  } else if (s.op == "adamw") {
    float *w = array(n, 1), *g = array(n, 1), *m = array(n, 1), *v = array(n, 0);
    work_ = [=, &b] { b.adamw(w, g, m, v, Moments::kFloat32, 0, n, {1e-5f, 0.9f, 0.999f, 1e-8f, 0.01f, 1.0f, 10}); };
  } else if (s.op == "attention" || s.op == "attention_backward") {
    // `rows` sequences of `out` tokens, width `in`.
    const int64_t heads = in / kHeadDim, kv_heads = std::max<int64_t>(1, heads / kKvShare), kv = kv_heads * kHeadDim, tokens = n * out;
    float *q = array(tokens * in, 1), *keys = array(tokens * 2 * kv, 1), *o = array(tokens * in, 1), *lse = array(tokens * heads, 1);
    float *dout = array(tokens * in, 1), *dq = array(tokens * in, 1), *dkv = array(tokens * 2 * kv, 0);
    length_ = out;
    blocks_.resize(2 * n);
    sums_.resize(2 * n);
    for (int64_t i = 0; i < n; ++i) {
      blocks_[i] = keys + i * out * 2 * kv;
      blocks_[n + i] = blocks_[i] + kv;
      sums_[i] = dkv + i * out * 2 * kv;
      sums_[n + i] = sums_[i] + kv;
      gradients_.push_back({&sums_[i], &sums_[n + i]});
      segments_.push_back({i * out, out, out, {&blocks_[i], &length_, 2 * kv}, {&blocks_[n + i], &length_, 2 * kv}});
    }
    const AttentionShape shape{heads, kv_heads, kHeadDim, 1.0f / std::sqrt(static_cast<float>(kHeadDim))};
    const auto forward = [=, this, &b] { b.attention(q, in, segments_.data(), n, shape, o, in, lse); };
    forward();
    if (s.op == "attention")
      work_ = forward;
    else
      work_ = [=, this, &b] {
        b.attention_backward(q, in, o, dout, in, lse, segments_.data(), n, shape, dq, in, gradients_.data(), 2 * kv);
      };
  } else {
    throw ArgumentError("unknown workload \"" + s.op + "\"");
  }
}

Workload::~Workload() {
  for (float* p : arrays_) backend_->release(p);
}

Elapsed Workload::run(int64_t times) {
  const double cpu = process_seconds();
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < times; ++i) work_();
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  return {wall.count(), process_seconds() - cpu};
}

namespace {

// new Workload({op, threads, isa, dtype, rows, in, out}).run(times): [wall, cpu] seconds
class WorkloadObject : public Napi::ObjectWrap<WorkloadObject> {
 public:
  static void define(Napi::Env env, Napi::Object exports) {
    exports.Set("Workload", DefineClass(env, "Workload", {InstanceMethod<&WorkloadObject::run>("run")}));
  }
  explicit WorkloadObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<WorkloadObject>(info) {
    guarded(info.Env(), [&] {
      const auto o = info[0].As<Napi::Object>();
      const std::string dtype = text(o, "dtype");
      if (dtype != "float32" && dtype != "bfloat16") throw ArgumentError("dtype: unknown value \"" + dtype + "\"");
      workload_ = std::make_unique<Workload>(WorkloadSpec{text(o, "op"), static_cast<int>(integer(o, "threads")), text(o, "isa"),
                                                          dtype == "float32" ? cpu::Compute::kFloat32 : cpu::Compute::kBfloat16,
                                                          integer(o, "rows"), integer(o, "in"), integer(o, "out")});
    });
  }

 private:
  Napi::Value run(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
      const Elapsed e = workload_->run(info[0].As<Napi::Number>().Int64Value());
      Napi::Array pair = Napi::Array::New(info.Env(), 2);
      pair.Set(uint32_t{0}, e.wall);
      pair.Set(uint32_t{1}, e.cpu);
      return pair;
    });
  }
  std::unique_ptr<Workload> workload_;
};

}  // namespace

void register_workload(Napi::Env env, Napi::Object exports) { WorkloadObject::define(env, exports); }

}  // namespace siri::node
