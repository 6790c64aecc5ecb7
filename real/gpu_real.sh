#!/usr/bin/env bash
# Everything of the real mode that needs a GPU, for a machine with an H100 or H200, without network, in calls of at
# most ten minutes that go on where the one before stopped.
#   real/gpu_real.sh --pack DIR     on a machine with the build's packages and nvcc: programs and libraries to carry
#   real/gpu_real.sh [OUT]          on the GPU machine, again and again until it says "all parts done"
#   real/gpu_real.sh --dry-run      anywhere: every scenario loads and plans, and what it takes; no GPU
# BIN: folder of --pack (default build/gpu_pack where it is, else build/release). OUT: as in reports/measured/README.md
# (default reports/measured/<device>). CALL_S: seconds of one call (default 560). ARCHIVE: a file that holds OUT after every
# part; where the machine is taken back between calls, unpack it in place of OUT before the next. Needs the toolkit's
# libcublas and, for activity, libcupti. A part that fails is recorded in OUT/summary.txt and does not stop the others.
# Changes none of the card's settings.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
root=$PWD
scenario=scenarios/reconcile_gpu.txtpb
suite=scenarios/reconcile_gpu.txt
lines_of_part=6
# Names of the suite's lines that also run live, recorded.
live_names="base context_16k batch_2 kmax_24"

usage() { sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
suite_lines() { grep -vE '^[[:space:]]*(#|$)' "$suite"; }
sets_of() { suite_lines | awk -v name="$1" '$1 == name { print $2 }'; }

die() { echo "gpu_real: $1" >&2; exit "${2:-2}"; }

# Of the machine itself (C library, loader, driver), or of its toolkit (cuBLAS, 600 MB).
of_machine='/(libc|libm|libdl|librt|libpthread|ld-linux[^/]*|libcuda|libcublas|libcublasLt)\.so'
carried_bytes_max=$((64 << 20))

# A build of its own: its programs look for libraries beside themselves before anywhere else, and so do those.
pack() {
  local to=$1 build=${BUILD:-build/gpu_pack_build} library bytes elsewhere
  local -a built
  cmake --preset release -B "$build" -DTIERSCOPE_CUDA=ON '-DCMAKE_BUILD_RPATH=$ORIGIN/../lib' \
    -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags &&
    cmake --build "$build" --parallel "$(nproc)" --target tierscope kernels_gpu_test kernel_bench || exit 1
  mkdir -p "$to/bin" "$to/lib" || exit 1
  built=("$build/cli/tierscope" "$build/tests/kernels/kernels_gpu_test" "$build/kernels/kernel_bench")
  cp "${built[@]}" "$to/bin/" && strip --strip-debug "$to"/bin/* || exit 1
  while read -r library; do
    cp -L "$library" "$to/lib/" || exit 1
  done < <(ldd "${built[@]}" | awk '/=> \// { print $3 }' | sort -u | grep -vE "$of_machine")
  elsewhere=$(env -i /usr/bin/ldd "$to"/bin/* | grep -E '=> (/|not found)' | grep -vF /bin/../lib/ | grep -vE "$of_machine" | sort -u)
  [ -z "$elsewhere" ] || die "pack: needed beside what is packed: $elsewhere"
  bytes=$(du -sb "$to" | cut -f 1)
  [ "$bytes" -le $carried_bytes_max ] || die "pack: $to has $bytes bytes, more than the $carried_bytes_max that are carried"
  echo "packed $to: $((bytes >> 20)) MiB, needs $(grep -aoh 'GLIBC_2\.[0-9]*' "$to"/bin/* "$to"/lib/* | sort -uV | tail -1) or above"
}

find_programs() {
  bin=${BIN:-build/gpu_pack}
  if [ -d "$bin/bin" ]; then
    tierscope=$bin/bin/tierscope kernels=$bin/bin/kernels_gpu_test bench=$bin/bin/kernel_bench
  else
    bin=${BIN:-build/release}
    tierscope=$bin/cli/tierscope kernels=$bin/tests/kernels/kernels_gpu_test bench=$bin/kernels/kernel_bench
  fi
  [ -x "$tierscope" ] || die "no $tierscope; carry what --pack made, or build with the preset release"
  local said
  said=$("$tierscope" --help 2>&1 >/dev/null) || die "$tierscope does not start here: $said"
}

# Folders of the libraries that programs look up when they run: the usual ones, else wherever they lie.
toolkit_folders() {
  local name folder
  for name in libcublas.so libcublasLt.so libcupti.so; do
    for folder in /usr/local/cuda/lib64 /usr/local/cuda/extras/CUPTI/lib64 /usr/lib/x86_64-linux-gnu; do
      compgen -G "$folder/$name.1[23]" >/dev/null && { echo "$folder"; continue 2; }
    done
    find /usr /opt -name "$name.1[23]" -printf '%h\n' 2>/dev/null | head -1
  done | sort -u | paste -sd:
}

dry_run() {
  local failed=0 name sets count=0
  find_programs
  while read -r name sets; do
    count=$((count + 1))
    # Live: the replayed trace is made on the machine that runs it.
    "$tierscope" real "$scenario" --backend=cuda --mode=live --plan --set "$sets,name=$name" || failed=1
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
command -v nvidia-smi >/dev/null || die "no nvidia-smi, so no GPU here" 77
device=$(nvidia-smi --query-gpu=name --format=csv,noheader -i 0) || die "$device" 77
slug=$(echo "$device" | tr '[:upper:]' '[:lower:]' | tr -cs 'a-z0-9' '-' | sed 's/^-//; s/-$//')
out=${1:-reports/measured/$slug}
find_programs
LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$(toolkit_folders)
export LD_LIBRARY_PATH
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
  keep
}
# OUT without the whole run folders, in one file that is there in full or not at all.
keep() {
  [ -n "${ARCHIVE:-}" ] || return 0
  tar -czf "$ARCHIVE.part" -C "$(dirname "$out")" --exclude="${out##*/}/runs" "${out##*/}" && mv "$ARCHIVE.part" "$ARCHIVE"
}

describe() {
  nvidia-smi --format=csv --query-gpu=name,driver_version,compute_cap,memory.total,ecc.mode.current,power.limit,temperature.gpu,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,pcie.link.gen.current,pcie.link.width.current
}

calibrate() {
  "$tierscope" calibrate --backend=cuda --scenario="$scenario" --rounds="$1" --out="$out/reconcile_gpu/profile.txtpb"
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
# Live, recorded, and the recording replayed; results and activity are kept. A record of activity with holes fails a
# run with exit code 1; then the part has failed, and the run is taken again without.
real_or_untraced() {
  local code=0
  "$tierscope" real "$@" || code=$?
  [ $code -ne 1 ] || "$tierscope" real "$@" --no-trace
  return $code
}
live() {
  local name=$1 sets mode code=0
  sets=$(sets_of "$name"),name=live_$name
  real_or_untraced "$scenario" --backend=cuda --mode=live --set "$sets" --repeats=2 --record="$runs/$name.trace" \
    --out="$runs/live_$name" --overwrite || code=$?
  real_or_untraced "$scenario" --backend=cuda --mode=replay --set "$sets,workload.attention.trace=$runs/$name.trace" \
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
  until grep -q 'timed pass 2' "$out/faults/interrupt.log" || ! kill -0 $pid 2>/dev/null || [ $((SECONDS - begin)) -gt 100 ]; do
    sleep 0.2
  done
  kill -INT $pid 2>/dev/null
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
export -f clean suite_lines sets_of calibrate reconcile_part real_or_untraced live refuse interrupted faults small_real sanitize

commit() {
  local head
  head=$(git rev-parse HEAD 2>/dev/null) || { echo unknown; return; }
  git diff --quiet HEAD 2>/dev/null && echo "$head" || echo "$head with changes"
}
if [ ! -e "$out/machine.txt" ]; then
  {
    echo "date      $(date -u +%Y-%m-%dT%H:%M:%SZ)"
    echo "commit    ${COMMIT:-$(commit)}"
    echo "host      $(uname -sr), $(nproc) cores, $(awk '/MemTotal/ { print int($2 / 1048576) }' /proc/meminfo) GiB"
    describe
  } >"$out/machine.txt"
fi

suite_part() { part "suite_$1" 300 bound reconcile_part "$1" $((1 + ($1 - 1) * lines_of_part)); }

# The most telling first, should there be no time for all: right results, the profile (fixed before any run that it is
# judged on), the smallest scenarios against it, then all else in turns.
pending=0
part kernels 150 need "$kernels" 1 "$RANDOM"
if [ "$(cat "$out/done/kernels" 2>/dev/null)" = 77 ]; then
  cat "$out/kernels.txt" >&2
  rm -f "$out/done/kernels"
  die "nvidia-smi names $device, but CUDA finds no device that the kernels can use" 77
fi
part small 90 need small_real
profile=$out/reconcile_gpu/profile.txtpb
part calibrate 300 need calibrate 7
[ -e "$profile" ] || [ ! -e "$out/done/calibrate" ] || part calibrate_short 240 need calibrate 3
[ ! -e "$profile" ] || suite_part 1
part live_base 120 need live base
part memcheck 200 need sanitize memcheck
part benchmark 150 need "$bench" --quick "$out/bench.json"
parts=$((($(suite_lines | wc -l) + lines_of_part - 1) / lines_of_part))
for ((number = 2; number <= parts; ++number)); do
  [ ! -e "$profile" ] || suite_part $number
done
for name in $live_names; do part "live_$name" 120 need live "$name"; done
part faults 240 need faults
part racecheck 200 need sanitize racecheck
[ -e "$profile" ] || echo "no profile, so no scenario of the suite was run"
{ echo "after call of $SECONDS s:"; describe; } >>"$out/machine.txt"
keep
if [ $pending -ne 0 ]; then
  echo "parts are left: run it again with the same OUT"
  exit 3
fi
echo "all parts done, results in $out"
! grep -q FAILED "$out/summary.txt"
