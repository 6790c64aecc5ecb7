#!/usr/bin/env bash
# Everything that needs a GPU, in one go and within ten minutes: builds the kernels for this machine's device,
# runs every kernel against its reference, under compute-sanitizer too, times them and profiles them.
#   kernels/gpu_check.sh [OUT]     OUT defaults to reports/measured/<device>
# Needs CUDA 12.8 or above and CMake; no GoogleTest, Abseil or protobuf. OUT is ready to commit. A step that
# fails or is missing is recorded in OUT/summary.txt and does not stop the others. Exits 0 when the tests, and
# the sanitizer where it is installed, passed. Changes none of the card's settings.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
export PATH=$PATH:/usr/local/cuda/bin

command -v nvidia-smi >/dev/null || { echo "gpu_check: no nvidia-smi, so no GPU here" >&2; exit 77; }
name=$(nvidia-smi --query-gpu=name --format=csv,noheader -i 0) || { echo "gpu_check: $name" >&2; exit 77; }
slug=$(echo "$name" | tr 'A-Z' 'a-z' | tr -cs 'a-z0-9' '-' | sed 's/^-//; s/-$//')
arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader -i 0 | tr -d '.')
[ "$arch" = 90 ] && arch=90a
out=${1:-reports/measured/$slug}
build=build/gpu_check
mkdir -p "$out" "$build"
: >"$out/summary.txt"
failed=0

# No path of this machine goes into the results.
clean() { sed -i "s|$root/||g; s|$root|.|g" "$@" 2>/dev/null; }

# step NAME SECONDS FILE required|optional COMMAND...: output to OUT/FILE, a line in the summary.
step() {
  local what=$1 limit=$2 file=$3 need=$4 begin=$SECONDS code
  shift 4
  timeout "$limit" "$@" >"$out/$file" 2>&1
  code=$?
  clean "$out/$file"
  local verdict=passed
  [ $code -eq 0 ] || verdict="FAILED (exit $code)"
  [ $code -eq 124 ] && verdict="FAILED (over $limit s)"
  [ $code -eq 77 ] && verdict=skipped
  [ $code -ne 0 ] && [ "$need" = required ] && failed=1
  printf '%-22s %s, %d s\n' "$what" "$verdict" $((SECONDS - begin)) | tee -a "$out/summary.txt"
  return $code
}

commit() {
  local head
  head=$(git rev-parse HEAD 2>/dev/null) || { echo unknown; return; }
  git diff --quiet HEAD 2>/dev/null && echo "$head" || echo "$head with changes"
}
describe() {
  nvidia-smi --format=csv --query-gpu=name,driver_version,compute_cap,memory.total,ecc.mode.current,power.limit,temperature.gpu,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,pcie.link.gen.current,pcie.link.width.current
}

configure() {
  cmake -S kernels/standalone -B "$build" -DCMAKE_BUILD_TYPE=Release -DTIERSCOPE_CUDA_ARCHITECTURES="$arch" \
    -DCMAKE_CUDA_COMPILER="$(command -v nvcc)"
}
compile() { cmake --build "$build" --parallel "$(nproc)"; }
resources() { find "$build" -name '*.o.log' -exec grep -hE 'Compiling|spill|registers' {} +; }
disassemble() {
  for symbol in HGMMA QGMMA HMMA LDL STL; do
    printf '%s %s\n' "$symbol" "$(cuobjdump --dump-sass "$build/kernels_gpu_test" | grep -c "$symbol")"
  done
}
sanitize() {
  compute-sanitizer --tool "$1" --error-exitcode 9 "$build/kernels_gpu_test" --small 1
}
profile() {
  ncu --clock-control none --csv --section SpeedOfLight --section MemoryWorkloadAnalysis --section Occupancy \
    --section WarpStateStats -k 'regex:ScoreKernel|AttentionKernel|TopKernel|SelectKernel|GatherKernel' \
    --launch-count 24 "$build/kernels_gpu_test" 1
}
has() { command -v "$1" >/dev/null; }

{
  echo "date      $(date -u +%Y-%m-%dT%H:%M:%SZ)"
  echo "commit    ${COMMIT:-$(commit)}"
  echo "nvcc      $(nvcc --version | grep -o 'release.*')"
  echo "host      $(uname -sr), $(nproc) cores"
  describe
} >"$out/machine.txt"

export -f configure compile resources disassemble sanitize profile
export build arch
step "configure" 60 configure.txt required bash -c configure &&
  step "build" 240 build.txt required bash -c compile || exit 1
step "resources" 10 ptxas.txt optional bash -c resources
has cuobjdump && step "disassembly" 40 sass.txt optional bash -c disassemble
step "tests" 150 tests.txt required "$build/kernels_gpu_test" 1 "$RANDOM"
if has compute-sanitizer; then
  step "memcheck" 60 memcheck.txt required bash -c 'sanitize memcheck'
  step "racecheck" 90 racecheck.txt required bash -c 'sanitize racecheck'
else
  echo "compute-sanitizer      not installed" | tee -a "$out/summary.txt"
fi
step "benchmark" 150 bench.txt optional "$build/kernel_bench" --quick "$out/bench.json"
if has ncu; then
  step "profile" 60 profile.csv optional bash -c profile
else
  echo "ncu                    not installed" | tee -a "$out/summary.txt"
fi
{ echo "after:"; describe; } >>"$out/machine.txt"
rm -f "$out/configure.txt" "$out/build.txt"
echo "results in $out, $SECONDS s"
exit $failed
