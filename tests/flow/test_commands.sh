#!/bin/bash
# Every command once, on one workspace with a live database: what it prints, where, and its exit code.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
tidegate=${BUILD:-$top/build}/tidegate
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work/run; mkdir -m 700 "$work/run"
trap '"$tidegate" stop -C "$work/ws" >/dev/null 2>&1; rm -rf "$work"' EXIT
cd "$work"
bad=0
freeport() { perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(LocalAddr=>"127.0.0.1",Listen=>1)->sockport'; }
sql() { sqlite3 -cmd '.timeout 5000' shop.db "$1"; }
# expect CODE PATTERN COMMAND...: exit code, and the pattern somewhere in what it said.
expect() {
  local code=$1 pattern=$2 got=0 out
  shift 2
  out=$("$@" 2>&1) || got=$?
  if [ "$got" != "$code" ] || ! grep -qE -- "$pattern" <<<"$out"; then
    echo "FAILED: $*"; echo "  wanted exit $code and /$pattern/, got exit $got and:"; sed 's/^/  | /' <<<"$out"; bad=1
  else
    echo "ok: ${*#"$tidegate"}"
  fi
}
eventually() { # PATTERN COMMAND...
  local pattern=$1; shift
  for _ in $(seq 100); do "$@" 2>/dev/null | grep -qE -- "$pattern" && return 0; sleep 0.1; done
  echo "FAILED: never saw /$pattern/ from $*"; "$@" | sed 's/^/  | /'; bad=1
}

expect 64 'usage: tidegate' "$tidegate"
expect 0 'journal trim' "$tidegate" help
expect 0 'before-lsn' "$tidegate" help journal trim
expect 64 'did you mean "status"' "$tidegate" statsu
expect 64 'replay is not built yet' "$tidegate" replay
expect 64 'has no option --foo' "$tidegate" status --foo
expect 0 'sources +.*sqlite' "$tidegate" version
expect 0 '"version":"' "$tidegate" version --json
expect 0 'wrote +ws/tidegate.lua' "$tidegate" init ws
expect 0 'kept +ws/tidegate.lua' "$tidegate" init ws
expect 66 'tidegate init' "$tidegate" status -C nowhere
for shell in bash zsh fish man; do expect 0 tidegate "$tidegate" completion $shell; done

port=$(freeport)
sql "PRAGMA journal_mode=WAL; CREATE TABLE orders(id INTEGER PRIMARY KEY, status TEXT, amount REAL); CREATE TABLE other(x)" >/dev/null
cat >ws/tidegate.lua <<L
source("shop", { driver = "sqlite", path = "$work/shop.db" })
channel("out", { type = "file", path = "out.jsonl" })
channel("gone", { type = "webhook", url = "http://127.0.0.1:$(freeport)/", attempts = 1 })
settings({ port = $port })
L
echo 'rule("all", { on = "shop:orders", notify = { "out", "gone" } })' >ws/scripts/example.lua

expect 0 '0 errors, 0 warnings' "$tidegate" check -C ws
expect 69 'no daemon runs' "$tidegate" stop -C ws
expect 69 'not running' "$tidegate" status -C ws
expect 0 'runs .*/ws on http://127.0.0.1:'"$port" "$tidegate" start -d ws
expect 75 'in use by process' "$tidegate" start ws
mkdir two; expect 71 "port $port is taken by process [0-9]+ \(tidegate\)" "$tidegate" start two -p "$port"
expect 0 '"running":true' "$tidegate" status --json -p "$port"
expect 0 'ready' curl -sS "http://127.0.0.1:$port/readyz"
expect 0 'live' curl -sS "http://127.0.0.1:$port/livez"
expect 0 'REST API is not built yet' curl -sS "http://127.0.0.1:$port/api/v1/rules"
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/")" = 404 ] || { echo "FAILED: / is not 404"; bad=1; }

"$tidegate" tail -C ws --from-lsn 1 --limit 2 >tailed & tail=$!
sql "INSERT INTO orders VALUES(1,'new',10),(2,'new',20),(3,'new',30)"
sql "UPDATE orders SET status='paid' WHERE id=2; DELETE FROM orders WHERE id=1"
wait $tail; [ "$(wc -l <tailed)" = 2 ] || { echo "FAILED: tail"; cat tailed; bad=1; }
eventually '"op":"delete"' "$tidegate" events -C ws --source shop
expect 0 '"op":"delete"' "$tidegate" events -C ws --op delete
[ "$("$tidegate" events -C ws --from-beginning --op insert,update | wc -l)" = 4 ] || { echo "FAILED: --op"; bad=1; }
[ "$("$tidegate" events -C ws --source shop --from-lsn 4 | wc -l)" = 2 ] || { echo "FAILED: --from-lsn"; bad=1; }
[ "$("$tidegate" events -C ws --from-time 1h --limit 3 | wc -l)" = 3 ] || { echo "FAILED: --from-time --limit"; bad=1; }
[ "$("$tidegate" events -C ws --source shop --from-beginning --exclude orders | wc -l)" = 0 ] || { echo "FAILED: --exclude"; bad=1; }
[ "$("$tidegate" events -C ws --from-beginning --table 'main.ord*' --source 'sh*' | wc -l)" = 5 ] || { echo "FAILED: --table"; bad=1; }
expect 0 '"before":.*"after":' "$tidegate" events -C ws --format debezium
expect 64 'formats are native and debezium' "$tidegate" events -C ws --format xml
expect 64 'operations are' "$tidegate" events -C ws --op upsert
expect 0 'shop +sqlite +streaming' "$tidegate" sources -C ws
eventually 'main +yes +[0-9]+ +0' "$tidegate" consumers -C ws
expect 0 'example/all +ok +5 +10' "$tidegate" rules -C ws
eventually 'gone +webhook .* 5 +0' "$tidegate" channels -C ws
expect 0 'events 1 to [5-9],' "$tidegate" journal status -C ws
expect 0 'newest_lsn":[5-9]' "$tidegate" journal status --json -C ws
expect 0 'orders +installed' "$tidegate" triggers shop list -C ws
expect 0 'DROP TRIGGER' "$tidegate" triggers shop remove orders --sql -C ws
expect 66 'not in tidegate.lua' "$tidegate" triggers nope list -C ws
expect 0 'msg_[0-9a-f]{32} +gone +example/all' "$tidegate" dead list -C ws
expect 64 'say which' "$tidegate" dead drop -C ws
expect 0 '^ *1$' "$tidegate" dead drop -C ws --channel gone --limit 1
expect 0 '^ *4$' "$tidegate" dead retry -C ws --all
eventually 'gone +webhook .* 4 +0' "$tidegate" channels -C ws
expect 0 '1' "$tidegate" journal trim --before-lsn 2 -C ws
expect 64 'needs --before-lsn' "$tidegate" journal trim -C ws
expect 78 'still defined' "$tidegate" sources remove shop -C ws
expect 64 'nothing was deleted|in use' "$tidegate" reset -C ws
expect 0 'stopped' "$tidegate" stop -p "$port"

# Offline, on the files.
last=$("$tidegate" events -C ws --from-beginning | sed -n 's/.*"lsn":\([0-9]*\).*/\1/p' | tail -n 1)
expect 69 'not running' "$tidegate" status -C ws
expect 0 '"lsn":5' "$tidegate" events -C ws --from-beginning
expect 69 'no daemon runs' "$tidegate" tail -C ws
expect 0 'begins again' "$tidegate" reset --journal -f -C ws
expect 0 'runs' "$tidegate" start -d ws
eventually '"op":"gap".*journal was reset' "$tidegate" events -C ws --from-beginning
"$tidegate" events -C ws --from-beginning | head -n 1 | grep -q "\"lsn\":$((last + 1))," || { echo "FAILED: an lsn was used twice or skipped"; bad=1; }
sql "INSERT INTO orders VALUES(9,'new',90)"
eventually '"id":"shop:2:' "$tidegate" events -C ws --from-beginning
expect 0 'stopped' "$tidegate" stop -C ws
echo 'channel("out", { type = "file", path = "out.jsonl" })' >ws/tidegate.lua; echo >ws/scripts/example.lua
expect 0 'shop +removed' "$tidegate" sources remove shop -C ws
[ -z "$(sql "SELECT name FROM sqlite_schema WHERE name LIKE '\_tidegate%' ESCAPE '\\'")" ] || { echo "FAILED: something was left in the database"; bad=1; }
expect 66 'not known' "$tidegate" sources remove shop -C ws
expect 0 'deleted' "$tidegate" reset -f -C ws
[ ! -e ws/data ] && [ -e ws/tidegate.lua ] || { echo "FAILED: reset"; bad=1; }
exit $bad
