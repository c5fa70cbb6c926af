#include "check/check.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "check/data.h"

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
  const int batch = repeat_ ? 10 : 1;  // calls to one wait
  std::vector<double> times;
  const auto start = Time::now();
  do {
    const auto from = Time::now();
    for (int i = 0; i < batch; ++i) call();
    wait_();
    times.push_back(std::chrono::duration<double>(Time::now() - from).count() / batch);
  } while (repeat_ && times.size() < 1000 && Time::now() - start < std::chrono::milliseconds(60));
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  seconds_ += times[times.size() / 2];
}

Peaks measure_peaks(Backend& device, const std::function<void()>& wait) {
  Peaks peaks;
  Clock copy(true, wait);
  constexpr int64_t kRows = 8192, kWidth = 2048, kSide = 2048;
  std::vector<int32_t> index(kRows);
  for (int64_t i = 0; i < kRows; ++i) index[i] = static_cast<int32_t>(i);
  const DeviceArray<float> from(device, kRows * kWidth, 1.0f), to(device, kRows * kWidth, 0.0f);
  copy([&] { device.gather_rows(from.data(), index.data(), kRows, kWidth, to.data()); });
  peaks.bytes_per_second = 8.0 * kRows * kWidth / copy.seconds();
  try {
    Clock product(true, wait);
    device.weights_changed();
    product([&] { device.linear(from.data(), kSide, from.data(), nullptr, nullptr, kSide, kSide, kSide, to.data(), kSide); });
    peaks.flops_per_second = 2.0 * kSide * kSide * kSide / product.seconds();
  } catch (const Error&) {  // a device that has no products yet
  }
  return peaks;
}

bool Check::wanted(const std::string& name) const { return options_.filter.empty() || name.find(options_.filter) != std::string::npos; }

void Check::condition(const std::string& name, const std::string& shape, const std::function<bool(Backend&)>& holds) {
  if (!wanted(name)) return;
  begin(name, shape, {});
  kind_ = "holds";
  bool held = false;
  std::string complaint = "does not hold";
  try {
    held = holds(*devices_[0]);
  } catch (const Error& e) {
    complaint = e.what();
  }
  if (name == options_.inject) {
    held = !held;
    ++injected_;
  }
  verdict(held, complaint);
  end(0);
}

void Check::rate(const std::string& name, const std::string& shape, Cost cost, double seconds) {
  if (!options_.time) return;
  begin(name, shape, cost);
  end(seconds);
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
  // The floor: no device moves the bytes or does the arithmetic in less.
  double floor = 0;
  if (peaks_.bytes_per_second > 0) floor = cost_.bytes / peaks_.bytes_per_second;
  if (peaks_.flops_per_second > 0) floor = std::max(floor, cost_.flops / peaks_.flops_per_second);
  const bool timed = options_.time && seconds > 0;
  std::printf("%-22s %-58s %9s %9s %11s %9s %9s %6s  %s\n", name_.c_str(), shape_.c_str(), compared_ ? text("%.1e", error_).c_str() : kind_,
              compared_ ? text("%.1e", plain_).c_str() : "", timed ? text("%.1f us", seconds * 1e6).c_str() : "",
              timed && cost_.bytes > 0 ? text("%.3g MB", cost_.bytes * 1e-6).c_str() : "",
              timed && cost_.flops > 0 ? text("%.3g MF", cost_.flops * 1e-6).c_str() : "",
              timed && floor > 0 ? text("%.0f%%", 100 * floor / seconds).c_str() : "", complaints_.empty() ? "ok" : "FAILED");
  for (const std::string& c : complaints_) std::printf("    %s\n", c.c_str());
}

}  // namespace siri::check
