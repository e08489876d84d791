#!/usr/bin/env python3
"""A schema that changes while everything runs: rows keep coming, with the columns of their time."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.flow import Flow, expect, run_cases  # noqa: E402

OUT = {"out": {"type": "file", "path": "out.jsonl"}}


def run(problems, statements, want, lines):
    """Statements one after the other, each its own commit; `want` is op, table and columns of each
    event that is not about the schema, in order."""
    with Flow() as flow:
        flow.config(OUT, tables=["*"])
        flow.script('rule("all", { on = "shop:*", notify = "out" })')
        flow.workspace.start()
        for statement in statements:
            flow.sql(statement)
            # What was written is read before the next statement changes what it means.
            if not statement.startswith(("INSERT", "UPDATE", "DELETE")):
                flow.workspace.wait_quiet()
        flow.lines(lines)
        events = flow.workspace.events()
        rows = ["%s %s %s" % (e["op"], e["table"], ",".join(sorted(e["new"] or e["old"]))) for e in events
                if e["op"] in ("insert", "update", "delete")]
        expect(problems, "rows", rows, want)
        return [e for e in events if e["op"] in ("ddl", "gap")]


def add_column(problems):
    other = run(problems, ["INSERT INTO notes VALUES(1, 2)", "ALTER TABLE notes ADD COLUMN c DEFAULT 7",
                           "INSERT INTO notes(a, b, c) VALUES(3, 4, 5)", "UPDATE notes SET a = 0 WHERE a = 1"],
                ["insert notes a,b", "insert notes a,b,c", "update notes a,b,c"], 3)
    expect(problems, "ddl", [e["ddl"].get("added") for e in other if e["op"] == "ddl"], [["c"]])


def rename_table(problems):
    run(problems, ["INSERT INTO notes VALUES(1, 2)", "ALTER TABLE notes RENAME TO papers", "INSERT INTO papers VALUES(3, 4)"],
        ["insert notes a,b", "insert papers a,b"], 2)


def new_table(problems):
    run(problems, ["CREATE TABLE fresh(id INTEGER PRIMARY KEY, x)", "INSERT INTO fresh VALUES(1, 2)",
                   "DELETE FROM fresh"], ["insert fresh id,x", "delete fresh id,x"], 2)


def drop_table(problems):
    run(problems, ["INSERT INTO notes VALUES(1, 2)", "DROP TABLE notes", "INSERT INTO orders VALUES(1, 'a', 'b', 1)"],
        ["insert notes a,b", "insert orders amount,customer,id,status"], 2)


def copy_and_rename(problems):
    """The way in which migrations change what ALTER TABLE cannot."""
    other = run(problems, ["INSERT INTO notes VALUES(1, 2)",
                           "BEGIN; CREATE TABLE notes2(a, b, c); INSERT INTO notes2 SELECT a, b, 0 FROM notes; DROP TABLE notes;"
                           " ALTER TABLE notes2 RENAME TO notes; COMMIT",
                           "INSERT INTO notes VALUES(3, 4, 5)"],
                ["insert notes a,b", "insert notes a,b,c"], 2)
    expect(problems, "something says that rows may be missing", "gap" in [e["op"] for e in other], True)


def drop_column(problems):
    """It fails for the application while triggers stand there, and works after their removal."""
    with Flow() as flow:
        flow.config(OUT, tables=["notes"])
        flow.script('rule("all", { on = "shop:*", notify = "out" })')
        flow.workspace.start()
        done = flow.workspace.run("triggers", "shop", "remove", "notes", "--sql", "--json")
        expect(problems, "exit code of triggers remove --sql", done.returncode, 0)
        statements = [json.loads(line)["sql"] for line in done.stdout.splitlines()]
        flow.sql("BEGIN;" + "".join(s.rstrip().rstrip(";") + ";" for s in statements) + "ALTER TABLE notes DROP COLUMN b; COMMIT;")
        flow.workspace.wait_quiet()
        flow.sql("INSERT INTO notes VALUES(1)")
        flow.lines(1)
        rows = [sorted(e["new"]) for e in flow.workspace.events() if e["op"] == "insert"]
        expect(problems, "rows", rows, [["a"]])


run_cases([add_column, rename_table, new_table, drop_table, copy_and_rename, drop_column])
