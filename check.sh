#!/usr/bin/env bash
# Builds and tests from a fresh clone on Debian 12, as root or with sudo (for the packages only).
#   ./check.sh --quick   the release build and all its tests
#   ./check.sh [--full]  the same, and: a Debug build under sanitizers with all tests, determinism
#                        between the two, fuzzing, format, install
# Stops at the first step that fails. The last line says how many steps passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. cmake/setup.sh

run_tests() { ctest --preset "$1" --parallel "$(nproc)" --no-tests=error; }

step_packages() { packages_install check; }
step_build_release() { build_preset release; }
step_test_release() { run_tests release; }
step_build_asan() { build_preset asan; }
step_test_asan() { run_tests asan; }

# The Debug binary against the Release one; within one build ctest has compared already.
step_determinism() {
  TIERSCOPE_SECOND_BINARY=$PWD/build/asan/cli/tierscope \
    build/release/tests/determinism/determinism_test --gtest_brief=1
}

step_format() {
  clang-format --version | grep -q 'version 14\.' ||
    die "format: clang-format 14 is the one of Debian 12, this is $(clang-format --version)"
  local files
  mapfile -t files < <(git ls-files '*.h' '*.cc' '*.cu' '*.cuh')
  [ ${#files[@]} -gt 100 ] || die "format: git ls-files names only ${#files[@]} sources; run in a clone"
  clang-format --dry-run -Werror "${files[@]}" || die "format: run clang-format -i on the files above"
  echo "${#files[@]} sources formatted"
}

step_fuzz() {
  build_preset fuzz
  bash tests/fuzz/run.sh build/fuzz
}

step_install() { bash tests/install/check_install.sh build/release; }

NAMES=(
  "packages|Debian packages"
  "build_release|Build, Release"
  "test_release|Tests, Release"
  "build_asan|Build, Debug with sanitizers"
  "test_asan|Tests, Debug with sanitizers"
  "determinism|Same bytes from Debug and Release"
  "fuzz|Fuzz, fixed count"
  "format|Format"
  "install|Install, and a project that uses it"
)

case ${1:---full} in
  --quick) MODE=quick STEPS=3 ;;
  --full) MODE=full STEPS=${#NAMES[@]} ;;
  *) die "unknown option '$1'; use --quick or --full" ;;
esac
[ $# -le 1 ] || die "takes one option, --quick or --full"

PASSED=0
CURRENT=
finish() {
  local code=$?
  if [ "$PASSED" -eq "$STEPS" ] && [ $code -eq 0 ]; then
    printf '\ncheck --%s: %d of %d steps passed in %d s\n' "$MODE" "$PASSED" "$STEPS" "$SECONDS"
    exit 0
  fi
  printf '\ncheck --%s: %d of %d steps passed in %d s, failed: %s\n' \
    "$MODE" "$PASSED" "$STEPS" "$SECONDS" "$CURRENT"
  exit $((code == 0 ? 1 : code))
}
trap finish EXIT

use_ccache
for step in "${NAMES[@]:0:STEPS}"; do
  CURRENT=${step#*|}
  begin=$SECONDS
  printf '\n== %d of %d: %s\n' $((PASSED + 1)) "$STEPS" "$CURRENT"
  "step_${step%%|*}"
  printf -- '-- %s: passed in %d s\n' "$CURRENT" $((SECONDS - begin))
  PASSED=$((PASSED + 1))
done
