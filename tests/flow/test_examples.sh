#!/bin/bash
# Each example loads without a finding, and does what its README says.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
tidegate=${BUILD:-$top/build}/tidegate
work=$(mktemp -d); trap '"$tidegate" stop -C "$work/first-alert" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
cp -r "$top"/examples/* "$work"
for example in "$work"/*/; do "$tidegate" check --rules -C "$example"; done

cd "$work/first-alert"
chmod -R go-w .
sh -c "$(sed -n 's/^\(sqlite3 .*\)/\1/p' README.md)" >/dev/null
port=$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(LocalAddr=>"127.0.0.1",Listen=>1)->sockport')
"$tidegate" start -d . -p "$port"
sqlite3 -cmd '.timeout 5000' shop.db "INSERT INTO orders VALUES(1,'new',1250),(2,'new',5); UPDATE orders SET status='paid'; UPDATE orders SET status='shipped' WHERE id=2"
for _ in $(seq 100); do [ "$(cat alerts.jsonl 2>/dev/null | wc -l)" -ge 2 ] && break; sleep 0.1; done
cat alerts.jsonl
[ "$(wc -l <alerts.jsonl)" = 2 ]
grep -q '"text":"order 1 for 1250.00"' alerts.jsonl
grep -q '{"amount":5.0,"order":2,"what":"shipped"}' alerts.jsonl
