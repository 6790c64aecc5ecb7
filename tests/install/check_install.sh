#!/usr/bin/env bash
# check_install.sh BUILD: installs the build into a new folder, builds the consumer beside this file
# against it, away from the source tree, and runs what was installed.
set -euo pipefail
build=$(realpath "$1")
source=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/prefix" >"$work/install.log" ||
  { tail -n 20 "$work/install.log"; exit 1; }
mkdir "$work/consumer"
cp "$source/CMakeLists.txt" "$source/consumer.cc" "$work/consumer"
cd "$work"
cmake -G Ninja -S consumer -B built -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_BUILD_TYPE=Release \
  >configure.log 2>&1 || { tail -n 30 configure.log; exit 1; }
cmake --build built >build.log 2>&1 || { tail -n 30 build.log; exit 1; }

scenario=prefix/share/tierscope/scenarios/h20_full.txtpb
said=$(./built/consumer "$scenario")
echo "the consumer says: $said"
[[ $said =~ ^h20_full:\ [1-9][0-9]+\ metrics$ ]]
prefix/bin/tierscope run "$scenario" --set engine.simulated_s=60 --out run >run.log 2>&1 ||
  { cat run.log; exit 1; }
[ -s run/result.json ] && [ -s run/report.html ]
