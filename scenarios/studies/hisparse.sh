#!/bin/sh
# HiSparse against no offload: GLM-5.1-FP8 on 8 x H200 at TP8, one node, from one request up; a
# Markdown table and the load from which the swap pays. README.md beside this file says what comes out
# and what was published. SETS are overrides for all runs.
#
#   [CONTEXT=131072] [REQUESTS="1 2 4"] scenarios/studies/hisparse.sh [SETS]
#
# gather_unaligned_factor is 1: ESS measured its gather rate on items of 656 B, which are these.
set -eu
here=$(dirname "$0")
tierscope=${TIERSCOPE:-$here/../../build/release/cli/tierscope}
sets=${1:-seed=1}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

run() {  # name requests sets
  "$tierscope" run "$here/../h20_lsa.txtpb" --out "$out/run" --overwrite --format=csv \
    --set model.preset=glm_5_1,hardware.preset=h200 \
    --set hardware.host_link.gather_unaligned_factor=1,policy.page_kmax=none \
    --set workload.attention.generator_preset=dsa_glm51,workload.attention.steps=320 \
    --set workload.attention.profiles_per_context=1,workload.context_tokens="${CONTEXT:-131072}" \
    --set workload.output_tokens=256,engine.simulated_s=60,engine.timeline_s=0 \
    --set workload.concurrency="$2" --set "$3" --set "$sets" \
    >"$out/$1.csv" 2>"$out/log" || { cat "$out/log" >&2; exit 1; }
}

echo "| requests | decoding without | tok/s without | decoding, 4,096 slots | tok/s | of without | miss rate | stall per step | tok/s, 2,048 slots | miss rate | tok/s, 4,096 slots with prefetch |"
echo "|---|---|---|---|---|---|---|---|---|---|---|"
for requests in ${REQUESTS:-1 2 3 4 6 8 12 16 20 24}; do
  run full "$requests" policy.kind=full,policy.page_kmax=96
  run swap "$requests" policy.kind=topk_swap
  run small "$requests" policy.kind=topk_swap,policy.hot_buffer_entries=2048
  run ahead "$requests" policy.kind=topk_swap,policy.fetch_overlap=0.73
  awk -F, -v requests="$requests" '
    FNR == 1 { ++file }
    { value[file, $2] = $4 }
    END {
      full = value[1, "throughput_tok_per_s"]
      swap = value[2, "throughput_tok_per_s"]
      printf "| %d | %.0f | %.1f | %.0f | %.1f | %.2f | %.1f %% | %.2f ms | %.1f | %.1f %% | %.1f |\n",
        requests, value[1, "concurrency_mean"], full, value[2, "concurrency_mean"], swap,
        swap / full, 100 * value[2, "hot_buffer_miss_rate"], value[2, "stall_ms_per_token"],
        value[3, "throughput_tok_per_s"], 100 * value[3, "hot_buffer_miss_rate"],
        value[4, "throughput_tok_per_s"]
    }' "$out/full.csv" "$out/swap.csv" "$out/small.csv" "$out/ahead.csv"
done | tee "$out/table"
awk -F'|' '{ n = $2 + 0; r = $7 + 0; if (r >= 1 && !done) { done = 1
    print "\ncrossover: the swap is slower up to " last " requests and faster from " n " on" } last = n }
  END { if (!done) print "\nno crossover: the swap is slower at every load" }' "$out/table"
