#!/usr/bin/env bash
# From a fresh clone on Debian 12 to the report of the main job: 60 requests of 512K context under
# Lookahead Sparse Attention on 8 x H20. As root or with sudo, for the packages only. Run it again at will.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. cmake/setup.sh

OUT=tierscope-runs/quickstart

[ $# -eq 0 ] || die "takes no arguments"
echo "== Debian packages"
packages_install build
echo "== Build (build/release; a few minutes the first time)"
use_ccache
build_preset release tierscope
echo "== build/release/cli/tierscope run scenarios/h20_lsa.txtpb --out $OUT --overwrite"
build/release/cli/tierscope run scenarios/h20_lsa.txtpb --out "$OUT" --overwrite ||
  die "the run failed (message above). A cache folder that can be written: TIERSCOPE_CACHE=DIR ./quickstart.sh"
[ -s "$OUT/report.html" ] || die "the run left no $OUT/report.html"
echo "== build/release/cli/tierscope report $OUT"
build/release/cli/tierscope report "$OUT" || die "the report failed (message above)"
echo "== Predicted beside executed on this machine's CPU (under a minute; a busy machine breaks bounds and says so)"
build/release/cli/tierscope reconcile scenarios/reconcile_cpu.txtpb --backend=cpu --rounds=3 --repeats=2 \
  --out "$OUT-reconcile" || [ $? -eq 1 ] || die "the reconciliation failed (message above)"
printf '\nThe reconciliation: %s\n' "$PWD/$OUT-reconcile/reconcile.md"
printf '\nThe report, for a browser: %s\n' "$PWD/$OUT/report.html"
[ ! -s "$OUT/interactive.html" ] || printf 'With charts:               %s\n' "$PWD/$OUT/interactive.html"
