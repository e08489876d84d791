"""Rows about PostgreSQL: a real server, and pg_recvlogical beside us on the same backlog."""
import os
import shutil
import subprocess
import time

from tests.harness import pq
from tests.harness.daemon import Failed, wait_until
from tests.harness.servers import Unavailable
from tests.harness.servers.postgres import Postgres

from . import flows, proc

BACKLOG = 1_000_000
TRANSACTION = 1_000  # rows of each transaction of the backlog
SINGLE_ROWS = 200_000  # each in a transaction of its own
LONG_TRANSACTION = 10_000_000

# What is ours costs the same whatever the server syncs; a checkpoint in mid-run would only be noise.
SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "8GB", "checkpoint_timeout": "1h", "autovacuum": "off",
            "log_replication_commands": "on", "ssl": "off"}
TABLES = """
CREATE TABLE orders(id int PRIMARY KEY, customer int, status text, amount float8, note text);
CREATE TABLE done(id int PRIMARY KEY);
"""
FILL = """
DO $$ BEGIN
  FOR i IN 0 .. %d LOOP
    INSERT INTO orders SELECT n, n %% 1000, 'paid', n * 1.25, 'note number ' || n || ' with some text'
      FROM generate_series(i * %d + 1, (i + 1) * %d) AS n;
    COMMIT;
  END LOOP;
END $$
"""
KEPT = "bench"  # a slot that nobody reads: what is read is a copy of it
THEIRS = "bench_theirs"
SOME = 'rule("r", { on = "shop:orders", notify = "out", when = function(e) return e.new.id % 10 == 0 end })\n'


def declaration(server):
    return {"driver": "postgres", "url": address(server)}


def address(server):
    """Without TLS for both, so that it isn't a race of ciphers."""
    return server.url(host="127.0.0.1", sslmode="disable", sslrootcert=None)


class Backlog:
    """A server whose log holds rows that nobody has read, and a workspace whose source stands before
    them. Each run reads through a copy of the slot, so that all have the same before them."""

    def __init__(self, bench, rows=BACKLOG, transaction=TRANSACTION):
        self.bench = bench
        self.rows = rows
        self.server = bench.open(Postgres(bench.path("postgres"), **SETTINGS))
        self.db = bench.open(self.server.admin())
        self.db.execute(TABLES)
        self.template, self.slot, self.publications = self.introduce()
        self.db.execute("SELECT pg_copy_logical_replication_slot(%s, %s)", self.slot, KEPT)
        self.db.execute(FILL % (rows // transaction - 1, transaction, transaction))
        self.end = self.db.one("SELECT pg_current_wal_lsn()")
        self.db.execute("INSERT INTO done VALUES(1)")

    def introduce(self):
        """The workspace of a source that has streamed once, its slot, and its publications as it named them."""
        ws = self.bench.workspace()
        ws.configure({"shop": declaration(self.server)}, flows.file_channels("out", "done"))
        ws.write("scripts/bench.lua", flows.LUA_ALL + flows.AT_END % "shop")
        flows.start_streaming(ws, "shop")
        ws.stop()
        return ws.folder, self.db.one("SELECT slot_name FROM pg_replication_slots"), self.named_publications()

    def named_publications(self):
        """From the server's log: our START_REPLICATION, as it came."""
        with open(self.server.log_path) as log:
            started = [line for line in log if "START_REPLICATION" in line and "publication_names" in line]
        return started[-1].split("publication_names '", 1)[1].split("'")[0]

    def rewind(self, slot):
        """`slot` stands before the backlog again."""
        if not wait_until(lambda: not self.db.execute(
                "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND active", slot), 20, 0.05):
            raise Failed("slot %s stays in use" % slot)
        if self.db.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", slot):
            self.db.execute("SELECT pg_drop_replication_slot(%s)", slot)
        self.db.execute("SELECT pg_copy_logical_replication_slot(%s, %s)", KEPT, slot)

    def workspace(self):
        self.rewind(self.slot)
        return self.bench.workspace(self.template)

    def read_plainly(self):
        """Rows a second that pg_recvlogical throws away."""
        self.rewind(THEIRS)
        since = time.monotonic()
        subprocess.run(
            [os.path.join(self.server.programs, "pg_recvlogical"), "-d", address(self.server), "--slot", THEIRS,
             "--start", "--no-loop", "--endpos", self.end, "-f", "/dev/null", "-o", "proto_version=1",
             "-o", "publication_names=" + self.publications, "-o", "messages=true"], check=True, timeout=300)
        return self.rows / (time.monotonic() - since)


def backlog(bench, rows=BACKLOG, transaction=TRANSACTION):
    if not bench.kept:
        bench.kept = Backlog(bench, rows, transaction)
    return bench.kept


def drain(given, script, lines, seconds=80):
    ws = given.workspace()
    ws.write("scripts/bench.lua", script + flows.AT_END % "shop")
    os.sync()
    since = time.time()
    ws.start(wait=False)
    try:
        took, cpu = flows.finish(ws, since, given.rows + 1, seconds)
        arrived = count_lines(ws.path("out.jsonl"))
        if arrived != lines:
            raise Failed("%d lines arrived instead of %d" % (arrived, lines))
        figures = {"rate": given.rows / took, "cpu": cpu * 1e6 / given.rows,
                   "peak": proc.memory(ws.process.pid, "VmHWM")}
        ws.stop()
    finally:
        ws.close()
        shutil.rmtree(ws.folder)
    return figures


def count_lines(path):
    with open(path, "rb") as lines:
        return sum(block.count(b"\n") for block in iter(lambda: lines.read(1 << 20), b""))


def race(given):
    theirs = given.read_plainly()
    ours = drain(given, flows.LUA_ALL, given.rows)
    return dict(ours, theirs=theirs, ratio=ours["rate"] / theirs)


def drain_row(bench):
    return {"pg_" + name: value for name, value in race(backlog(bench)).items()}


def single_row(bench):
    found = race(backlog(bench, SINGLE_ROWS, 1))
    return {"pg_single_" + name: found[name] for name in ("rate", "theirs", "ratio", "cpu")}


def transaction_row(bench):
    """One transaction; every tenth row is sent."""
    given = backlog(bench, LONG_TRANSACTION, LONG_TRANSACTION)
    found = drain(given, SOME, LONG_TRANSACTION // 10, 300)
    return {"pg_long": found["rate"], "pg_long_peak": found["peak"]}


transaction_row.once = True


def busy_row(bench):
    """Commit to webhook of a SQLite source while PostgreSQL drains; what came after its end does not count."""
    given = backlog(bench)
    ws = given.workspace()
    flows.database(ws, "till")
    commits = flows.Commits(ws, flows.BUSY_SECONDS, "till.db")
    try:
        ws.configure({"shop": declaration(given.server), **flows.source("till")},
                     {**flows.file_channels("out", "done"), **flows.hook(commits)})
        ws.write("scripts/bench.lua", flows.HOOK_ALL.replace("shop:", "till:") + flows.LUA_ALL + flows.AT_END % "shop")
        ws.start()
        took = flows.latencies(ws, commits)
        peak = proc.memory(ws.process.pid, "VmHWM")
        ws.stop()
    finally:
        commits.close()
        ws.close()
        shutil.rmtree(ws.folder)
    return {"pg_busy_p50": flows.percentile(took, 0.5) / 1e3, "pg_busy_p99": flows.percentile(took, 0.99) / 1e3,
            "pg_busy_peak": peak}


def latency_row(bench):
    """From a commit in PostgreSQL, which syncs its log as it does by itself."""
    ws = bench.workspace()
    with Postgres(ws.folder + "-postgres", fsync="on", **SETTINGS) as server:
        with server.admin() as db:
            db.execute(TABLES)
        commits = flows.Commits(ws, flows.SECONDS, address(server))
        try:
            ws.configure({"shop": declaration(server)}, flows.hook(commits))
            ws.write("scripts/bench.lua", flows.HOOK_ALL)
            flows.start_streaming(ws, "shop")
            commits.go()
            took = [latency for _, latency in commits.finish()]
            ws.stop()
        finally:
            commits.close()
            ws.close()
    return {"pg_p50": flows.percentile(took, 0.5) / 1e3, "pg_p99": flows.percentile(took, 0.99) / 1e3}


def start_row(bench):
    """A start before a backlog, and starts after kills in the middle of reading it."""
    ws = backlog(bench).workspace()
    os.sync()  # the server's own pages would stand before each of our syncs
    first, again = flows.start_times(ws)
    return {"pg_start": first, "pg_restart": again}
