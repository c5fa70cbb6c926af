#!/usr/bin/env bash
# Everything that only a GPU can prove, in one command on a CUDA machine (nvcc, CMake, a C++ compiler): build, siri_check on the device with
# times, compute-sanitizer on small shapes, the sizes of real models beside PyTorch. Where Node (or SIRI_NODE) and node_modules are, also the
# goldens, the whole trainer, and learning curves beside the CPU's. Results go to bench/gpu/ (or the folder given) with the machine, the
# driver and the commit; summary.txt says of each part whether it passed, failed or was left out and why.
#   scripts/gpu-check.sh [FOLDER]      SIRI_BUILD: build folder; SIRI_PARTS: only these, for example "build check bench"
# Exit code 0 when no part that ran failed, 1 when one did, 2 when there is nothing to run on.
set -u -o pipefail
cd "$(dirname "$0")/.."
results=${1:-bench/gpu}
build=${SIRI_BUILD:-build-gpu}
parts=${SIRI_PARTS:-build check sanitizer bench peer goldens trainer curves}
node=${SIRI_NODE-$(command -v node || true)} # set and empty: none
jobs=$(getconf _NPROCESSORS_ONLN)
mkdir -p "$results"
status=0

fail() {
  echo "$1" >&2
  exit 2
}
wanted() { case " $parts " in *" $1 "*) true ;; *) false ;; esac }
say() { printf '%-10s %s\n' "$1" "$2" | tee -a "$results/summary.txt"; }
# part NAME OUTPUT COMMAND...: runs a part with its output in a file.
part() {
  local name=$1 output=$2 begun
  shift 2
  begun=$(date +%s)
  if "$@" > "$results/$output" 2> "$results/$output.err"; then
    say "$name" "passed in $(($(date +%s) - begun)) s: $output"
    rm -f "$results/$output.err"
  else
    say "$name" "FAILED after $(($(date +%s) - begun)) s: $output"
    tail -n 20 "$results/$output" "$results/$output.err" >&2
    status=1
  fi
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
: > "$results/summary.txt"

# ---- without Node

compile() {
  cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DSIRI_CUDA=ON "-DCMAKE_CUDA_ARCHITECTURES=$capability-real" &&
    cmake --build "$build" --target siri_check -j "$jobs"
}
program=$build/Release/siri_check
wanted build && part build build.txt compile
if [ ! -x "$program" ]; then
  say check "left out: there is no $program"
  exit 1
fi

check() {
  "$program" --device cuda --time
  local code=$?
  grep -B 0 -A 3 FAILED "$results/check.txt" >&2
  return $code
}
wanted check && part check check.txt check
if wanted sanitizer; then
  if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck initcheck synccheck; do
      part "$tool" "$tool.txt" compute-sanitizer --tool "$tool" --error-exitcode 9 "$program" --device cuda --small
    done
  else
    say sanitizer "left out: compute-sanitizer is not on PATH"
  fi
fi
wanted bench && part bench bench.jsonl "$program" --bench --device cuda
if wanted peer; then
  if python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2> /dev/null; then
    part peer table.md python3 bench/gpu/peer.py "$results/bench.jsonl"
  else
    say peer "left out: there is no python3 with a PyTorch that sees the GPU"
  fi
fi

# ---- with Node

if [ -z "$node" ] || [ ! -d node_modules ]; then
  for name in goldens trainer curves; do
    wanted "$name" && say "$name" "left out: $([ -z "$node" ] && echo "no node on PATH (SIRI_NODE names one)" || echo "no node_modules: run npm ci")"
  done
  exit "$status"
fi
addon() {
  "$node" node_modules/cmake-js/bin/cmake-js build --out "$build-node" --target siri --CDSIRI_CUDA=ON \
    "--CDCMAKE_CUDA_ARCHITECTURES=$capability-real"
}
if wanted goldens || wanted trainer || wanted curves; then
  part addon addon.txt addon
  export SIRI_NATIVE=$PWD/$build-node/Release/siri.node
  # Whatever loads a policy without naming a device loads it there; what compares bits of the CPU is not among these.
  wanted goldens && SIRI_DEVICE=cuda part goldens goldens.txt "$node" node_modules/vitest/vitest.mjs run src/policy/golden.test.ts src/policy/states.test.ts
  wanted trainer && SIRI_TEST_DEVICE=cuda part trainer trainer.txt "$node" node_modules/vitest/vitest.mjs run test/device.test.ts
  wanted curves && part curves curves.md "$node" scripts/gpu-curves.mjs cuda
fi
exit "$status"
