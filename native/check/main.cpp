// siri_check: tests every operation of a device against its double-precision twin and times it. No Node, no files.
//   siri_check [--device cpu] [--isa avx512bf16|avx512|avx2|portable|all] [--dtype float32|bfloat16|all] [--threads N] [--seed S] [--filter
//   NAME] [--time] [--inject NAME]
// Exit code: 0 all checks passed, 1 some failed, 2 the arguments are wrong. The last line is `N passed, N failed`.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "check/check.h"
#include "core/error.h"
#include "cpu/cpu_backend.h"
#include "cpu/kernel_table.h"

namespace {

using siri::ArgumentError;
using siri::check::Check;
using siri::check::Options;

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
    if (flag == "--time") {
      o.time = true;
      continue;
    }
    if (flag != "--device" && flag != "--isa" && flag != "--dtype" && flag != "--threads" && flag != "--seed" && flag != "--filter" &&
        flag != "--inject")
      throw ArgumentError("unknown argument \"" + flag +
                          "\"; known are --device, --isa, --dtype, --threads, --seed, --filter, --time and --inject");
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
  if (o.device != "cpu") throw ArgumentError("--device is \"" + o.device + "\"; this build has cpu");
  if (o.dtype != "float32" && o.dtype != "bfloat16" && o.dtype != "all")
    throw ArgumentError("--dtype is \"" + o.dtype + "\"; known are float32, bfloat16 and all");
  return o;
}

struct Tally {
  int64_t passed = 0, failed = 0, injected = 0;
};

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

  std::printf("\n%s, %s, %s, %d threads, seed %llu\n", options.device.c_str(), isa.c_str(), bfloat16 ? "bfloat16" : "float32",
              options.threads, static_cast<unsigned long long>(options.seed));
  std::printf("%-22s %-58s %9s %9s %10s %14s\n", "operation", "shape", "error", "float32", "time", "rate");
  Check check(options, devices);
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
    tally.passed += check.passed() + products.passed();
    tally.failed += check.failed() + products.failed();
    tally.injected += check.injected() + products.injected();
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
  siri::check::check_losses(check);
  siri::check::check_adamw(check);
  tally.passed += check.passed();
  tally.failed += check.failed();
  tally.injected += check.injected();
}

int run(Options options) {
  Tally tally;
  std::vector<std::string> isas;  // that this machine and build have
  for (const char* isa : siri::cpu::kInstructionSets) {
    try {
      siri::cpu::kernels(isa);
      isas.push_back(isa);
    } catch (const ArgumentError& e) {
      if (options.isa == "all") std::printf("\nskipped %s: %s\n", isa, e.what());
    }
  }
  for (const auto& [name, compute] : {std::pair{"float32", siri::cpu::Compute::kFloat32}, {"bfloat16", siri::cpu::Compute::kBfloat16}}) {
    if (options.dtype != "all" && options.dtype != name) continue;
    options.compute = compute;
    if (options.isa != "all") {
      check_isa(options, options.isa, isas, tally);
    } else {
      for (const std::string& isa : isas) check_isa(options, isa, isas, tally);
    }
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
