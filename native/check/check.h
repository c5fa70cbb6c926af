// The bench of siri_check: runs an operation on a device, on the same device with other thread counts, and on the twin in
// reference/ in double and in float32, compares, times and keeps the table. Knows no operation.
//
// Rule: with error(x) = max over elements of |x - twin| / max(1, |twin|), a device passes when
//   error(device) <= error(straightforward float32) + 1e-5.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend.h"
#include "core/error.h"
#include "cpu/kernel_table.h"
#include "reference/gemm.h"

namespace siri::check {

template <class Real>
using Outputs = std::vector<std::vector<Real>>;  // one array per output of an operation

struct Options {
  std::string device = "cpu", isa = "all", dtype = "all", filter, inject;
  cpu::Compute compute = cpu::Compute::kFloat32;
  int threads = 2;
  uint64_t seed = 1;
  bool time = false, small = false, bench = false;
};

// What a case costs, for the rate that is printed: arithmetic if there is any to speak of, else memory.
struct Cost {
  double flops = 0, bytes = 0;
};

// What the device at hand moves and multiplies at best, as measured before the table; 0: not measured.
struct Peaks {
  double bytes_per_second = 0, flops_per_second = 0;
};
// From a copy of rows, and from a product where the device has one.
Peaks measure_peaks(Backend& device, const std::function<void()>& wait);

// Times the calls of a device between upload and download; repeats them when the table shall show a median. `wait` ends the work of
// calls that return before it is done.
class Clock {
 public:
  explicit Clock(bool repeat, std::function<void()> wait = [] {}) : repeat_(repeat), wait_(std::move(wait)) {}
  void operator()(const std::function<void()>& call);
  double seconds() const { return seconds_; }

 private:
  bool repeat_;
  std::function<void()> wait_;
  double seconds_ = 0;
};

class Check {
 public:
  // devices[0] is the one that is checked; the others differ only in what must not matter: their number of threads, and for products
  // in bfloat16 their instruction set.
  Check(const Options& options, std::vector<Backend*> devices) : options_(options), devices_(std::move(devices)) {}

  // run(Backend&, Clock&) -> Outputs<float>: the operation from upload to download.
  // twin(Real) -> Outputs<Real>: the same in double and float (called with a value of the type).
  template <class Run, class Twin>
  Outputs<float> operation(const std::string& name, const std::string& shape, Cost cost, const Run& run, const Twin& twin) {
    usable_ = false;
    if (!wanted(name) || (options_.small && cost.bytes + cost.flops > kSmall)) return {};
    begin(name, shape, cost);
    Clock clock(false);
    Outputs<float> got;
    try {
      got = run(*devices_[0], clock);
      perturb(got);
      compare(got, twin(double()), twin(float()));
      for (size_t d = 1; d < devices_.size(); ++d) {
        Clock other(false);
        same_bits("another device", got, run(*devices_[d], other));
      }
      if (options_.time) {
        clock = Clock(true, wait_);
        run(*devices_[0], clock);
      }
      usable_ = true;
    } catch (const Error& e) {
      verdict(false, e.what());
    }
    end(clock.seconds());
    return got;
  }

  // For what has no twin: outputs that must agree bit for bit between two ways to compute them. Left out when the operation before,
  // whose output is one of them, failed or was left out.
  template <class One, class Other>
  void agreement(const std::string& name, const std::string& shape, const One& one, const Other& other) {
    if (!wanted(name) || !usable_) return;
    begin(name, shape, {});
    kind_ = "bits";
    try {
      Outputs<float> got = one(*devices_[0]);
      perturb(got);
      same_bits("second way", got, other(*devices_[0]));
    } catch (const Error& e) {
      verdict(false, e.what());
    }
    end(0);
  }

  // For a condition that is neither: prints `shape` and whether it held.
  void condition(const std::string& name, const std::string& shape, const std::function<bool(Backend&)>& holds);

  // A line that only says how long something took. Left out unless times are asked for.
  void rate(const std::string& name, const std::string& shape, Cost cost, double seconds);

  bool wanted(const std::string& name) const;
  bool timed() const { return options_.time; }
  int64_t passed() const { return passed_; }
  int64_t failed() const { return failed_; }
  int64_t injected() const { return injected_; }
  // What the devices round the operands of products to.
  reference::Operand operand() const {
    return options_.compute == cpu::Compute::kBfloat16 ? reference::Operand::kBfloat16 : reference::Operand::kExact;
  }
  uint64_t seed() const { return options_.seed; }
  // How to wait for the calls that are timed from now on.
  void set_wait(std::function<void()> wait) { wait_ = std::move(wait); }
  void set_peaks(Peaks peaks) { peaks_ = peaks; }

 private:
  void begin(const std::string& name, const std::string& shape, Cost cost);
  void perturb(Outputs<float>& outputs);
  void compare(const Outputs<float>& got, const Outputs<double>& want, const Outputs<float>& plain);
  void same_bits(const char* what, const Outputs<float>& a, const Outputs<float>& b);
  void verdict(bool ok, const std::string& complaint);
  void end(double seconds);

  static constexpr double kSmall = 1e6;  // bytes and operations of a case that --small keeps

  Options options_;
  std::vector<Backend*> devices_;
  std::function<void()> wait_ = [] {};
  Peaks peaks_;
  bool usable_ = false;  // the latest operation ran to its end
  int64_t passed_ = 0, failed_ = 0, injected_ = 0;

  std::string name_, shape_;
  Cost cost_;
  double error_ = 0, plain_ = 0;
  bool compared_ = false;
  const char* kind_ = "";  // what stands for the error where there is none
  std::vector<std::string> complaints_;
};

// The cases, one file per family.
void check_embedding(Check& check);
void check_norm(Check& check);
void check_rope(Check& check);
void check_attention(Check& check, bool timed = true);
void check_swiglu(Check& check);
void check_adamw(Check& check);
// `timed`: also shapes whose size only speed needs.
void check_gemm(Check& check, bool timed = true);
void check_head(Check& check, bool timed = true);
void check_divergence(Check& check);
void check_losses(Check& check);  // of host code
void check_core(Check& check);
// The engine on the CPU with memory that the host cannot reach, and on another device beside the CPU.
void check_separated_engine(Check& check);
void check_engine(Check& check, const std::function<std::unique_ptr<Backend>()>& make_device);

}  // namespace siri::check
