#!/bin/bash
# Tidegate's own events: a broken queue of dead letters is told of once, through another channel than its own.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
tidegate=${BUILD:-$top/build}/tidegate
work=$(mktemp -d); trap '"$tidegate" stop -C "$work/ws" >/dev/null 2>&1; rm -rf "$work"' EXIT
freeport() { perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(LocalAddr=>"127.0.0.1",Listen=>1)->sockport'; }
mkdir -p "$work/ws/scripts"
sqlite3 "$work/shop.db" "PRAGMA journal_mode=WAL; CREATE TABLE orders(id INTEGER PRIMARY KEY)" >/dev/null
cat >"$work/ws/tidegate.lua" <<L
source("shop", { driver = "sqlite", path = "$work/shop.db" })
channel("bad", { type = "webhook", url = "http://127.0.0.1:$(freeport)/", attempts = 1 })
channel("out", { type = "file", path = "out.jsonl" })
settings({ port = $(freeport) })
L
cat >"$work/ws/scripts/a.lua" <<'L'
rule("all",   { on = "*:*", notify = "bad" })
rule("alarm", { on = "tidegate:main.*", notify = { "out", "bad" } })
L
"$tidegate" check -C "$work/ws" --rules || exit 1
"$tidegate" start -d "$work/ws" || exit 1
sqlite3 -cmd '.timeout 5000' "$work/shop.db" "INSERT INTO orders VALUES(1),(2)"
for _ in $(seq 100); do grep -q dead_letter "$work/ws/out.jsonl" 2>/dev/null && break; sleep 0.1; done
cat "$work/ws/out.jsonl"
grep -q '"source":"tidegate".*"table":"dead_letter","op":"insert".*"subject":"bad"' "$work/ws/out.jsonl" || exit 1
[ "$("$tidegate" events -C "$work/ws" --source tidegate --from-beginning | grep -c dead_letter)" -le 2 ] || exit 1
! "$tidegate" dead list -C "$work/ws" --json | grep -q 'a/alarm' || { echo "sent through the channel it complains about"; exit 1; }
