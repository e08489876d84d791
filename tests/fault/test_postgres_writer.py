#!/usr/bin/env python3
"""The writers of PostgreSQL by themselves, while their server is killed: what the ledger says must be
what is in the tables at the end, and what the server's own test_decoding says, in its order. A ledger
that is wrong would prove nothing about anything that is compared with it."""
import os
import re
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import ledger as ledgers  # noqa: E402
from harness import pq, verify  # noqa: E402
from harness.rig import main  # noqa: E402
from harness.sources import postgres  # noqa: E402

LINE = re.compile(r"table (.*): (INSERT|UPDATE|DELETE|TRUNCATE):")
MESSAGE = re.compile(r"message: transactional: 1 prefix: (.*), sz: ")


def plain_name(text):
    text = text.strip().partition(".")[2]
    if text.startswith('"'):
        text = text[1:-1].replace('""', '"')
    return "parts" if text.startswith("parts_") else text


def decoded(db):
    """(table, op) of each change, as the server wrote them down."""
    found = []
    for row in db.execute("SELECT data FROM pg_logical_slot_get_changes('check', NULL, NULL, 'include-xids', '0')"):
        text = row[0].replace("\n", " ")
        match, message = LINE.match(text), MESSAGE.match(text)
        if message and message.group(1) != "tidegate":
            found.append((None, "message"))
        for name in dict.fromkeys(map(plain_name, match.group(1).split(", "))) if match else ():
            if name != "loose" or match.group(2) in ("INSERT", "TRUNCATE"):
                found.append((name, match.group(2).lower()))
    return found


def check_order(problems, ledger, db):
    got, at = decoded(db), 0
    while at < len(ledger.changes):
        group = [(c["table"], c["op"]) for c in verify.take_group(ledger.changes, at)]
        if sorted(group) != sorted(got[at:at + len(group)]):
            problems.append("change %d is %s in the ledger and %s in the log" % (at + 1, group, got[at:at + len(group)]))
            return
        at += len(group)
    if len(got) != at:
        problems.append("%d changes in the log, %d in the ledger" % (len(got), at))


def replay(changes):
    tables = {name: {} for name in postgres.TABLES}
    for change in changes:
        if change["op"] == "message":
            continue
        rows, key = tables[change["table"]], postgres.TABLES[change["table"]][1]
        if change["op"] == "truncate":
            rows.clear()
            continue
        old, new = change["old"], change["new"]

        def name(row):
            return tuple(row[k] for k in key) if key else tuple(sorted((c, repr(v)) for c, v in row.items()))
        before = rows.get(name(old or new), {})
        if old or change["op"] == "update":
            if not key and rows.get(name(old), 0) > 1:
                rows[name(old)] -= 1
            else:
                before = rows.pop(name(old or new))
        if new:
            rows[name(new)] = dict(before, **new) if key else rows.get(name(new), 0) + 1
    return tables


def check_tables(problems, source, changes):
    tables = replay(changes)
    with source.admin() as db:
        for table, (kinds, key, logged) in postgres.TABLES.items():
            if logged == "none":
                continue
            rows = [ledgers.fold({c: postgres.from_text(kinds[c], v) for c, v in row.items()})
                    for row in db.dicts("SELECT * FROM " + postgres.quote(table))]
            there = sorted(repr(sorted(row.items())) for row in rows)
            said = tables[table]
            want = sorted(repr(sorted(row.items())) for row in said.values()) if key else sorted(
                repr([(c, eval(v)) for c, v in row]) for row, count in said.items() for _ in range(count))
            if there != want:
                odd = sorted(set(there) ^ set(want))
                problems.append("table %s: %d rows, %d by the ledger: %s" % (table, len(there), len(want), verify.short(odd[:2], 600)))


def test(arguments):
    folder = tempfile.mkdtemp(prefix="tg-", dir=os.environ.get("TMPDIR"))
    source = postgres.Source(os.path.join(folder), arguments.seed)
    problems = []
    try:
        source.create()
        with source.admin() as db:
            try:
                db.execute("SELECT pg_create_logical_replication_slot('check', 'test_decoding')")
                decodes = True
            except pq.Error as error:
                print("without test_decoding: %s" % error)
                decodes = False
        writers = [source.writer(n + 1, 200.0) for n in range(2)]
        for n in range(arguments.kills):
            time.sleep(0.5)
            writers[n % 2].big(300)
            if n % 3 == 2:
                writers[0].kill()
                writers[0] = source.writer(n + 10, 200.0)
            source.kill_server()
        writers[0].big(5000)
        for writer in source.writers:
            writer.close()
        ledger = source.ledger()
        check_tables(problems, source, ledger.changes)
        if decodes:
            with source.admin() as db:
                check_order(problems, ledger, db)
        ops = {}
        for change in ledger.changes:
            ops[change["op"]] = ops.get(change["op"], 0) + 1
        lines = sum(map(bool, open(source.ledger_path, "rb").read().split(b"\n")))
        print("%d transactions of %d, %s" % (len(ledger.ends), lines, ops))
        if len(ledger.ends) < 200:
            problems.append("writers that hardly wrote prove nothing")
        return problems
    finally:
        source.close()
        if not os.environ.get("KEEP"):
            shutil.rmtree(folder, ignore_errors=True)


main(test, kills=12)
