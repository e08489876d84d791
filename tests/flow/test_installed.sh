#!/bin/bash
# The installed binary holds no tools of proof; install and uninstall leave what they should.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
for word in TIDEGATE_FAULT TIDEGATE_SABOTAGE TIDEGATE_POWER; do
  if grep -qa "$word" "$build/tidegate"; then echo "$word is in the installed binary"; exit 1; fi
  grep -qa "$word" "$build/tidegate-proof"
done
mkdir "$work/ws"
printf 'channel("m", { type = "memory" })\n' >"$work/ws/tidegate.lua"
code=0; "$build/tidegate" check -C "$work/ws" >"$work/out" 2>&1 || code=$?
cat "$work/out"
[ "$code" = 78 ] && grep -q 'unknown type "memory"' "$work/out"
make -s BUILD="$build" DESTDIR="$work/root" PREFIX=/usr install >/dev/null
"$work/root/usr/bin/tidegate" version
grep -q 'SYNOPSIS' "$work/root/usr/share/man/man1/tidegate.1"
bash -n "$work/root/usr/share/bash-completion/completions/tidegate"
make -s BUILD="$build" DESTDIR="$work/root" PREFIX=/usr uninstall
[ -z "$(find "$work/root" -type f)" ] && [ -d "$work/ws" ]
