// Work for the benchmarks: one operation of backend.h on made-up data, or a loop that never changes to hold it against.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend.h"
#include "cpu/kernel_table.h"

namespace siri::node {

struct WorkloadSpec {
  std::string op;  // a key of workload.cpp's list
  int threads = 1;
  std::string isa;
  cpu::Compute compute = cpu::Compute::kFloat32;
  int64_t rows = 0, in = 0, out = 0;  // of a product; width and vocabulary of the head; heads * head_dim and length of attention
};

struct Elapsed {
  double wall = 0, cpu = 0;  // seconds; cpu: of the whole process, all threads
};

class Workload {
 public:
  // Throws ArgumentError for an unknown op.
  explicit Workload(const WorkloadSpec& spec);
  ~Workload();
  Elapsed run(int64_t times);

 private:
  float* array(int64_t size, float scale);

  std::unique_ptr<Backend> backend_;
  std::vector<float*> arrays_;
  std::vector<int32_t> targets_;
  std::vector<RowSampling> sampling_;
  std::vector<float> logprob_, entropy_;
  std::vector<const float*> blocks_;
  std::vector<float*> sums_;  // gradients of keys, then of values
  std::vector<KvGradients> gradients_;
  int64_t length_ = 0;  // of a sequence
  std::vector<AttentionSegment> segments_;
  std::function<void()> work_;
};

}  // namespace siri::node
