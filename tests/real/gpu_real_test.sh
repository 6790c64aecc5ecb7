#!/usr/bin/env bash
# real/gpu_real.sh with made-up programs on a made-up GPU: its order, where it stops, and that a call goes on where the
# one before stopped. Of no GPU and no number.
#   gpu_real_test.sh SOURCE_DIR
set -uo pipefail
script=$1/real/gpu_real.sh
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/pack/bin" "$work/path"
calls=$work/calls.txt
fail() { echo "FAILED: $1"; [ ! -e "$work/said.txt" ] || cat "$work/said.txt"; exit 1; }

cat >"$work/path/nvidia-smi" <<'STUB'
#!/bin/bash
echo "Made Up"
STUB
cp "$work/path/nvidia-smi" "$work/path/compute-sanitizer"
cat >"$work/pack/bin/kernels_gpu_test" <<'STUB'
#!/bin/bash
echo "${0##*/}" >>"$CALLS"
exit "${KERNELS_EXIT:-0}"
STUB
cp "$work/pack/bin/kernels_gpu_test" "$work/pack/bin/kernel_bench"
# Leaves what the verbs leave; hangs in the verb $HANG, fails in the verb $FAILS with exit code 1.
cat >"$work/pack/bin/tierscope" <<'STUB'
#!/bin/bash
[ "$1" = --help ] && exit 0
echo "$1" >>"$CALLS"
[ "$1" = "${HANG:-}" ] && sleep 8
for word; do [ "${word%%=*}" = --out ] && out=${word#*=}; [ "$word" = --no-trace ] && untraced=1; done
[ "$1" = "${FAILS:-}" ] && [ -z "${untraced:-}" ] && exit 1
case $1 in
  calibrate) echo profile >"$out" ;;
  *) mkdir -p "$out" && echo "${untraced:-traced}" >"$out/result.json" ;;
esac
STUB
chmod +x "$work"/path/* "$work"/pack/bin/*

# gpu_real SECONDS OUT [NAME=VALUE...]: one call with so many seconds.
gpu_real() {
  local seconds=$1 out=$2
  shift 2
  env PATH="$work/path:/usr/bin:/bin" BIN="$work/pack" CALLS="$calls" CALL_S="$seconds" ARCHIVE="$work/kept.tar.gz" "$@" \
    bash "$script" "$out" >"$work/said.txt" 2>&1
}
count() { grep -c "^$1$" "$calls"; }
# expect EXIT TEXT: how the last call ended, and what it said.
expect() {
  [ "$code" -eq "$1" ] || fail "exit $code, wanted $1"
  grep -q "$2" "$work/said.txt" || fail "did not say '$2'"
}

cd "$work" || exit 2
# CUDA finds no device: nothing is marked as done.
gpu_real 560 "$work/none" KERNELS_EXIT=77; code=$?
expect 77 "CUDA finds no device"
[ -z "$(ls "$work/none/done")" ] || fail "parts are done without a device"

# Killed in the calibration: what came before is done, and the archive knows it.
: >"$calls"
timeout 4 env PATH="$work/path:/usr/bin:/bin" BIN="$work/pack" CALLS="$calls" HANG=calibrate ARCHIVE="$work/kept.tar.gz" \
  bash "$script" "$work/out" >"$work/said.txt" 2>&1
[ "$(tr '\n' ' ' <"$calls")" = "kernels_gpu_test real real calibrate " ] || fail "order: $(tr '\n' ' ' <"$calls")"
[ "$(tar -tzf "$work/kept.tar.gz" | grep -c '/done/.')" -eq 2 ] || fail "two parts are in the archive"

# On a fresh machine with the archive, little time: what fits runs; nothing runs twice.
rm -rf "$work/out"
tar -xzf "$work/kept.tar.gz" -C "$work"
: >"$calls"
gpu_real 290 "$work/out"; code=$?
expect 3 "parts are left"
[ "$(count kernels_gpu_test)" -eq 0 ] || fail "kernels ran twice"
[ "$(count calibrate)" -eq 0 ] || fail "a calibration that may take longer than is left was begun"
[ "$(count kernel_bench)" -eq 1 ] || fail "what fits did not run"

# The rest, in order: the profile before any run that it is judged on. Made-up programs refuse nothing, so that part
# alone has failed.
: >"$calls"
gpu_real 560 "$work/out"; code=$?
expect 1 "all parts done"
[ "$(tr '\n' ' ' <"$calls")" = "calibrate reconcile reconcile reconcile reconcile reconcile " ] || fail "$(cat "$calls")"
[ "$(grep -c FAILED "$work/out/summary.txt") $(grep -c '^faults .*FAILED' "$work/out/summary.txt")" = "1 1" ] || fail "summary"
: >"$calls"
gpu_real 560 "$work/out"; code=$?
expect 1 "all parts done"
[ ! -s "$calls" ] || fail "something ran again"

# Lost records of activity: the part has failed, and its runs are there without.
gpu_real 560 "$work/lost" FAILS=real; code=$?
expect 1 "all parts done"
grep -q '^live_base .*FAILED (exit 1)' "$work/lost/summary.txt" || fail "no failure in the summary"
[ "$(cat "$work/lost/live/live_base/result.json")" = 1 ] || fail "no run without the record"

# No profile at seven rounds: once more with fewer.
: >"$calls"
gpu_real 560 "$work/unfit" FAILS=calibrate; code=$?
expect 1 "no profile, so no scenario of the suite was run"
[ "$(count calibrate)" -eq 2 ] || fail "calibrated $(count calibrate) times"
[ "$(count reconcile)" -eq 0 ] || fail "a suite without a profile"
echo "passed"
