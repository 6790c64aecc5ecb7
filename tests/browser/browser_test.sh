#!/usr/bin/env bash
# browser_test.sh TIERSCOPE SOURCE_DIR WORK_DIR MADE_UP_PROFILE: makes pages with the binary and opens them in
# Debian's chromium. Exits 77, with the reason, where node, npm or chromium is missing.
set -euo pipefail
TIERSCOPE=$1 SOURCE=$2 WORK=$3 MADE_UP_PROFILE=$4
skip() { echo "skipped: $1"; exit 77; }

BROWSER=$(command -v chromium || command -v chromium-browser || true)
[ -n "$BROWSER" ] || skip "no chromium (Debian: chromium)"
command -v node >/dev/null || skip "no node (Debian: nodejs)"
command -v npm >/dev/null || skip "no npm (Debian: npm)"
major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
[ "$major" -ge 18 ] || skip "node $(node --version) is older than 18"
mkdir -p "$WORK"
if ! cmp -s "$SOURCE/tests/browser/package-lock.json" "$WORK/package-lock.json" || [ ! -d "$WORK/node_modules/playwright-core" ]; then
  cp "$SOURCE/tests/browser/package.json" "$WORK/"
  (cd "$WORK" && cp "$SOURCE/tests/browser/package-lock.json" . && npm ci --ignore-scripts --no-audit --no-fund >npm.log 2>&1) ||
    { rm -f "$WORK/package-lock.json"; skip "npm ci failed: $(tail -n 1 "$WORK/npm.log")"; }
fi

PAGES=$(mktemp -d)
trap 'rm -rf "$PAGES"' EXIT
export TIERSCOPE_CACHE=$PAGES/cache
SMALL=workload.context_tokens=65536,workload.output_tokens=300,workload.concurrency=4,workload.attention.steps=256
SMALL+=,workload.attention.profiles_per_context=1,workload.attention.context_tokens=65536,policy.page_kmax=48
"$TIERSCOPE" run "$SOURCE/scenarios/h20_lsa.txtpb" --set "$SMALL" --set seed=18446744073709551615 --out "$PAGES/run" >/dev/null
"$TIERSCOPE" run "$SOURCE/scenarios/h20_full.txtpb" --out "$PAGES/full" >/dev/null
# The loader refuses such a name; whoever hands over a run folder can write it.
cp -r "$PAGES/full" "$PAGES/hostile"
"$TIERSCOPE" validate --format=json >"$PAGES/validate.json"
"$TIERSCOPE" capacity "$SOURCE/scenarios/h20_full.txtpb" --set engine.simulated_s=120,engine.slo.tpot_ms=25 --format=json >"$PAGES/capacity.json"
# Real reconciliations, on a profile with made-up times: their bounds are broken, exit code 1.
"$MADE_UP_PROFILE" >"$PAGES/profile.txtpb"
reconcile() {
  "$TIERSCOPE" reconcile "$SOURCE/scenarios/reconcile_cpu.txtpb" --backend=cpu --profile "$PAGES/profile.txtpb" \
    --set workload.context_tokens=8192,workload.output_tokens=17,workload.concurrency=1,workload.request_limit=1 \
    --set workload.attention.steps=32,workload.attention.profiles_per_context=1,policy.page_kmax=4 "$@" \
    >"$PAGES/reconcile.log" 2>&1 || [ $? = 1 ] || { cat "$PAGES/reconcile.log"; exit 1; }
}
reconcile --repeats=2 --out "$PAGES/reconcile"
reconcile --repeats=1 --set workload.output_tokens=10 --grid "policy.page_kmax=3,5" --out "$PAGES/grid"
cp "$SOURCE/reports/measured/xeon_2_threads/reconcile_cpu/summary.json" "$PAGES/suite.json"
"$TIERSCOPE" compare "$PAGES/full" "$PAGES/run" --across=scenario,trace --html="$PAGES/compare.html" >/dev/null || [ $? = 1 ]
node "$SOURCE/tests/browser/make_documents.js" "$PAGES/run/result.json" "$PAGES"

report() { "$TIERSCOPE" report "$@" 2>"$PAGES/report.err" || { cat "$PAGES/report.err"; exit 1; }; }
report "$PAGES/run"
[ -s "$PAGES/run/interactive.html" ] || { cat "$PAGES/report.err"; skip "the build had no npm"; }
report "$PAGES/run" "$PAGES/full" --out "$PAGES/both.html"
report "$PAGES/hostile" --out "$PAGES/hostile.html"
report "$PAGES/sweep.json" --out "$PAGES/sweep.html"
report "$PAGES/capacity.json" "$PAGES/validate.json" --out "$PAGES/documents.html"
report "$PAGES/reconcile"
report "$PAGES/suite.json" "$PAGES/grid" --out "$PAGES/suite.html"
NODE_PATH=$WORK/node_modules node "$SOURCE/tests/browser/page_test.js" "$BROWSER" "$PAGES"
