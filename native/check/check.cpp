#include "check/check.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

namespace siri::check {
namespace {

constexpr double kAllowance = 1e-5;

double error_of(double got, double want) {
  if (std::isnan(got) || std::isnan(want)) return std::isnan(got) && std::isnan(want) ? 0 : std::numeric_limits<double>::infinity();
  if (got == want) return 0;  // both infinite included
  return std::abs(got - want) / std::max(1.0, std::abs(want));
}

template <class Real>
std::pair<double, size_t> worst(const std::vector<Real>& got, const std::vector<double>& want) {
  std::pair<double, size_t> result{0, 0};
  for (size_t i = 0; i < want.size(); ++i) {
    const double e = error_of(got[i], want[i]);
    if (e > result.first) result = {e, i};
  }
  return result;
}

std::string text(const char* format, double a, double b = 0) {
  char line[64];
  std::snprintf(line, sizeof line, format, a, b);
  return line;
}

}  // namespace

void Clock::operator()(const std::function<void()>& call) {
  using Time = std::chrono::steady_clock;
  std::vector<double> times;
  const auto start = Time::now();
  do {
    const auto from = Time::now();
    call();
    times.push_back(std::chrono::duration<double>(Time::now() - from).count());
  } while (repeat_ && times.size() < 1000 && Time::now() - start < std::chrono::milliseconds(60));
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  seconds_ += times[times.size() / 2];
}

bool Check::wanted(const std::string& name) const { return options_.filter.empty() || name.find(options_.filter) != std::string::npos; }

void Check::condition(const std::string& name, const std::string& shape, const std::function<bool(Backend&)>& holds) {
  if (!wanted(name)) return;
  begin(name, shape, {});
  kind_ = "holds";
  bool held = holds(*devices_[0]);
  if (name == options_.inject) {
    held = !held;
    ++injected_;
  }
  verdict(held, "does not hold");
  end(0);
}

void Check::begin(const std::string& name, const std::string& shape, Cost cost) {
  name_ = name;
  shape_ = shape;
  cost_ = cost;
  error_ = plain_ = 0;
  compared_ = false;
  kind_ = "";
  complaints_.clear();
}

// The self-test: one element of one output of the injected operation is made wrong.
void Check::perturb(Outputs<float>& outputs) {
  if (name_ != options_.inject) return;
  for (std::vector<float>& output : outputs)
    if (!output.empty()) {
      float& x = output[output.size() / 2];
      x += 1e-3f * (1.0f + std::abs(x));
      ++injected_;
      return;
    }
}

void Check::compare(const Outputs<float>& got, const Outputs<double>& want, const Outputs<float>& plain) {
  if (got.size() != want.size() || plain.size() != want.size()) return verdict(false, "the twin has another number of outputs");
  for (size_t o = 0; o < want.size(); ++o) {
    if (got[o].size() != want[o].size() || plain[o].size() != want[o].size()) {
      verdict(false, "output " + std::to_string(o) + " has " + std::to_string(got[o].size()) + " elements, the twin " +
                         std::to_string(want[o].size()));
      continue;
    }
    const auto [error, at] = worst(got[o], want[o]);
    const double straightforward = worst(plain[o], want[o]).first;
    if (!compared_ || error - straightforward > error_ - plain_) {
      compared_ = true;
      error_ = error;
      plain_ = straightforward;
    }
    verdict(error <= straightforward + kAllowance,
            "output " + std::to_string(o) + " element " + std::to_string(at) + ": " +
                text("%.9g, twin %.9g", want[o].empty() ? 0 : got[o][at], want[o].empty() ? 0 : want[o][at]) +
                text(", error %.2e, allowed %.2e", error, straightforward + kAllowance));
  }
}

void Check::same_bits(const char* what, const Outputs<float>& a, const Outputs<float>& b) {
  if (a.size() != b.size()) return verdict(false, std::string(what) + ": another number of outputs");
  for (size_t o = 0; o < a.size(); ++o) {
    if (a[o].size() != b[o].size()) {
      verdict(false, std::string(what) + ": output " + std::to_string(o) + " has another size");
      continue;
    }
    size_t i = 0;
    while (i < a[o].size() && std::memcmp(&a[o][i], &b[o][i], sizeof(float)) == 0) ++i;
    verdict(i == a[o].size(), std::string(what) + ": other bits in output " + std::to_string(o) + " element " + std::to_string(i) +
                                  (i < a[o].size() ? text(", %.9g and %.9g", a[o][i], b[o][i]) : ""));
  }
}

void Check::verdict(bool ok, const std::string& complaint) {
  ++(ok ? passed_ : failed_);
  if (!ok) complaints_.push_back(complaint);
}

void Check::end(double seconds) {
  std::string rate;
  if (seconds > 0 && cost_.flops > 0)
    rate = text("%.1f GFLOP/s", cost_.flops / seconds * 1e-9);
  else if (seconds > 0 && cost_.bytes > 0)
    rate = text("%.1f GB/s", cost_.bytes / seconds * 1e-9);
  std::printf("%-22s %-58s %9s %9s %10s %14s  %s\n", name_.c_str(), shape_.c_str(), compared_ ? text("%.1e", error_).c_str() : kind_,
              compared_ ? text("%.1e", plain_).c_str() : "", seconds > 0 ? text("%.1f us", seconds * 1e6).c_str() : "", rate.c_str(),
              complaints_.empty() ? "ok" : "FAILED");
  for (const std::string& c : complaints_) std::printf("    %s\n", c.c_str());
}

}  // namespace siri::check
