#!/usr/bin/env bash
# scripts/build.sh PRESET TARGET...   configures build/PRESET if need be and builds the targets; quiet unless it fails.
# The release program is left at build/vipkeeper as well.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
shift
tree=build/$preset
mkdir -p build
log=build/$preset.log
# Two builds in one tree would undo each other's work.
exec 9>"build/.$preset.lock"
flock 9

started=$SECONDS
echo "build: $preset: $*"
# A preset that changed, or a tree that was never configured.
if [ ! -e "$tree/build.ninja" ] || [ CMakePresets.json -nt "$tree/.configured" ]; then
  cmake --preset "$preset" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
  touch "$tree/.configured"
fi
# A line every half minute, so that whoever waits sees how far it is.
(
  exec 9>&-
  while sleep 30 >/dev/null 2>&1; do
    printf 'build: %s: %s\n' "$preset" "$(grep -o '^\[[0-9]*/[0-9]*\]' "$log" | tail -n 1)"
  done
) &
ticker=$!
trap 'kill $ticker 2>/dev/null || true' EXIT
if ! cmake --build "$tree" --target "$@" -- -k 0 >"$log" 2>&1; then
  grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking)' "$log" >&2
  echo "build: $preset failed; the whole log is $log" >&2
  exit 1
fi
if [ "$preset" = release ] && ! cmp -s "$tree/cmd/vipkeeper" build/vipkeeper; then
  install -m 0755 "$tree/cmd/vipkeeper" build/vipkeeper
fi
echo "build: $preset: done in $((SECONDS - started)) s"
