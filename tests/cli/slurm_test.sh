#!/usr/bin/env bash
# tierscope sweep --engine=slurm on a real Slurm of one node: three shards, one killed in the middle,
# the same bytes as a local run. Exit 77: skipped, with the reason.
#   slurm_test.sh TIERSCOPE SOURCE_DIR SIMULATED_S     long enough that a shard is seen running
set -uo pipefail
TIERSCOPE=$1 SOURCE=$2 SIMULATED_S=$3
. "$SOURCE/tests/cli/private_slurm.sh"

WORK=$(mktemp -d "${TMPDIR:-/tmp}/tierscope-slurm.XXXXXX")
finish() {
  private_slurm_stop
  rm -rf "$WORK"
}
trap finish EXIT
fail() {
  echo "FAILED: $1" >&2
  [ -f "$WORK/slurm.err" ] && cat "$WORK/slurm.err" >&2
  exit 1
}

mkdir "$WORK/slurm"
private_slurm_start "$WORK/slurm" || {
  echo "SKIPPED: $SLURM_WHY"
  exit 77
}

export TIERSCOPE_CACHE=$WORK/cache
cat >"$WORK/s.txtpb" <<SWEEP
scenario: "$SOURCE/scenarios/h20_lsa.txtpb"
set: "workload.context_tokens=65536,workload.output_tokens=200,workload.concurrency=8"
set: "workload.attention.steps=256,workload.attention.profiles_per_context=2"
set: "engine.simulated_s=$SIMULATED_S"
axis { field: "policy.tau_steps" values: [16, 32, 64] }
axis { field: "policy.threshold" range { from: 0.3 to: 0.7 step: 0.05 } }
axis { field: "policy.page_kmax" range { from: 8 to: 64 step: 8 } }
SWEEP
cd "$WORK" || exit 1
"$TIERSCOPE" sweep s.txtpb --results local --format=csv >local.csv 2>/dev/null || fail "the local run"

# The process of shard 1 is found by its command line, which names this test's own folder.
kill_shard_one() {
  local file
  for file in $(grep -lsF -- "--points=$WORK/slurm-run.shards/points" /proc/[0-9]*/cmdline); do
    grep -qsF -- '--shard=1/3' "$file" || continue
    file=${file#/proc/}
    kill -KILL "${file%/cmdline}" && return 0
  done
  return 1
}

"$TIERSCOPE" sweep s.txtpb --results slurm-run --engine=slurm --shards=3 --format=csv \
  >slurm.csv 2>slurm.err &
SWEEP_PID=$!
slurm_wait 60 kill_shard_one || fail "shard 1 was never seen running"
wait $SWEEP_PID || fail "the sweep on Slurm"
grep -q 'of shard 1: submitted again' slurm.err || fail "the killed shard was not submitted again"
cmp local.csv slurm.csv || fail "Slurm and local differ"
[ ! -e slurm-run.shards ] || fail "the folder of shards was left"
[ "$(sqlite3 slurm-run 'SELECT max(computed) FROM results')" = 1 ] || fail "a point was computed twice"

# A shard that always fails: bounded, its log named, the finished ones kept.
sed 's/simulated_s=[0-9]*/simulated_s=5/' s.txtpb >bad.txtpb
"$TIERSCOPE" sweep bad.txtpb --results bad --engine=slurm --shards=2 --retries=1 \
  --sbatch=--export=NONE,TIERSCOPE_CACHE=/proc/nowhere >/dev/null 2>slurm.err && fail "a shard without a cache folder"
grep -q 'failed 2 times' slurm.err || fail "retries are not bounded or not told"
grep -q 'its log is .*bad.shards/log-' slurm.err || fail "the log is not named"

"$TIERSCOPE" sweep bad.txtpb --results refused --engine=slurm --sbatch=--partition=nowhere \
  >/dev/null 2>slurm.err && fail "a partition that does not exist"
grep -q 'sbatch refused the job' slurm.err || fail "a refused job is not told"
echo "three shards, one killed: same bytes as a local run"
