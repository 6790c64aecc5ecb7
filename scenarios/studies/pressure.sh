#!/bin/sh
# flashmemory against lsa at equal hardware, from light load to four times the page reserve: one CSV
# line a run. README.md beside this file says what comes out. SETS are overrides for all runs.
#
#   [SCENARIOS=h20_lsa] [PHASES=aligned] [REQUESTS="32 64"] scenarios/studies/pressure.sh [SETS]
#
# The column load is requests x 192 wanted pages / 6,143 pages for recall: the reserve of 458,752
# entries less FlashMemory's decode region. It means nothing where SETS change KMAX or reserve.
set -eu
here=$(dirname "$0")
tierscope=${TIERSCOPE:-$here/../../build/release/cli/tierscope}
sets=${1:-seed=1}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

metrics="throughput_tok_per_s throughput_tok_per_s_1s_min throughput_tok_per_s_1s_p1
 throughput_tok_per_s_1s_max concurrency_mean tpot_ms_p99 queue_ms_p99 stall_fraction coverage
 miss_evicted recall_miss_rate sideband_utilisation link_utilisation"

run() {  # scenario phase requests
  "$tierscope" run "$here/../$1.txtpb" --out "$out/run" --overwrite --format=csv \
    --set engine.simulated_s=600,policy.reserve_entries=458752 \
    --set policy.phase="$2",workload.concurrency="$3" --set "$sets" \
    >"$out/result.csv" 2>"$out/log" || { cat "$out/log" >&2; exit 1; }
  awk -F, -v first="$1,$2,$3" -v requests="$3" -v names="$metrics" '
    { value[$2] = $4 }
    END {
      first = first sprintf(",%.2f", requests * 192 / 6143)
      n = split(names, name, " ")
      for (i = 1; i <= n; ++i) first = first "," value[name[i]]
      print first
    }' "$out/result.csv"
}

echo "scenario,phase,requests,load,$(echo $metrics | tr ' ' ',')"
for scenario in ${SCENARIOS:-h20_flashmemory h20_lsa}; do
  for phase in ${PHASES:-aligned staggered}; do
    for requests in ${REQUESTS:-8 16 24 32 40 48 64 96 128}; do
      run "$scenario" "$phase" "$requests"
    done
  done
done
