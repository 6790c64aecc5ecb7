#!/usr/bin/env bash
# Everything of the real mode that needs a GPU, for a machine with an H100 or H200, without network, in calls of at
# most ten minutes that go on where the one before stopped.
#   real/gpu_real.sh --pack DIR     on a machine with the build's packages and nvcc: programs and libraries to carry
#   real/gpu_real.sh [OUT]          on the GPU machine, again and again until it says "all parts done"
#   real/gpu_real.sh --dry-run      anywhere: every scenario loads and plans, and what it takes; no GPU
# BIN: folder of --pack (default build/gpu_pack where it is, else build/release). OUT: as in reports/measured/README.md
# (default reports/measured/<device>). CALL_S: seconds of one call (default 560). Needs the toolkit's libcublas and,
# for activity, libcupti in LD_LIBRARY_PATH or /usr/local/cuda/lib64. A part that fails is recorded in
# OUT/summary.txt and does not stop the others. Changes none of the card's settings.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
root=$PWD
scenario=scenarios/reconcile_gpu.txtpb
suite=scenarios/reconcile_gpu.txt
lines_of_part=6
# Names of the suite's lines that also run live, recorded.
live_names="base context_16k batch_2 kmax_24"

usage() { sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
suite_lines() { grep -vE '^[[:space:]]*(#|$)' "$suite"; }
sets_of() { suite_lines | awk -v name="$1" '$1 == name { print $2 }'; }

pack() {
  local to=$1 program library
  cmake --preset release -DTIERSCOPE_CUDA=ON &&
    cmake --build --preset release --target tierscope kernels_gpu_test kernel_bench || exit 1
  mkdir -p "$to/bin" "$to/lib"
  for program in cli/tierscope tests/kernels/kernels_gpu_test kernels/kernel_bench; do
    cp "build/release/$program" "$to/bin/" || exit 1
    strip --strip-debug "$to/bin/$(basename "$program")"
  done
  # What a bare machine lacks; the C library and the loader are its own.
  ldd "$to"/bin/* | awk '/=> \// { print $3 }' | sort -u |
    grep -vE '/(libc|libm|libdl|librt|libpthread|ld-linux[^/]*)\.so' | while read -r library; do
    cp -L "$library" "$to/lib/"
  done
  du -sh "$to"
}

dry_run() {
  local failed=0 name sets count=0 program=${BIN:-build/release/cli}/tierscope
  [ -x "$program" ] || program=${BIN:-build/release}/bin/tierscope
  while read -r name sets; do
    count=$((count + 1))
    # Live: the replayed trace is made on the machine that runs it.
    "$program" real "$scenario" --backend=cuda --mode=live --plan --set "$sets,name=$name" || failed=1
  done < <(suite_lines)
  for name in $live_names; do
    [ -n "$(sets_of "$name")" ] || { echo "gpu_real: no line $name in $suite" >&2; failed=1; }
  done
  echo "$count scenarios"
  [ "$count" -ge 20 ] || { echo "gpu_real: fewer than 20 scenarios in $suite" >&2; failed=1; }
  return $failed
}

case ${1:-} in
  --pack) [ $# -eq 2 ] || usage; pack "$2"; exit ;;
  --dry-run) dry_run; exit ;;
  -*) usage ;;
esac

export PATH=$PATH:/usr/local/cuda/bin
command -v nvidia-smi >/dev/null || { echo "gpu_real: no nvidia-smi, so no GPU here" >&2; exit 77; }
device=$(nvidia-smi --query-gpu=name --format=csv,noheader -i 0) || { echo "gpu_real: $device" >&2; exit 77; }
slug=$(echo "$device" | tr '[:upper:]' '[:lower:]' | tr -cs 'a-z0-9' '-' | sed 's/^-//; s/-$//')
out=${1:-reports/measured/$slug}
bin=${BIN:-build/gpu_pack}
if [ -d "$bin/bin" ]; then
  export LD_LIBRARY_PATH=$bin/lib:${LD_LIBRARY_PATH:-}:/usr/local/cuda/lib64
  tierscope=$bin/bin/tierscope kernels=$bin/bin/kernels_gpu_test bench=$bin/bin/kernel_bench
else
  export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}:/usr/local/cuda/lib64
  tierscope=build/release/cli/tierscope kernels=build/release/tests/kernels/kernels_gpu_test
  bench=build/release/kernels/kernel_bench
fi
[ -x "$tierscope" ] || { echo "gpu_real: no $tierscope; carry what --pack made, or build with the preset release" >&2; exit 2; }
runs=${RUNS:-$out/runs} # whole run folders; what is committed is copied to OUT
mkdir -p "$out/done" "$out/reconcile_gpu" "$out/live" "$out/faults" "$runs"
call_s=${CALL_S:-560}

clean() { sed -i "s|$root/||g; s|$root|.|g; s|$out/||g" "$@" 2>/dev/null; }
left() { echo $((call_s - SECONDS)); }

# part NAME SECONDS NEED COMMAND...: once, if as many seconds are left as it may take; a line in the summary. One that
# ran over its limit or failed is not tried again, unless its file in OUT/done is removed.
part() {
  local name=$1 limit=$2 need=$3 begin=$SECONDS code verdict=passed
  shift 3
  [ -e "$out/done/$name" ] && return
  if [ "$(left)" -lt "$limit" ]; then
    pending=1
    return
  fi
  timeout --kill-after=10 "$limit" bash -c '"$0" "$@"' "$@" >"$out/$name.txt" 2>&1
  code=$?
  clean "$out/$name.txt"
  [ $code -eq 0 ] || verdict="FAILED (exit $code)"
  [ $code -eq 1 ] && [ "$need" = bound ] && verdict="a bound failed (exit 1)"
  [ $code -eq 124 ] && verdict="FAILED (over $limit s)"
  [ $code -eq 77 ] && verdict=skipped
  printf '%-18s %s, %d s\n' "$name" "$verdict" $((SECONDS - begin)) | tee -a "$out/summary.txt"
  echo "$code" >"$out/done/$name"
}

describe() {
  nvidia-smi --format=csv --query-gpu=name,driver_version,compute_cap,memory.total,ecc.mode.current,power.limit,temperature.gpu,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,pcie.link.gen.current,pcie.link.width.current
}

calibrate() {
  "$tierscope" calibrate --backend=cuda --scenario="$scenario" --rounds=7 --out="$out/reconcile_gpu/profile.txtpb"
}
# A part of the suite; its summary and the phases of each run are kept.
reconcile_part() {
  local part=$1 first=$2 lines folder=$runs/suite_$1
  lines=$(mktemp) || return 1
  suite_lines | tail -n "+$first" | head -n "$lines_of_part" >"$lines"
  "$tierscope" reconcile "$scenario" --backend=cuda --profile="$out/reconcile_gpu/profile.txtpb" \
    --suite="$lines" --repeats=2 --out="$folder"
  local code=$?
  rm -f "$lines"
  cp "$folder/summary.json" "$out/reconcile_gpu/summary_$part.json" 2>/dev/null
  cp "$folder/summary.md" "$out/reconcile_gpu/summary_$part.md" 2>/dev/null
  return $code
}
# Live, recorded, and the recording replayed; results and activity are kept.
live() {
  local name=$1 sets mode code=0
  sets=$(sets_of "$name"),name=live_$name
  "$tierscope" real "$scenario" --backend=cuda --mode=live --set "$sets" --repeats=2 --record="$runs/$name.trace" \
    --out="$runs/live_$name" --overwrite || code=$?
  "$tierscope" real "$scenario" --backend=cuda --mode=replay --set "$sets,workload.attention.trace=$runs/$name.trace" \
    --repeats=2 --out="$runs/replay_$name" --overwrite || code=$?
  for mode in live replay; do
    mkdir -p "$out/live/${mode}_$name"
    cp "$runs/${mode}_$name"/{result.json,metrics.csv,phases.csv,activity.csv} "$out/live/${mode}_$name/" 2>/dev/null
  done
  return $code
}
# refuse NAME EXIT PATTERN COMMAND...: the command ends so, in so many words.
refuse() {
  local name=$1 want=$2 pattern=$3 code
  shift 3
  "$@" >"$out/faults/$name.txt" 2>&1
  code=$?
  clean "$out/faults/$name.txt"
  if [ $code -eq "$want" ] && grep -q "$pattern" "$out/faults/$name.txt"; then
    echo "$name: as it should be (exit $code)"
    return 0
  fi
  echo "$name: exit $code, wanted $want and '$pattern':"
  tail -3 "$out/faults/$name.txt"
  return 1
}
interrupted() {
  local begin=$SECONDS pid
  set -m # or the run would be started with interrupts ignored
  "$tierscope" real "$scenario" --backend=cuda --mode=live --repeats=1000 --out="$runs/interrupted" --overwrite \
    >"$out/faults/interrupt.log" 2>&1 &
  pid=$!
  until grep -q 'timed pass 2' "$out/faults/interrupt.log" || [ $((SECONDS - begin)) -gt 100 ]; do sleep 0.2; done
  kill -INT $pid
  wait $pid
  local code=$?
  cat "$out/faults/interrupt.log"
  rm -f "$out/faults/interrupt.log"
  return $code
}
faults() {
  local code=0 real="$tierscope real $scenario --backend=cuda --mode=live --out=$runs/fault --overwrite"
  # shellcheck disable=SC2086
  {
    refuse no_device 2 "run on a machine with an NVIDIA GPU" env CUDA_VISIBLE_DEVICES= $real || code=1
    refuse pinned_limit 2 "pinned memory" $real --pinned-gib=1 || code=1
    refuse device_memory 2 "device memory" $real --set workload.concurrency=1024,workload.request_limit=1024 \
      --pinned-gib=4096 || code=1
    refuse interrupt 130 "interrupted; nothing is written" interrupted || code=1
  }
  return $code
}
small_sets=workload.concurrency=2,workload.request_limit=2,workload.context_tokens=2048,workload.output_tokens=18
# With graphs and without.
small_real() {
  "$tierscope" real scenarios/cpu_small.txtpb --backend=cuda --out="$runs/small" --overwrite --set "$small_sets" &&
    "$tierscope" real scenarios/cpu_small.txtpb --backend=cuda --no-graphs --no-trace --out="$runs/small_eager" \
      --overwrite --set "$small_sets"
}
sanitize() {
  command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not installed"; return 77; }
  compute-sanitizer --tool "$1" --error-exitcode 9 "$tierscope" real scenarios/cpu_small.txtpb --backend=cuda \
    --no-trace --out="$runs/sanitized" --overwrite --set "$small_sets"
}

export small_sets scenario suite lines_of_part root out runs tierscope
export -f clean suite_lines sets_of calibrate reconcile_part live refuse interrupted faults small_real sanitize

if [ ! -e "$out/machine.txt" ]; then
  {
    echo "date      $(date -u +%Y-%m-%dT%H:%M:%SZ)"
    echo "commit    ${COMMIT:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}$(git diff --quiet HEAD 2>/dev/null || echo ' with changes')"
    echo "host      $(uname -sr), $(nproc) cores, $(awk '/MemTotal/ { print int($2 / 1048576) }' /proc/meminfo) GiB"
    describe
  } >"$out/machine.txt"
fi

pending=0
part kernels 150 need "$kernels" 1 "$RANDOM"
part small 60 need small_real
# The profile is fixed before any run that it is judged on.
part calibrate 300 need calibrate
if [ -e "$out/reconcile_gpu/profile.txtpb" ]; then
  number=1
  first=1
  while [ $first -le "$(suite_lines | wc -l)" ]; do
    part "suite_$number" 300 bound reconcile_part $number $first
    number=$((number + 1))
    first=$((first + lines_of_part))
  done
fi
for name in $live_names; do part "live_$name" 120 need live "$name"; done
part faults 240 need faults
part memcheck 200 need sanitize memcheck
part racecheck 200 need sanitize racecheck
part benchmark 150 need "$bench" --quick "$out/bench.json"
{ echo "after call of $SECONDS s:"; describe; } >>"$out/machine.txt"
if [ $pending -ne 0 ]; then
  echo "parts are left: run it again with the same OUT"
  exit 3
fi
echo "all parts done, results in $out"
! grep -q FAILED "$out/summary.txt"
