// A persistent thread pool that splits ranges. Knows nothing of what it runs.
// Determinism is the caller's duty and an easy one: a body writes only outputs of its own range, and what it sums for one
// output never depends on where ranges were cut.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>

namespace siri {

class ThreadPool {
 public:
  // threads >= 1; the calling thread counts as one of them.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const;

  // Calls body(begin, end, worker) over [0, count) in pieces of at least `grain` (the last may be shorter); worker is in
  // [0, size()) and never runs two pieces at once. Returns when all pieces are done; rethrows the first exception.
  // Runs inline when count <= grain or size() == 1. Not re-entrant: a body must not call parallel_for.
  void parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t begin, int64_t end, int worker)>& body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace siri
