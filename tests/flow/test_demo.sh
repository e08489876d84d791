#!/bin/bash
# `make run` shows alerts within seconds and ends by itself with 0; nothing stays behind.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
out=$(mktemp)
began=$(date +%s)
"$build/tidegate" demo --for 6s >"$out" 2>"$out.talk" || { cat "$out" "$out.talk"; exit 1; }
took=$(($(date +%s) - began))
cat "$out" "$out.talk"
grep -q '🔔 INSERT on orders' "$out"
grep -q 'your own database' "$out.talk"
[ "$took" -le 12 ]
folder=$(sed -n 's/.*lives in \(.*\)\/shop.db.*/\1/p' "$out.talk")
[ -n "$folder" ] && [ ! -e "$folder" ]
