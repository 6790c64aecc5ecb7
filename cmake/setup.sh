# Shared by quickstart.sh and check.sh: Debian packages, configure, build. Sourced from the repository
# root, never run. Every function stops the script with the step that failed and what to do.

SETUP_LOG=build/setup.log

die() {
  printf '\n%s: %s\n' "$(basename "$0")" "$1" >&2
  exit 1
}

# quietly WHAT ADVICE COMMAND...: output goes to a log, of which a failure shows the end.
quietly() {
  local what=$1 advice=$2
  shift 2
  mkdir -p "$(dirname "$SETUP_LOG")"
  "$@" >"$SETUP_LOG" 2>&1 </dev/null && return
  tail -n 25 "$SETUP_LOG" >&2
  die "$what failed (above: the end of $SETUP_LOG). $advice"
}

# packages_missing build|check: names from cmake/debian-packages.txt that are not installed.
packages_missing() {
  local package mark command
  while read -r package mark command; do
    case $package in '' | '#'*) continue ;; esac
    if [ "$mark" = check ] && [ "$1" != check ]; then continue; fi
    if [ -n "$command" ] && command -v "$command" >/dev/null; then continue; fi
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done <cmake/debian-packages.txt
}

# packages_install build|check: installs what is missing and nothing else; no network where nothing is.
packages_install() {
  command -v dpkg-query >/dev/null ||
    die "packages: this is not Debian. Install what cmake/debian-packages.txt lists, then: cmake --preset release && cmake --build --preset release"
  local missing sudo=()
  mapfile -t missing < <(packages_missing "$1")
  if [ ${#missing[@]} -eq 0 ]; then
    echo "all installed"
    return
  fi
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      die "packages: not root and no sudo. As root: apt-get install ${missing[*]}"
    sudo=(sudo)
  fi
  echo "installing ${missing[*]}"
  quietly "apt-get update" "Check the network and /etc/apt/sources.list." \
    "${sudo[@]}" apt-get -qq update
  quietly "apt-get install" "Run by hand: apt-get install ${missing[*]}" \
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -y --no-install-recommends install "${missing[@]}"
  mapfile -t missing < <(packages_missing "$1")
  [ ${#missing[@]} -eq 0 ] || die "packages: still not installed: ${missing[*]}"
}

# A compiler cache is used where it is installed and does not stand in the compiler's place already.
use_ccache() {
  command -v ccache >/dev/null || return 0
  case $(readlink -f "$(command -v c++)") in */ccache) return 0 ;; esac
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache
}

# build_preset PRESET [TARGET...]: configures and builds.
build_preset() {
  local preset=$1
  shift
  quietly "configuring the preset $preset" "If build/$preset is of another machine or compiler, remove it." \
    cmake --preset "$preset"
  quietly "building the preset $preset" "See every line: cmake --build --preset $preset" \
    cmake --build --preset "$preset" --parallel "$(nproc)" ${1:+--target "$@"}
}
