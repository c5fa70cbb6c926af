#!/usr/bin/env bash
# Everything that only a GPU can prove, in one command on a bare CUDA machine (nvcc, CMake, a C++ compiler; no Node): build, siri_check on
# the device with times, compute-sanitizer on small shapes, messages. Results go to bench/gpu/ (or the folder given) with the machine,
# the driver and the commit.   scripts/gpu-check.sh [FOLDER]
set -u -o pipefail
cd "$(dirname "$0")/.."
results=${1:-bench/gpu}
build=${SIRI_BUILD:-build-gpu}
mkdir -p "$results"
fail() {
  echo "$1" >&2
  exit 1
}
command -v nvcc > /dev/null || fail "nvcc is not on PATH"
command -v cmake > /dev/null || fail "cmake is not on PATH"
command -v nvidia-smi > /dev/null || fail "nvidia-smi is not on PATH: no driver"
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d '. ')
[ -n "$capability" ] || fail "nvidia-smi lists no GPU"
[ "$capability" = 90 ] && capability=90a

{
  echo "date: $(date -u +%Y-%m-%dT%H:%M:%SZ)"
  echo "commit: $(git rev-parse HEAD 2> /dev/null || echo unknown)$(git diff --quiet HEAD 2> /dev/null || echo ' with changes')"
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.memory --format=csv
  nvcc --version | tail -n 2
} > "$results/machine.txt"
cat "$results/machine.txt"

cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release "-DCMAKE_CUDA_ARCHITECTURES=$capability-real" > "$build.log" 2>&1 &&
  cmake --build "$build" --target siri_check -j "$(getconf _NPROCESSORS_ONLN)" >> "$build.log" 2>&1 || {
  tail -n 60 "$build.log"
  fail "the build failed"
}
program="$build/Release/siri_check"

status=0
"$program" --device cuda --time > "$results/siri_check.txt" || status=1
tail -n 1 "$results/siri_check.txt"
grep -A 3 FAILED "$results/siri_check.txt"
if command -v compute-sanitizer > /dev/null; then
  : > "$results/sanitizer.txt"
  for tool in memcheck racecheck initcheck synccheck; do
    echo "== $tool" | tee -a "$results/sanitizer.txt"
    compute-sanitizer --tool "$tool" --error-exitcode 9 "$program" --device cuda --small >> "$results/sanitizer.txt" 2>&1 || {
      status=1
      tail -n 20 "$results/sanitizer.txt"
    }
    tail -n 1 "$results/sanitizer.txt"
  done
else
  echo "compute-sanitizer is not on PATH: not run" | tee "$results/sanitizer.txt"
fi
exit "$status"
