// What stands under every operation: counter-based random numbers and the thread pool.
#include <array>
#include <atomic>
#include <stdexcept>

#include "check/check.h"
#include "check/data.h"
#include "core/threads.h"

namespace siri::check {
namespace {

// Known answers of philox4x32-10 published with Random123 (Salmon et al. 2011): counter words, key words, result.
bool philox_known_answers() {
  const auto words = [](uint32_t a, uint32_t b) { return uint64_t{b} << 32 | a; };
  const uint64_t ones = ~uint64_t{0};
  return philox(0, 0, 0) == std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8} &&
         philox(ones, ones, ones) == std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd} &&
         philox(words(0xa4093822, 0x299f31d0), words(0x13198a2e, 0x03707344), words(0x243f6a88, 0x85a308d3)) ==
             std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
}

bool uniform_is_uniform() {
  constexpr int n = 20000;
  std::array<int, 10> bin{};
  for (int i = 0; i < n; ++i) {
    const double u = uniform(7, 3, i);
    if (!(u >= 0.0 && u < 1.0)) return false;
    ++bin[static_cast<size_t>(u * 10)];
  }
  for (int count : bin)
    if (std::abs(count - n / 10) > 5 * std::sqrt(n * 0.09)) return false;  // five standard deviations
  return true;
}

// Every index once, no worker in two pieces at a time.
bool covers(int threads) {
  ThreadPool pool(threads);
  for (int64_t count : {0, 1, 2, 3, 17, 1000}) {
    for (int64_t grain : {1, 3, 2000}) {
      std::vector<std::atomic<int>> visits(count), busy(threads);
      std::atomic<bool> good = true;
      pool.parallel_for(count, grain, [&](int64_t begin, int64_t end, int worker) {
        if (worker < 0 || worker >= threads || busy[worker]++ != 0) good = false;
        for (int64_t i = begin; i < end; ++i) ++visits[i];
        --busy[worker];
      });
      for (const auto& v : visits)
        if (v != 1) good = false;
      if (!good) return false;
    }
  }
  return true;
}

// An exception of any piece reaches the caller, and the pool goes on working.
bool rethrows(int threads) {
  ThreadPool pool(threads);
  for (int64_t bad : {0, 40, 99}) {
    bool caught = false;
    try {
      pool.parallel_for(100, 1, [&](int64_t begin, int64_t end, int) {
        if (begin <= bad && bad < end) throw std::out_of_range("piece");
      });
    } catch (const std::out_of_range&) {
      caught = true;
    }
    if (!caught) return false;
    std::atomic<int64_t> sum = 0;
    pool.parallel_for(100, 1, [&](int64_t begin, int64_t end, int) { sum += end - begin; });
    if (sum != 100) return false;
  }
  return true;
}

}  // namespace

void check_core(Check& check) {
  check.condition("philox", "known answers", [](Backend&) { return philox_known_answers(); });
  check.condition("philox", "uniform in ten bins", [](Backend&) { return uniform_is_uniform(); });
  for (int threads : {1, 2, 3, 5}) {
    check.condition("thread_pool", size_text("threads", threads) + " every index once", [=](Backend&) { return covers(threads); });
    check.condition("thread_pool", size_text("threads", threads) + " exceptions", [=](Backend&) { return rethrows(threads); });
  }
}

}  // namespace siri::check
