#!/usr/bin/env python3
"""From a rule to the file channel: what each word of a rule lets through, and how it reads."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.flow import Flow, expect, run_cases  # noqa: E402

OUT = {"out": {"type": "file", "path": "out.jsonl"}}
ROWS = """
INSERT INTO orders VALUES(1, 'ann', 'new', 10);
INSERT INTO orders VALUES(2, 'bob', 'new', 2000.5);
UPDATE orders SET status = 'paid' WHERE id = 2;
UPDATE orders SET amount = 3000 WHERE id = 2;
DELETE FROM orders WHERE id = 1;
"""
ALL = ["insert 1", "insert 2", "update 2", "update 2", "delete 1"]

# Rule text, and "op id" of what must come out of the rows above.
WORDS = (
    ('rule("all", { on = "shop:orders", notify = "out" })', ALL),
    ('rule("glob", { on = "shop:*", notify = "out" })', ALL),
    ('rule("full", { on = "shop:main.orders", notify = { "out" } })', ALL),
    ('rule("ops", { on = "shop:orders", ops = { "insert", "delete" }, notify = "out" })', ["insert 1", "insert 2", "delete 1"]),
    ('rule("changed", { on = "shop:orders", ops = { "update" }, changed = { "status" }, notify = "out" })', ["update 2"]),
    ('rule("where", { on = "shop:orders", where = { status = "paid", amount = gt(1000) }, notify = "out" })', ["update 2", "update 2"]),
    ('rule("one", { on = "shop:orders", where = { customer = one_of("ann", "cy") }, notify = "out" })', ["insert 1", "delete 1"]),
    ('rule("when", { on = "shop:orders", when = function(e) return e.row.id == 1 end, notify = "out" })', ["insert 1", "delete 1"]),
    ('rule("run", { on = "shop:orders", run = function(e) if e.op == "delete" then send("out", e) end end })', ["delete 1"]),
    ('on("shop:orders", "update", function(e) if e:was("status", "new") and e.new.status == "paid" then send("out", e) end end)', ["update 2"]),
    ('rule("none", { on = "shop:notes", notify = "out" })', []),
)


def row_of(word):
    return word.split()[1]


def words(problems):
    """All rules at once would hide which of them is wrong, so each runs in a channel of its own."""
    with Flow() as flow:
        flow.config({"out%d" % i: {"type": "file", "path": "out%d.jsonl" % i} for i in range(len(WORDS))},
                    tables=["*"])
        for i, (text, _) in enumerate(WORDS):
            flow.script(text.replace('"out"', '"out%d"' % i), "scripts/r%02d.lua" % i)
        flow.workspace.start()
        flow.sql(ROWS)
        for i, (text, want) in enumerate(WORDS):
            lines = [json.loads(line) for line in flow.lines(len(want), "out%d.jsonl" % i, 5)]
            # What is promised is the order of each row, not between rows (order = "key").
            got = ["%s %s" % (e["op"], e["key"]["id"]) for e in lines]
            expect(problems, text, sorted(got, key=row_of), sorted(want, key=row_of))


def native(problems):
    """One line in full: the native format."""
    with Flow() as flow:
        flow.config(OUT)
        flow.script('rule("all", { on = "shop:orders", notify = "out" })')
        flow.workspace.start()
        flow.sql("INSERT INTO orders VALUES(7, 'zoë', NULL, 1.50); UPDATE orders SET amount = 2 WHERE id = 7;")
        lines = [json.loads(line) for line in flow.lines(2)]
        if len(lines) != 2:
            problems.append("%d lines" % len(lines))
            return
        expect(problems, "new", lines[0]["new"], {"id": 7, "customer": "zoë", "status": None, "amount": 1.5})
        expect(problems, "old of an insert", lines[0]["old"], None)
        expect(problems, "old of an update", lines[1]["old"], lines[0]["new"])
        expect(problems, "changed", lines[1].get("changed"), ["amount"])
        for name, want in (("source", "shop"), ("driver", "sqlite"), ("schema", "main"), ("table", "orders"),
                           ("op", "update"), ("key", {"id": 7}), ("lsn", 2)):
            expect(problems, name, lines[1][name], want)
        expect(problems, "events command", flow.workspace.events(), lines)


def text(problems):
    """Templates."""
    with Flow() as flow:
        flow.config({"out": {"type": "file", "path": "out.jsonl"}})
        flow.script('rule("say", { on = "shop:orders", notify = "out",'
                    ' message = "{{operation}} {{table_name}} {{id}} for {{amount | number(2)}}" })')
        flow.workspace.start()
        flow.sql("INSERT INTO orders VALUES(1, 'ann', 'new', 10); DELETE FROM orders;")
        lines = [json.loads(line) for line in flow.lines(2)]
        expect(problems, "texts", [line["text"].lower() for line in lines], ["insert orders 1 for 10.00", "delete orders 1 for 10.00"])
        expect(problems, "causes", [line["event"] for line in lines], [e["id"] for e in flow.workspace.events()])


def restart(problems):
    """A clean stop and start: nothing again, nothing lost; what happened in between is there."""
    with Flow() as flow:
        flow.config(OUT)
        flow.script('rule("all", { on = "shop:orders", notify = "out" })')
        for n in range(3):
            flow.workspace.start()
            flow.sql("INSERT INTO orders VALUES(%d, 'x', 'new', 1)" % (2 * n))
            flow.lines(2 * n + 1)
            flow.workspace.stop()
            flow.sql("INSERT INTO orders VALUES(%d, 'x', 'new', 1)" % (2 * n + 1))
        flow.workspace.start()
        lines = [json.loads(line)["key"]["id"] for line in flow.lines(6)]
        expect(problems, "ids", lines, [0, 1, 2, 3, 4, 5])


def stop_by_command(problems):
    """`stop` ends it, with 0, and `status` then says 69."""
    with Flow() as flow:
        flow.config(OUT)
        flow.workspace.start()
        expect(problems, "status", flow.workspace.run("status").returncode, 0)
        expect(problems, "stop", flow.workspace.run("stop").returncode, 0)
        if not flow.workspace.wait_end(6):
            problems.append("it still runs")
        expect(problems, "exit code of start", flow.workspace.process.poll(), 0)
        expect(problems, "status afterwards", flow.workspace.run("status").returncode, 69)


run_cases([words, native, text, restart, stop_by_command])
