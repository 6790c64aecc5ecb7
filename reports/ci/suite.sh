#!/usr/bin/env bash
# Runs the suite of scenarios and gates it against the committed baseline (README.md).
#   reports/ci/suite.sh [--tierscope FILE] [--out DIR] [--today YYYY-MM-DD]
#   reports/ci/suite.sh --renew [--tierscope FILE] [--out DIR]    makes what runs now the baseline
# Leaves DIR/runs, and DIR/report.md, .html, .json and junit.xml. Exit code: of tierscope compare,
# 0 passed, 1 a metric fails, 2 wrong input, 3 not comparable; a run that fails has its own.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tierscope=$here/../../build/release/cli/tierscope
out=tierscope-runs/suite
renew=
options=()

die() {
  echo "suite: $1" >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case $1 in
    --renew) renew=1 ;;
    --tierscope | --out | --today)
      [ $# -ge 2 ] || die "$1 wants a value"
      case $1 in
        --tierscope) tierscope=$2 ;;
        --out) out=$2 ;;
        --today) options+=("--today=$2") ;;
      esac
      shift
      ;;
    *) die "unknown option '$1'; the first lines of ${BASH_SOURCE[0]} list them" ;;
  esac
  shift
done
[ -x "$tierscope" ] || die "$tierscope is not there; build it, or give --tierscope"

# A cache of its own, made anew: a trace kept from before would hide a generator that has changed.
rm -rf "$out/runs" "$out/cache"
mkdir -p "$out/runs" "$out/cache"
for scenario in "$here"/scenarios/*.txtpb; do
  TIERSCOPE_CACHE=$out/cache "$tierscope" run "$scenario" --format=csv \
    --out "$out/runs/$(basename "$scenario" .txtpb)" >/dev/null 2>"$out/run.log" || {
    code=$?
    cat "$out/run.log" >&2
    exit $code
  }
done
rm -rf "$out/cache"

if [ -n "$renew" ]; then
  rm -rf "$here/baseline"
  for run in "$out"/runs/*; do
    mkdir -p "$here/baseline/$(basename "$run")"
    cp "$run/result.json" "$here/baseline/$(basename "$run")/"
    # Names of files are no part of what is compared, and hold the folders of this machine.
    sed '/^ *trace: "/d' "$run/scenario.txtpb" >"$here/baseline/$(basename "$run")/scenario.txtpb"
  done
  echo "the baseline is what runs now; review it: git diff --stat $here/baseline"
fi

"$tierscope" compare "$here/baseline" "$out/runs" --simulated --gates "$here/gates.txtpb" \
  --markdown "$out/report.md" --junit "$out/junit.xml" --html "$out/report.html" \
  --json "$out/report.json" "${options[@]}"
