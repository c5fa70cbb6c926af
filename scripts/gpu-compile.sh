#!/usr/bin/env bash
# Compiles the kernels for every architecture (or those given) with nvcc, no GPU needed, and fails on register spills. Prints the time
# and the sizes.   scripts/gpu-compile.sh [ARCHITECTURES]    (CMake's list; SIRI_BUILD names the build folder)
set -eu -o pipefail
cd "$(dirname "$0")/.."
command -v nvcc > /dev/null || { echo "nvcc is not on PATH: nothing compiled"; exit 2; }
build=${SIRI_BUILD:-build-cuda}
begun=$(date +%s)
cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DSIRI_CUDA=ON -DCMAKE_CUDA_FLAGS="-Xptxas=-v" ${1:+-DCMAKE_CUDA_ARCHITECTURES="$1"} > "$build.log" 2>&1 || {
  cat "$build.log"
  exit 1
}
# From the beginning: the report is of what is compiled, not of what lies there.
cmake --build "$build" --target siri_cuda --clean-first -j "$(getconf _NPROCESSORS_ONLN)" > "$build.log" 2>&1 || {
  grep -v "^ptxas info" "$build.log" | tail -n 60
  exit 1
}
node scripts/cuda-spills.mjs "$build.log"
echo "compiled in $(($(date +%s) - begun)) s; $(du -k "$build/libsiri_cuda.a" | cut -f1) kB of library"
