// siri_check: tests every operation of a device against its double-precision twin and times it. No Node, no files.
//   siri_check [--device cpu|emulated|cuda] [--isa avx512bf16|avx512|avx2|portable|all] [--dtype float32|bfloat16|all] [--threads N]
//   [--seed S] [--filter NAME] [--time] [--small] [--inject NAME]
//   siri_check --bench [--device ...] [--dtype ...] [--small]   times at the sizes of a real model, one JSON object a line; no check
// Exit code: 0 all checks passed, 1 some failed, 2 the arguments are wrong. The last line is `N passed, N failed`.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "check/bench.h"
#include "check/check.h"
#include "check/check_device.h"
#include "check/data.h"
#include "core/error.h"
#include "cpu/cpu_backend.h"
#include "cpu/kernel_table.h"
#include "cuda_backend.h"

namespace {

using siri::ArgumentError;
using siri::check::Check;
using siri::check::Options;

#ifdef SIRI_CUDA
const std::vector<std::string> kDevices = {"cpu", "emulated", "cuda"};
#else
const std::vector<std::string> kDevices = {"cpu", "emulated"};
#endif

template <class T>
T number(const std::string& flag, const std::string& text, T least, T most) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most)
    throw ArgumentError(flag + " is \"" + text + "\"; it takes a whole number from " + std::to_string(least) + " to " +
                        std::to_string(most));
  return value;
}

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--time" || flag == "--small" || flag == "--bench") {
      (flag == "--time" ? o.time : flag == "--small" ? o.small : o.bench) = true;
      continue;
    }
    if (flag != "--device" && flag != "--isa" && flag != "--dtype" && flag != "--threads" && flag != "--seed" && flag != "--filter" &&
        flag != "--inject")
      throw ArgumentError("unknown argument \"" + flag +
                          "\"; known are --device, --isa, --dtype, --threads, --seed, --filter, --time, --small, --bench and --inject");
    if (++i == argc) throw ArgumentError(flag + " needs a value");
    const std::string value = argv[i];
    if (flag == "--device") o.device = value;
    if (flag == "--isa") o.isa = value;
    if (flag == "--dtype") o.dtype = value;
    if (flag == "--threads") o.threads = number<int>(flag, value, 1, 256);
    if (flag == "--seed") o.seed = number<uint64_t>(flag, value, 0, UINT64_MAX);
    if (flag == "--filter") o.filter = value;
    if (flag == "--inject") o.inject = value;
  }
  if (std::find(kDevices.begin(), kDevices.end(), o.device) == kDevices.end())
    throw ArgumentError("--device is \"" + o.device + "\"; this build has " +
                        std::accumulate(kDevices.begin() + 1, kDevices.end(), kDevices[0],
                                        [](const std::string& a, const std::string& b) { return a + ", " + b; }));
  if (o.dtype != "float32" && o.dtype != "bfloat16" && o.dtype != "all")
    throw ArgumentError("--dtype is \"" + o.dtype + "\"; known are float32, bfloat16 and all");
  return o;
}

struct Tally {
  int64_t passed = 0, failed = 0, injected = 0;
  void add(const Check& check) {
    passed += check.passed();
    failed += check.failed();
    injected += check.injected();
  }
};

std::unique_ptr<siri::Backend> make_device(const Options& options) {
#ifdef SIRI_CUDA
  if (options.device == "cuda") return siri::cuda::make_backend(0, options.compute);
#endif
  if (options.device == "emulated") return siri::emulated::make_backend(0, options.compute);
  return siri::make_cpu_backend(options.threads, options.isa == "all" ? "" : options.isa.c_str(), options.compute);
}

// The device's best copy and product, for the share of the floor.
void take_peaks(const Options& options, siri::Backend& device, const std::function<void()>& wait, Check& check) {
  check.set_wait(wait);
  if (!options.time || options.device == "emulated") return;
  const siri::check::Peaks peaks = siri::check::measure_peaks(device, wait);
  check.set_peaks(peaks);
  std::printf("measured: copy %.1f GB/s, product %.1f GFLOP/s; floor: the share of the time that these would take\n",
              peaks.bytes_per_second * 1e-9, peaks.flops_per_second * 1e-9);
}

void print_heading(const Options& options, const std::string& what) {
  std::printf("\n%s, %s, seed %llu\n", options.device.c_str(), what.c_str(), static_cast<unsigned long long>(options.seed));
  std::printf("%-22s %-58s %9s %9s %11s %9s %9s %6s\n", "operation", "shape", "error", "float32", "time", "bytes", "flops", "floor");
}

// In bfloat16 only what multiplies matrices differs from float32.
void check_isa(const Options& options, const std::string& isa, const std::vector<std::string>& all, Tally& tally) {
  const bool bfloat16 = options.compute == siri::cpu::Compute::kBfloat16;
  std::set<int> others = {1, 2, 3};
  others.erase(options.threads);
  std::vector<std::unique_ptr<siri::Backend>> owned;
  std::vector<siri::Backend*> devices;
  owned.push_back(siri::make_cpu_backend(options.threads, isa.c_str(), options.compute));
  for (int threads : others) owned.push_back(siri::make_cpu_backend(threads, isa.c_str(), options.compute));
  for (const auto& device : owned) devices.push_back(device.get());

  print_heading(options, isa + (bfloat16 ? ", bfloat16, " : ", float32, ") + std::to_string(options.threads) + " threads");
  Check check(options, devices);
  take_peaks(options, *devices[0], [] {}, check);
  if (bfloat16) {
    siri::check::check_head(check);
    // Products give the same bits with every instruction set.
    for (const std::string& other : all)
      if (other != isa) {
        owned.push_back(siri::make_cpu_backend(options.threads, other.c_str(), options.compute));
        devices.push_back(owned.back().get());
      }
    Check products(options, devices);
    siri::check::check_gemm(products);
    tally.add(check);
    tally.add(products);
    return;
  }
  siri::check::check_core(check);
  siri::check::check_embedding(check);
  siri::check::check_norm(check);
  siri::check::check_rope(check);
  siri::check::check_attention(check);
  siri::check::check_swiglu(check);
  siri::check::check_gemm(check);
  siri::check::check_head(check);
  siri::check::check_divergence(check);
  siri::check::check_losses(check);
  siri::check::check_adamw(check);
  if (isa == all.front() || options.isa != "all") siri::check::check_separated_engine(check);
  tally.add(check);
}

// The kernels of cuda/, on a GPU or emulated. In bfloat16 only what multiplies matrices differs from float32.
void check_cuda(const Options& options, Tally& tally) {
  const bool emulated = options.device == "emulated", bfloat16 = options.compute == siri::cpu::Compute::kBfloat16;
  const std::unique_ptr<siri::Backend> device = make_device(options);
  print_heading(options, bfloat16 ? "bfloat16" : "float32");
  Check check(options, {device.get()});
  const siri::check::DeviceArray<float> probe(*device, 1, 0.0f);
  take_peaks(options, *device, [&] { probe.host(); }, check);  // a download waits
  siri::check::check_gemm(check, !emulated);
  siri::check::check_head(check, !emulated);
  if (bfloat16) return tally.add(check);
  siri::check::check_embedding(check);
  siri::check::check_norm(check);
  siri::check::check_rope(check);
  siri::check::check_attention(check, !emulated);
  siri::check::check_swiglu(check);
  siri::check::check_divergence(check);
  siri::check::check_adamw(check);
  siri::check::check_engine(check, [&] { return make_device(options); });
  if (emulated) {
    siri::emulated::check_kernels(check);
    siri::emulated::check_emulator(check);
    siri::emulated::check_mutants(check);
  }
#ifdef SIRI_CUDA
  if (!emulated) siri::cuda::check_kernels(check);
#endif
  tally.add(check);
}

// The types of compute that are asked for.
std::vector<siri::cpu::Compute> computes(const Options& options) {
  std::vector<siri::cpu::Compute> all;
  if (options.dtype != "bfloat16") all.push_back(siri::cpu::Compute::kFloat32);
  if (options.dtype != "float32") all.push_back(siri::cpu::Compute::kBfloat16);
  return all;
}

void check_cpu(Options options, Tally& tally) {
  std::vector<std::string> isas;  // that this machine and build have
  for (const char* isa : siri::cpu::kInstructionSets) {
    try {
      siri::cpu::kernels(isa);
      isas.push_back(isa);
    } catch (const ArgumentError& e) {
      if (options.isa == "all") std::printf("\nskipped %s: %s\n", isa, e.what());
    }
  }
  for (const siri::cpu::Compute compute : computes(options)) {
    options.compute = compute;
    if (options.isa != "all") {
      check_isa(options, options.isa, isas, tally);
    } else {
      for (const std::string& isa : isas) check_isa(options, isa, isas, tally);
    }
  }
}

int run(Options options) {
  if (options.bench) {
    for (const siri::cpu::Compute compute : computes(options)) {
      options.compute = compute;
      siri::check::run_bench([&] { return make_device(options); }, compute == siri::cpu::Compute::kBfloat16, options.small);
    }
    return 0;
  }
  Tally tally;
  if (options.device == "cpu")
    check_cpu(options, tally);
  else
    for (const siri::cpu::Compute compute : computes(options)) {
      options.compute = compute;
      check_cuda(options, tally);
    }
  if (!options.inject.empty() && tally.injected == 0)
    throw ArgumentError("--inject \"" + options.inject + "\" names no operation that was checked");
  if (tally.passed + tally.failed == 0) throw ArgumentError("--filter \"" + options.filter + "\" leaves nothing to check");
  std::printf("\n%lld passed, %lld failed\n", static_cast<long long>(tally.passed), static_cast<long long>(tally.failed));
  return tally.failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(parse(argc, argv));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "siri_check: %s\n", e.what());
    return 2;
  }
}
