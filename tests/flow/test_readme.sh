#!/bin/bash
# The README's commands are true: its first rule loads, its five-minute path ends in an event.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-$top/build}
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
mkdir build && ln -s "$build/tidegate" build/tidegate

# The first screen and the section of SQLite; tests/server/test_postgres_readme.py follows that of PostgreSQL.
sed '/^## Your own PostgreSQL/,/^## What there is/d' "$top/README.md" >readme

# Every command of the shell blocks that begins with build/tidegate, as it stands there.
sed -n '/^```sh$/,/^```$/p' readme | grep '^build/tidegate' >commands
grep -q 'init my-alerts' commands && grep -q 'check -C my-alerts' commands && grep -q 'start my-alerts' commands
sh -c "$(grep init commands)"

sqlite3 shop.db "PRAGMA journal_mode=WAL; CREATE TABLE orders(id INTEGER PRIMARY KEY, amount REAL)" >/dev/null
lua() { sed -n '/^```lua$/,/^```$/p' readme | grep -v '^```'; }
lua | grep -E '^(source|channel)' | sed "s#/path/to/shop.db#$work/shop.db#" >>my-alerts/tidegate.lua
lua | grep -vE '^(source|channel)' >my-alerts/scripts/example.lua
grep -q big-order my-alerts/scripts/example.lua && grep -q everything my-alerts/scripts/example.lua

sh -c "$(grep check commands)"
port=$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(LocalAddr=>"127.0.0.1",Listen=>1)->sockport')
TIDEGATE_PORT=$port $(grep start commands) >terminal 2>talk &
pid=$!
for _ in $(seq 100); do curl -sf "http://127.0.0.1:$port/readyz" >/dev/null && break; sleep 0.1; done
sqlite3 -cmd '.timeout 5000' shop.db "INSERT INTO orders VALUES(1, 1624)"
for _ in $(seq 100); do [ "$(wc -l <terminal)" -ge 2 ] && break; sleep 0.1; done
cat terminal talk
grep -q '🔔 INSERT on orders: order 1 for 1624.00' terminal
grep -q '"op":"insert"' terminal
build/tidegate stop -C my-alerts
wait "$pid"; pid=
echo "the README is true"
