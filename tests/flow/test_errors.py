#!/usr/bin/env python3
"""Bad input: one clear message that names what is wrong, where, and the statement or edit that mends
it, with a fitting exit code; nothing is lost, and nothing else stops."""
import glob
import json
import os
import socket
import sqlite3
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.daemon import wait_until  # noqa: E402
from harness.flow import Flow, expect, run_cases  # noqa: E402

OUT = {"out": {"type": "file", "path": "out.jsonl"}}
RULE = 'rule("all", { on = "shop:orders", notify = "out" })'

# tidegate.lua, and what both `check` and `start` must say. Exit 78.
CONFIGS = (
    ('source("shop", { driver = "sqllite", path = "x.db" })', ["tidegate.lua:1", "sqllite", 'did you mean "sqlite"']),
    ('source("shop", { driver = "sqlite", pth = "x.db" })', ["tidegate.lua:1", "pth", 'did you mean "path"']),
    ('source("shop", { driver = "sqlite" })', ["tidegate.lua:1", "shop", "path"]),
    ('\nchannel("out", { type = "fiel", path = "o" })', ["tidegate.lua:2", "fiel", 'did you mean "file"']),
    ('channel("out", { type = "file", pat = "o" })', ["tidegate.lua:1", "pat", 'did you mean "path"']),
    ('channel("out", { type = "file", path = "o", attempts = "many" })', ["tidegate.lua:1", "attempts"]),
    ('channel("out", { type = "slack" })', ["slack", "not built yet"]),
    ('source("shop", { driver = "mysql" })', ["mysql", "not built yet"]),
    ('settings({ prot = 1 })', ["tidegate.lua:1", "prot", 'did you mean "port"']),
    ('settings({ port = 70000 })', ["port", "70000"]),
    ('settings({ retention = { journal = "many hours" } })', ["journal", "many hours"]),
    ('source("shop", { driver = "sqlite", path = "a.db" })\nsource("shop", { driver = "sqlite", path = "b.db" })', ["tidegate.lua:2", "shop"]),
    ('source("shop" { driver = "sqlite" })', ["tidegate.lua:1"]),
    ('sorce("shop", { driver = "sqlite", path = "x" })', ["tidegate.lua:1", "sorce", "source"]),
)

# A script, what `check` must say of it. Exit 65.
SCRIPTS = (
    ('rule("r", { on = "shop:orders", notify = "out" ', ["scripts/bad.lua:2", "line 1", "near <eof>"]),
    ('\nrule("r", { on = "shop:orders", notify = "outt" })', ["scripts/bad.lua:2", "outt", 'did you mean "out"']),
    ('rule("r", { on = "shop:orders", notfy = "out" })', ["scripts/bad.lua:1", "notfy", 'did you mean "notify"']),
    ('rule("r", { on = "shop:orders", ops = { "updte" }, notify = "out" })', ["updte", 'did you mean "update"']),
    ('rule("r", { on = "shop:orders", where = { statu = "paid" }, notify = "out" })', ["statu", 'did you mean "status"']),
    ('rule("r", { on = "shop:orders", changed = { "statsu" }, notify = "out" })', ["statsu", 'did you mean "status"']),
    ('rule("r", { on = "shop:orders", message = "{{custmer}}", notify = "out" })', ["custmer", 'did you mean {{customer}}']),
    ('rule("r", { on = "shopp:orders", notify = "out" })', ["shopp", 'did you mean "shop"']),
    ('rule("r", { on = "orders", notify = "out" })', ["orders", "scripts/bad.lua:1"]),
    ('rul("r", {})', ["scripts/bad.lua:1", "rul", "rule"]),
    ('x = 1', ["scripts/bad.lua:1"]),
    ('local t = nil\nprint(t.x)', ["scripts/bad.lua:2"]),
    ('rule("r", { on = "shop:orders", digest = "5m", notify = "out" })', ["digest", "not built yet"]),
)

# A script that is fine until an event comes; what `rules` says afterwards.
RUNS = (
    ('rule("r", { on = "shop:orders", when = function(e) return 1 end, notify = "out" })', ["when"]),
    ('rule("r", { on = "shop:orders", when = function(e) return e.new.custmer == "x" end, notify = "out" })', ["custmer", "customer"]),
    ('rule("r", { on = "shop:orders", run = function(e)\n  local x = nil\n  return x.y\nend })', ["scripts/bad.lua:3"]),
    ('rule("r", { on = "shop:orders", run = function(e) while true do end end })', ["scripts/bad.lua:1"]),
    ('rule("r", { on = "shop:orders", run = function(e) while true do pcall(function() while true do end end) end end })',
     ["scripts/bad.lua:1"]),
    ('rule("r", { on = "shop:orders", run = function(e) send("outt", e) end })', ["outt", 'did you mean \\"out\\"']),
    ('rule("r", { on = "shop:orders", run = function(e) error("no way") end })', ["no way", "scripts/bad.lua:1"]),
    ('rule("r", { on = "shop:orders", where = { amount = "abc" }, notify = "out" })', []),
)


def said(done):
    return (done.stdout + done.stderr).decode(errors="replace")


def check_said(problems, what, text, words):
    for word in words:
        if word.lower() not in text.lower():
            problems.append("%s: does not say %r: %s" % (what, word, text[:500]))
    for word in ("panic", "sanitizer", "assert", "core dumped"):
        if word in text.lower():
            problems.append("%s: %s" % (what, text[:500]))


def start_fails(problems, flow, what, code, words):
    """`start` ends by itself with a code and a message."""
    flow.workspace.log_path = flow.workspace.folder + ".log%d" % start_fails.count
    start_fails.count += 1
    flow.workspace.start(wait=False)
    if not flow.workspace.wait_end(5):
        problems.append("%s: it started" % what)
        flow.workspace.kill()
        return
    expect(problems, what + ": exit code", flow.workspace.process.returncode, code)
    check_said(problems, what, open(flow.workspace.log_path, errors="replace").read(), words)


start_fails.count = 0


def configuration(problems):
    for text, words in CONFIGS:
        with Flow() as flow:
            flow.workspace.write("tidegate.lua", text + "\n")
            done = flow.workspace.run("check")
            expect(problems, "check %r: exit code" % text, done.returncode, 78)
            check_said(problems, "check %r" % text, said(done), words)
            start_fails(problems, flow, "start %r" % text, 78, words)


def scripts(problems):
    """The wrong script is named; the others run."""
    for text, words in SCRIPTS:
        with Flow() as flow:
            flow.config(OUT)
            flow.script(RULE)
            flow.script(text + "\n", "scripts/bad.lua")
            done = flow.workspace.run("check")
            expect(problems, "check %r: exit code" % text, done.returncode, 65)
            check_said(problems, "check %r" % text, said(done), words)


def broken_beside_sound(problems):
    with Flow() as flow:
        flow.config(OUT)
        flow.script(RULE)
        flow.script(SCRIPTS[0][0], "scripts/bad.lua")
        flow.workspace.start()
        flow.sql("INSERT INTO orders VALUES(1, 'a', 'new', 1)")
        expect(problems, "the sound rule runs", len(flow.lines(1)), 1)
        found = flow.workspace.status()["problems"]
        expect(problems, "problems", [p["where"] for p in found], ["scripts/bad.lua"])


def runtime(problems):
    """A rule that fails lets nothing through, says why, and stops no other."""
    for text, words in RUNS:
        with Flow() as flow:
            flow.config({"out": OUT["out"], "sound": {"type": "file", "path": "sound.jsonl"}})
            flow.script(RULE.replace('"out"', '"sound"'))
            flow.script(text + "\n", "scripts/bad.lua")
            flow.workspace.start()
            flow.sql("INSERT INTO orders VALUES(1, 'a', 'new', 1)")
            expect(problems, "%r: the sound rule" % text, len(flow.lines(1, "sound.jsonl")), 1)
            expect(problems, "%r: lets through" % text, flow.workspace.read("out.jsonl"), b"")
            rules = flow.workspace.status()["rules"]
            bad = [r for r in rules if r["script"] == "scripts/bad.lua"]
            expect(problems, "%r: failed" % text, [r["failed"] for r in bad] if words else [], [1] if words else [])
            check_said(problems, "%r" % text, json.dumps(bad), words)


def source_state(flow):
    found = flow.workspace.status()["sources"]
    return found[0] if found else {"state": "none"}


def source_error(problems, flow, what, words, code=78):
    """`check` says it with a code; a running daemon says it in `status`, and goes on."""
    done = flow.workspace.run("check")
    if done.returncode not in (code, 66, 69, 74, 75, 77):
        problems.append("%s: check exits %d: %s" % (what, done.returncode, said(done)[:400]))
    check_said(problems, what + ", check", said(done), words + ["mend it"])
    flow.workspace.start(wait=False)
    if not flow.workspace.wait_alive(5):
        problems.append("%s: the daemon ended: %s" % (what, flow.workspace.log_tail()))
        return
    wait_until(lambda: source_state(flow).get("error"), 5, 0.05)
    check_said(problems, what + ", status", json.dumps(source_state(flow).get("error")), words)


def recovers(problems, flow, what):
    """What was wrong is mended: the source goes on by itself."""
    if not wait_until(lambda: source_state(flow)["state"] == "streaming", 15, 0.1):
        problems.append("%s: does not go on once mended: %s" % (what, source_state(flow)))
        return
    flow.sql("INSERT INTO orders VALUES(100, 'a', 'new', 1)")
    expect(problems, what + ": goes on", len(flow.lines(1)), 1)


def missing_file(problems):
    with Flow(tables=None) as flow:
        flow.config(OUT)
        flow.script(RULE)
        source_error(problems, flow, "missing file", [flow.database])
        from harness.flow import SHOP
        flow.sql(SHOP)
        recovers(problems, flow, "missing file")


def folder_instead(problems):
    with Flow(tables=None) as flow:
        os.mkdir(flow.database)
        flow.config(OUT)
        source_error(problems, flow, "a folder", [flow.database, "not a file"])


def corrupt_file(problems):
    with Flow(tables=None) as flow:
        with open(flow.database, "wb") as out:
            out.write(b"this is not a database, although it is long enough to be one" * 100)
        flow.config(OUT)
        flow.script(RULE)
        source_error(problems, flow, "corrupt file", [flow.database])


def read_only_file(problems):
    if os.geteuid() == 0:
        return  # root may write anywhere; the unit tests cover the message
    with Flow() as flow:
        os.chmod(flow.database, 0o400)
        flow.config(OUT)
        source_error(problems, flow, "read-only file", [flow.database, "chmod"])
        os.chmod(flow.database, 0o600)
        recovers(problems, flow, "read-only file")


def locked_file(problems):
    """Somebody holds the write lock for a while: the source waits and says so."""
    with Flow() as flow:
        flow.config(OUT)
        flow.script(RULE)
        holder = sqlite3.connect(flow.database, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        flow.workspace.start(wait=False)
        flow.workspace.wait_alive(5)
        wait_until(lambda: source_state(flow).get("error") or not flow.workspace.running(), 15, 0.1)
        check_said(problems, "locked file, status", json.dumps(source_state(flow)), ["lock"])
        holder.execute("COMMIT")
        holder.close()
        recovers(problems, flow, "locked file")


def no_such_table(problems):
    with Flow() as flow:
        flow.config(OUT, tables=["ordrs", "orders"])
        flow.script(RULE)
        done = flow.workspace.run("check")
        expect(problems, "check: exit code", done.returncode, 1)
        check_said(problems, "table that does not exist", said(done), ["ordrs", 'did you mean "orders"'])
        flow.workspace.start()
        recovers(problems, flow, "table that does not exist")


def no_key(problems):
    with Flow() as flow:
        flow.config(OUT, tables=["notes"])
        flow.script('rule("n", { on = "shop:notes", notify = "out" })')
        done = flow.workspace.run("check")
        expect(problems, "check: exit code", done.returncode, 1)
        check_said(problems, "table without a key", said(done), ["notes", "PRIMARY KEY"])
        flow.workspace.start()
        flow.sql("INSERT INTO notes VALUES(1, 2); UPDATE notes SET b = 3;")
        lines = [json.loads(line) for line in flow.lines(2)]
        expect(problems, "keys", [e["key"] for e in lines], [None, None])


def port_taken(problems):
    with Flow() as flow, socket.socket() as holder:
        holder.bind(("127.0.0.1", flow.workspace.port))
        holder.listen()
        flow.config(OUT)
        start_fails(problems, flow, "port taken", 71, [str(flow.workspace.port), "-p"])


def second_daemon(problems):
    with Flow() as flow:
        flow.config(OUT)
        flow.script(RULE)
        flow.workspace.start()
        first, port = flow.workspace.process, flow.workspace.port
        flow.workspace.port = flow.workspace.port_of_nobody()
        start_fails(problems, flow, "second daemon", 75, ["in use", str(first.pid), "tidegate stop"])
        flow.workspace.process, flow.workspace.port = first, port
        recovers(problems, flow, "the first daemon")


def filled(flow, rows=300):
    flow.config(OUT)
    flow.script(RULE)
    flow.workspace.start()
    flow.sql("BEGIN;" + "".join("INSERT INTO orders VALUES(%d, '%s', 'new', 1);" % (i + 1000, os.urandom(1000).hex()) for i in range(rows)) + "COMMIT;")
    flow.workspace.wait_settled(rows)
    flow.workspace.stop()


def journal_segment(flow):
    """The one that holds the rows: a segment is made for good at each start, and filled later."""
    return sorted((os.path.getsize(p), p) for p in glob.glob(flow.workspace.path("data", "journal", "*")))[-1][1]


def journal_truncated(problems):
    """The end that was confirmed is gone: it stops and says so, it does not go on as if nothing were."""
    with Flow() as flow:
        filled(flow)
        os.truncate(journal_segment(flow), 8192)
        start_fails(problems, flow, "truncated journal", 74, ["journal", "reset --journal"])
        done = flow.workspace.run("reset", "--journal", "-f")
        expect(problems, "reset --journal", done.returncode, 0)
        flow.workspace.start()
        recovers_rows(problems, flow)


def recovers_rows(problems, flow):
    """After a reset of the journal: a gap, and what comes from now on."""
    flow.sql("INSERT INTO orders VALUES(5, 'a', 'new', 1)")
    wait_until(lambda: b'"id":5,' in flow.workspace.read("out.jsonl"), 10)
    events = flow.workspace.events()
    expect(problems, "events after the reset", [e["op"] for e in events if e["op"] != "ddl"], ["gap", "insert"])


def journal_corrupt(problems):
    """A byte in the middle is wrong, with sound blocks behind it: said, never cut."""
    with Flow() as flow:
        filled(flow)
        flow.workspace.start()
        flow.sql("INSERT INTO orders VALUES(1, 'a', 'new', 1)")
        flow.workspace.wait_settled(301)
        flow.workspace.stop()
        path = journal_segment(flow)
        with open(path, "r+b") as out:
            out.seek(6000)
            byte = out.read(1)
            out.seek(6000)
            out.write(bytes([byte[0] ^ 0xff]))
        before = open(path, "rb").read()
        start_fails(problems, flow, "corrupt journal", 74, ["journal", "reset --journal"])
        expect(problems, "nothing was cut", open(path, "rb").read() == before, True)


def store_corrupt(problems):
    with Flow() as flow:
        filled(flow)
        path = flow.workspace.path("data", "tidegate.db")
        with open(path, "r+b") as out:
            out.write(b"garbage instead of a database" * 20)
        start_fails(problems, flow, "corrupt store", 74, ["tidegate.db"])


def store_truncated(problems):
    with Flow() as flow:
        filled(flow)
        path = flow.workspace.path("data", "tidegate.db")
        for extra in ("-wal", "-shm"):
            if os.path.exists(path + extra):
                os.unlink(path + extra)
        os.truncate(path, 5000)
        start_fails(problems, flow, "truncated store", 74, ["tidegate.db"])


def log_limit(problems):
    """A change log that nobody reads stops growing, the application goes on, and the source is lost."""
    with Flow() as flow:
        flow.config(OUT, log_limit=1000)
        flow.script(RULE)
        flow.workspace.start()
        flow.workspace.stop()
        flow.sql("BEGIN;" + "".join("INSERT INTO orders VALUES(%d, 'a', 'new', 1);" % i for i in range(3000)) + "COMMIT;")
        flow.workspace.start(wait=False)
        flow.workspace.wait_alive()
        wait_until(lambda: source_state(flow)["state"] == "lost", 10, 0.1)
        state = source_state(flow)
        expect(problems, "state", state["state"], "lost")
        check_said(problems, "lost", json.dumps(state), ["limit", "log_limit"])
        flow.workspace.stop()
        flow.config(OUT, log_limit=100000, on_lost="accept")
        flow.workspace.start()
        wait_until(lambda: "gap" in [e["op"] for e in flow.workspace.events()], 10, 0.1)
        flow.sql("INSERT INTO orders VALUES(5000, 'a', 'new', 1)")
        wait_until(lambda: b'"id":5000,' in flow.workspace.read("out.jsonl"), 10)
        ops = [e["op"] for e in flow.workspace.events() if e["source"] == "shop"]
        expect(problems, "one gap", ops.count("gap"), 1)
        expect(problems, "then the new row", ops[-2:], ["gap", "insert"])


def writable_by_others(problems):
    with Flow() as flow:
        flow.config(OUT)
        os.chmod(flow.workspace.path("tidegate.lua"), 0o666)
        start_fails(problems, flow, "tidegate.lua writable by others", 77, ["chmod go-w", "tidegate.lua"])


def wrong_words(problems):
    with Flow() as flow:
        flow.config(OUT)
        for words, code, texts in (
                (["strat"], 64, ["strat", 'did you mean "start"']), (["events", "--form-lsn", "1"], 64, ["form-lsn", "from-lsn"]),
                (["events", "--op", "updat"], 64, ["updat"]), (["check", "shp"], 66, ["shp"]),
                (["journal"], 64, ["journal"]), (["backup", "x"], 64, ["backup"])):
            done = flow.workspace.run(*words)
            expect(problems, "%s: exit code" % words, done.returncode, code)
            check_said(problems, str(words), said(done), texts)


run_cases([configuration, scripts, broken_beside_sound, runtime, missing_file, folder_instead, corrupt_file, read_only_file,
           locked_file, no_such_table, no_key, port_taken, second_daemon, journal_truncated, journal_corrupt, store_corrupt,
           store_truncated, log_limit, writable_by_others, wrong_words])
