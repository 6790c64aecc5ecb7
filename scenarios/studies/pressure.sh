#!/bin/sh
# flashmemory against lsa at equal hardware, from light load to four times the page reserve. Prints
# one CSV line a run. README.md beside this file says what comes out.
#
#   scenarios/studies/pressure.sh [TIERSCOPE [MORE_SETS]]
set -eu
tierscope=${1:-build/release/cli/tierscope}
more=${2:-engine.simulated_s=600}
here=$(dirname "$0")
reserve_pages=6143  # of 458,752 entries less FlashMemory's decode region; 32 x 192 = 6,144
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

metrics="throughput_tok_per_s throughput_tok_per_s_1s_min throughput_tok_per_s_1s_max
 concurrency_mean tpot_ms_p99 queue_ms_p99 stall_fraction coverage miss_evicted recall_miss_rate
 sideband_utilisation link_utilisation"

run() {  # scenario phase requests
  "$tierscope" run "$here/../$1.txtpb" --out "$out/run" --overwrite --format=csv \
    --set policy.reserve_entries=458752,policy.phase="$2",workload.concurrency="$3" \
    --set "$more" >"$out/result.csv" 2>"$out/log" || { cat "$out/log" >&2; exit 1; }
  awk -F, -v first="$1,$2,$3" -v load="$3" -v pages="$reserve_pages" -v names="$metrics" \
    '{ value[$2] = $4 } END {
      first = first sprintf(",%.2f", load * 192 / pages)
      n = split(names, name, " ")
      for (i = 1; i <= n; ++i) first = first "," value[name[i]]
      print first }' "$out/result.csv"
}

echo "scenario,phase,requests,load,$(echo $metrics | tr ' ' ',')"
for scenario in h20_flashmemory h20_lsa; do
  for phase in aligned staggered; do
    for requests in 8 16 24 32 40 48 64 96 128; do
      run "$scenario" "$phase" "$requests"
    done
  done
done
