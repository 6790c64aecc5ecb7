#!/usr/bin/env bash
# Everything that has threads, under the thread sanitizer, one binary after the other. A report is a failure.
#   cmake --preset tsan && cmake --build --preset tsan && bash tests/tsan.sh build/tsan
set -uo pipefail
build=$(cd "${1:?usage: tests/tsan.sh BUILD}" && pwd) || exit 2
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
export TSAN_OPTIONS="halt_on_error=0 ${TSAN_OPTIONS:-}"
failed=0

# run BINARY FILTER: the program of the tests is under the sanitizer as well, and its reports go to where its own would.
run() {
  local name=${1##*/} log=$build/tsan_${1##*/}.log begin=$SECONDS verdict=passed
  "$build/tests/$1" --gtest_brief=1 --gtest_filter="$2" >"$log" 2>&1 || { verdict="FAILED, see $log" failed=1; }
  printf '%-18s %s, %d s\n' "$name" "$verdict" $((SECONDS - begin))
}

if [[ $("$build/tests/tsan_canary" 2>&1) != *'WARNING: ThreadSanitizer: data race'* ]]; then
  echo "tsan: the race of tests/testing/tsan_canary.cc is not reported; is $build of the preset tsan?" >&2
  exit 2
fi
run base/base_test '*'
run traces/trace_import_test '*Record*'
run real/real_test '*'
run real/cuda_backend_test '*'
run real/cuda_cli_test '*'
run real/phase_range_test '*'
run traces/indexer/indexer_test '*'
run cli/cli_test '*SameBytesAtAnyJobsAndInAnyHistory:*ShardsMergeToTheSameBytes'
exit $failed
