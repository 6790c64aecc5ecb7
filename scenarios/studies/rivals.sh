#!/bin/sh
# Every policy on the same traces, as one Markdown table: what it holds, what it misses, how fast it
# is. 60 requests of V4-Flash on 8 x H20, at 128K with 96 pages and at 512K with 192. README.md beside
# this file has what comes out and what the rows are worth. SETS are overrides for all runs.
#
#   [CONTEXTS="131072"] [POLICIES="lsa h2o"] scenarios/studies/rivals.sh [SETS]
set -eu
here=$(dirname "$0")
tierscope=${TIERSCOPE:-$here/../../build/release/cli/tierscope}
sets=${1:-seed=1}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# Of a policy that reads pages the budget is set, of the others it is taken back to the default.
pages() {  # policy context
  case $1 in
    topk_swap | ess) echo none ;;
    *) if [ "$2" -ge 524288 ]; then echo 192; else echo 96; fi ;;
  esac
}

run() {  # policy context
  scenario=h20_lsa
  [ "$1" = flashmemory ] && scenario=h20_flashmemory
  "$tierscope" run "$here/../$scenario.txtpb" --out "$out/run" --overwrite --format=csv \
    --set engine.simulated_s=600,engine.timeline_s=0,workload.context_tokens="$2" \
    --set policy.kind="$1",policy.page_kmax="$(pages "$1" "$2")" --set "$sets" \
    >"$out/result.csv" 2>"$out/log" || { cat "$out/log" >&2; exit 1; }
  awk -F, -v policy="$1" -v context="$2" '
    { value[$2] = $4 }
    function percent(name) {
      return value[name] == "" ? "-" : sprintf("%.1f %%", 100 * value[name])
    }
    END {
      printf "| %dK | `%s` | %.1f GiB | %.3f GiB | %.0f GiB | %.1f | %s | %s | %.0f | %.2f ms |\n",
        context / 1024, policy, value["hbm_total_gib_peak"], value["hbm_kv_gib_per_request"],
        value["host_gib_peak"], value["concurrency_mean"], percent("coverage"),
        percent("golden_recall"), value["throughput_tok_per_s"], value["stall_ms_per_token"]
    }' "$out/result.csv"
}

echo "| context | policy | HBM of a rank | KV of a request in HBM | host DRAM | decoding, of 60 | coverage | golden recall | tok/s | stall per step |"
echo "|---|---|---|---|---|---|---|---|---|---|"
for context in ${CONTEXTS:-131072 524288}; do
  for policy in ${POLICIES:-full lsa flashmemory streaming_llm h2o quest topk_swap ess recency random oracle}; do
    run "$policy" "$context"
  done
done
