#!/usr/bin/env bash
# Runs libFuzzer binaries over the kept corpus; a finding stops it and is left in BUILD/findings.
#   tests/fuzz/run.sh BUILD                     every target, a fixed number of runs from a fixed seed
#   tests/fuzz/run.sh BUILD TARGET OPTION...    one target as long as you like, e.g. -max_total_time=600
# What a target reaches anew is kept in BUILD/grown/TARGET.
set -euo pipefail

# About 5 s each on one core. Counts, not seconds: the same binary does the same on every machine.
COUNTS=(
  attention:16000 azure:40000 container:16000 gates:60000 import_jsonl:40000 import_npy:30000 import_recording:60000
  import_safetensors:60000 indexer:20000 json_value:200000 kernel_table:80000 mooncake:80000 model_config:100000
  options:6000 oracle_general:150000 overrides:2000 report_input:20000 request_container:40000 request_trace:30000
  result:20000 samples:100000
  scenario:60000 sweep:8000 weka:100000 wire_record:600000
)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(cd "$1" && pwd)

# A single allocation above this is a finding. Protobuf reserves up to 50,000,000 bytes, untouched,
# for a string whose length lies.
malloc_limit_mb() {
  case $1 in
    attention | container | import_recording | request_container | request_trace | wire_record) echo 51 ;;
    *) echo 16 ;;
  esac
}

# fuzz TARGET OPTION...
fuzz() {
  local target=$1 log=$build/findings/$1.log
  shift
  mkdir -p "$build/findings" "$build/grown/$target"
  # A writer's scratch file is in memory where it can be.
  if [ -d /dev/shm ]; then export TMPDIR=/dev/shm; fi
  "$build/tests/fuzz/fuzz_$target" -seed=1 -timeout=300 -rss_limit_mb=1000 -max_len=4096 \
    -malloc_limit_mb="$(malloc_limit_mb "$target")" -artifact_prefix="$build/findings/$target-" \
    "$@" >"$log" 2>&1 && return
  tail -n 40 "$log" >&2
  echo "fuzz: $target has a finding (log: $log); tests/fuzz/README.md says how to go on" >&2
  return 1
}

if [ $# -gt 1 ]; then
  target=$2
  shift 2
  fuzz "$target" "$build/grown/$target" "$root/tests/fuzz/corpus/$target" "$@"
  tail -n 3 "$build/findings/$target.log"
  exit
fi

# What a run finds anew is thrown away: a second run is the first again.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for entry in "${COUNTS[@]}"; do
  target=${entry%:*}
  mkdir "$scratch/$target"
  fuzz "$target" -runs="${entry#*:}" "$scratch/$target" "$root/tests/fuzz/corpus/$target"
  echo "$target: ${entry#*:} runs, no finding"
done
