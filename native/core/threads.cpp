// The pool behind threads.h. A call publishes one job; workers that are awake join it within a microsecond, sleeping ones are
// woken only when there are pieces for them, and the caller never waits for a worker that has not joined: it does the pieces
// itself. So a busy or shared core costs speed, never a stall. Knows nothing of what it runs.
#include "core/threads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "core/error.h"

namespace siri {
namespace {

using Body = std::function<void(int64_t, int64_t, int)>;

// Long enough to bridge the gap between two products of a layer, short enough not to burn a core that others want.
constexpr auto kSpin = std::chrono::microseconds(30);
// More pieces than threads, so that a thread that loses its core holds up little.
constexpr int64_t kPiecesPerThread = 8;

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// True as soon as ready() is, false after kSpin.
template <typename Ready>
bool spin_until(bool allowed, const Ready& ready) {
  if (ready()) return true;
  if (!allowed) return false;
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

}  // namespace

struct ThreadPool::Impl {
  std::vector<std::thread> workers;
  bool spin = true;

  std::mutex mutex;
  std::condition_variable wake, idle;
  std::atomic<uint64_t> generation{0};  // of the job published last
  std::atomic<int> active{0};           // workers inside the current job
  // Under the mutex:
  bool open = false;  // the job may still be joined
  bool stop = false;
  int sleeping = 0;
  std::exception_ptr error;
  // Written before `open`, read after joining:
  const Body* body = nullptr;
  int64_t count = 0, piece = 0;
  std::atomic<int64_t> next{0};

  void run_pieces(int worker) {
    try {
      for (;;) {
        const int64_t begin = next.fetch_add(piece, std::memory_order_relaxed);
        if (begin >= count) return;
        (*body)(begin, std::min(count, begin + piece), worker);
      }
    } catch (...) {
      next.store(count, std::memory_order_relaxed);  // the other pieces are of no use any more
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
  }

  void work(int worker) {
    uint64_t seen = 0;
    for (;;) {
      const bool awake = spin_until(spin, [&] { return generation.load(std::memory_order_acquire) != seen; });
      {
        std::unique_lock lock(mutex);
        if (!awake) {
          ++sleeping;
          wake.wait(lock, [&] { return stop || generation.load(std::memory_order_relaxed) != seen; });
          --sleeping;
        }
        if (stop) return;
        seen = generation.load(std::memory_order_relaxed);
        if (!open) continue;
        active.fetch_add(1, std::memory_order_relaxed);
      }
      run_pieces(worker);
      {
        const std::lock_guard lock(mutex);
        if (active.fetch_sub(1, std::memory_order_release) == 1) idle.notify_one();
      }
    }
  }

  void finish() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
      generation.fetch_add(1, std::memory_order_release);
    }
    wake.notify_all();
    for (std::thread& t : workers) t.join();
  }
};

ThreadPool::ThreadPool(int threads) : impl_(std::make_unique<Impl>()) {
  if (threads < 1) throw ArgumentError("threads is " + std::to_string(threads) + "; it must be at least 1");
  const unsigned cores = std::thread::hardware_concurrency();
  impl_->spin = cores == 0 || static_cast<unsigned>(threads) <= cores;
  impl_->workers.reserve(threads - 1);
  try {
    for (int i = 1; i < threads; ++i) impl_->workers.emplace_back([this, i] { impl_->work(i); });
  } catch (const std::system_error& e) {
    impl_->finish();
    throw MemoryError("the system refused thread " + std::to_string(impl_->workers.size() + 2) + " of " + std::to_string(threads) + ": " +
                      e.what() + "; ask for fewer threads");
  }
}

ThreadPool::~ThreadPool() { impl_->finish(); }

int ThreadPool::size() const { return static_cast<int>(impl_->workers.size()) + 1; }

void ThreadPool::parallel_for(int64_t count, int64_t grain, const Body& body) {
  if (count <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (count <= grain || impl_->workers.empty()) return body(0, count, 0);

  Impl& p = *impl_;
  const int64_t piece = std::max(grain, (count + kPiecesPerThread * size() - 1) / (kPiecesPerThread * size()));
  const int64_t pieces = (count + piece - 1) / piece;
  int to_wake = 0;
  {
    const std::lock_guard lock(p.mutex);
    p.body = &body;
    p.count = count;
    p.piece = piece;
    p.next.store(0, std::memory_order_relaxed);
    p.error = nullptr;
    p.open = true;
    p.generation.fetch_add(1, std::memory_order_release);
    to_wake = static_cast<int>(std::min<int64_t>(p.sleeping, pieces - 1));
  }
  for (int i = 0; i < to_wake; ++i) p.wake.notify_one();

  p.run_pieces(0);

  {
    const std::lock_guard lock(p.mutex);
    p.open = false;
  }
  if (!spin_until(p.spin, [&] { return p.active.load(std::memory_order_acquire) == 0; })) {
    std::unique_lock lock(p.mutex);
    p.idle.wait(lock, [&] { return p.active.load(std::memory_order_acquire) == 0; });
  }
  if (p.error) {
    std::exception_ptr e = nullptr;
    std::swap(e, p.error);
    std::rethrow_exception(e);
  }
}

}  // namespace siri
