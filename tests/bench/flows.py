"""Rows that the real program runs for: a workspace on a SQLite database, measured from outside."""
import contextlib
import os
import shutil
import sqlite3
import subprocess
import time

from tests.harness.daemon import BINARY, Failed, Workspace, environment, wait_until

from . import proc, programs

BACKLOG = 300_000
LONG_BACKLOG = 1_000_000
RATE = 1000
SECONDS = 20
BUSY_SECONDS = 6  # more than the long backlog lasts
WARM_UP = 300_000  # µs: that row is about a drain, not about a start
IDLE_SECONDS = 20

TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER, status TEXT, amount REAL, note TEXT);
CREATE TABLE done(id INTEGER PRIMARY KEY);
"""
FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT %d)
INSERT INTO orders SELECT i, i %% 1000, 'paid', i * 1.25, 'note number ' || i || ' with some text' FROM n;
INSERT INTO done VALUES(1);
"""
AT_END = 'rule("done", { on = "%s:done", notify = "done" })\n'
LUA_NO = 'rule("r", { on = "shop:orders", notify = "out", when = function(e) return e.new.amount < 0 end })\n'
LUA_ALL = 'rule("r", { on = "shop:orders", notify = "out", when = function(e) return e.new.amount > 0 end })\n'
C_ALL = 'rule("r", { on = "shop:orders", notify = "out", where = { customer = ge(0) } })\n'
C_THOUSAND = """for i = 0, 999 do
  rule("r" .. i, { on = "shop:orders", notify = "out", where = { customer = i } })
end
"""


def source(name="shop"):
    return {name: {"driver": "sqlite", "path": name + ".db"}}


def file_channels(*names):
    return {name: {"type": "file", "path": name + ".jsonl"} for name in names}


class Bench:
    """A folder for what a group makes; `backlog` is made once and copied. What is open()ed lives until close()."""

    def __init__(self, folder):
        self.folder = folder
        self.backlogs = {}
        self.kept = None  # what a group makes once that is no workspace
        self.made = 0
        self.opened = contextlib.ExitStack()

    def open(self, thing):
        return self.opened.enter_context(thing)

    def close(self):
        self.opened.close()

    def path(self, name):
        return os.path.join(self.folder, name)

    def workspace(self, of=None):
        self.made += 1
        path = self.path("ws%d" % self.made)
        if of:
            shutil.copytree(of, path)
        return Workspace(path)

    def backlog(self, name="shop", count=BACKLOG):
        """A workspace whose source was started once, and whose log holds `count` rows unread."""
        if (name, count) not in self.backlogs:
            self.backlogs[name, count] = self.make_backlog(name, count)
        return self.backlogs[name, count]

    def make_backlog(self, name, count):
        ws = self.workspace()
        database(ws, name)
        ws.configure(source(name), file_channels("out", "done"))
        ws.write("scripts/bench.lua", LUA_ALL.replace("shop:", name + ":") + AT_END % name)
        start_streaming(ws, name)
        ws.stop()
        with sqlite3.connect(ws.path(name + ".db")) as db:
            db.executescript("BEGIN;" + FILL % count + "COMMIT; PRAGMA wal_checkpoint(TRUNCATE);")
        return ws.folder


def database(ws, name="shop"):
    with sqlite3.connect(ws.path(name + ".db")) as db:
        db.executescript(TABLES)


def streams(ws, name):
    return any(s["name"] == name and s["state"] == "streaming" for s in ws.status()["sources"])


def start_streaming(ws, name):
    ws.start()
    if not wait_until(lambda: streams(ws, name), 10, 0.05):
        raise Failed("the source does not stream:\n" + ws.log_tail())


def finish(ws, since, count, seconds=80):
    """Waits until all is delivered. What it took: seconds, and the CPU of the daemon."""
    if not wait_until(lambda: not ws.running() or ws.read("done.jsonl"), seconds, 0.02) or not ws.running():
        raise Failed("the backlog was not drained:\n" + ws.log_tail())
    if not ws.wait_settled(count, 30):
        raise Failed("not all was delivered:\n" + ws.log_tail())
    cpu = proc.cpu_seconds(ws.process.pid)
    times = [os.stat(ws.path(name)).st_mtime for name in ("out.jsonl", "done.jsonl") if os.path.exists(ws.path(name))]
    return max(times) - since, cpu


def drain(bench, script, expected=BACKLOG):
    ws = bench.workspace(bench.backlog())
    ws.write("scripts/bench.lua", script + AT_END % "shop")
    os.sync()
    since = time.time()
    ws.start(wait=False)
    try:
        seconds, cpu = finish(ws, since, BACKLOG + 1)
        lines = ws.read("out.jsonl").count(b"\n")
        if lines != expected:
            raise Failed("%d lines arrived instead of %d" % (lines, expected))
        figures = {"rate": BACKLOG / seconds, "cpu": cpu * 1e6 / BACKLOG,
                   "peak": proc.memory(ws.process.pid, "VmHWM")}
        ws.stop()
    finally:
        ws.close()
        shutil.rmtree(ws.folder)
    return figures


def read_plainly(folder):
    """Rows a second that the sqlite3 shell reads from the same change log."""
    since = time.monotonic()
    subprocess.run(["sqlite3", os.path.join(folder, "shop.db"), "SELECT * FROM _tidegate_log"],
                   stdout=subprocess.DEVNULL, check=True)
    return BACKLOG / (time.monotonic() - since)


def drain_row(bench):
    plain = read_plainly(bench.backlog())
    figures = drain(bench, LUA_ALL)
    return {"drain": figures["rate"], "drain_ratio": figures["rate"] / plain, "drain_cpu": figures["cpu"],
            "drain_peak": figures["peak"]}


def rule_row(bench):
    without = drain(bench, "", 0)
    ruled = drain(bench, LUA_NO, 0)
    return {"rule_ratio": ruled["cpu"] / without["cpu"]}


def thousand_row(bench):
    one = drain(bench, C_ALL)
    thousand = drain(bench, C_THOUSAND)
    return {"thousand": thousand["cpu"] / one["cpu"]}


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


class Commits:
    """The writer with its receiver: bench_latency."""

    def __init__(self, ws, seconds, database):
        """`database`: a file of the workspace, or a URL."""
        self.samples = ws.path("samples")
        self.process = subprocess.Popen(
            [os.path.join(programs.FOLDER, "bench_latency"), database if "://" in database else ws.path(database),
             str(RATE), str(seconds), self.samples],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def finish(self):
        said, _ = self.process.communicate(timeout=SECONDS + 40)
        if self.process.returncode != 0:
            raise Failed("bench_latency: " + said)
        with open(self.samples) as lines:
            return [tuple(map(int, line.split())) for line in lines]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def hook(commits):
    return {"hook": {"type": "webhook", "url": "http://127.0.0.1:%d/" % commits.port}}


HOOK_ALL = 'rule("hook", { on = "shop:orders", notify = "hook" })\n'


def latency_row(bench):
    ws = bench.workspace()
    database(ws)
    commits = Commits(ws, SECONDS, "shop.db")
    try:
        ws.configure(source(), hook(commits))
        ws.write("scripts/bench.lua", HOOK_ALL)
        start_streaming(ws, "shop")
        before = proc.written(ws.process.pid)
        commits.go()
        took = [latency for _, latency in commits.finish()]
        written = proc.written(ws.process.pid) - before
        ws.stop()
    finally:
        commits.close()
        ws.close()
    return {"p50": percentile(took, 0.5) / 1e3, "p99": percentile(took, 0.99) / 1e3,
            "write": written / len(took) / 1024}


def latencies(ws, commits):
    """What commits of a steady writer take while another source drains; those after its end don't count."""
    commits.go()
    samples = commits.finish()
    drained = ws.read("done.jsonl")
    end = os.stat(ws.path("done.jsonl")).st_mtime * 1e6 if drained else float("inf")
    begin = samples[0][0] + WARM_UP
    return [latency for at, latency in samples if begin <= at < end]


def busy_latency(bench, rule):
    """The same as latency_row, while another source drains."""
    ws = bench.workspace(bench.backlog("bulk", LONG_BACKLOG))
    database(ws)
    commits = Commits(ws, BUSY_SECONDS, "shop.db")
    try:
        ws.configure({**source("bulk"), **source("shop")}, {**file_channels("out", "done"), **hook(commits)})
        ws.write("scripts/bench.lua", HOOK_ALL + rule.replace("shop:", "bulk:") + AT_END % "bulk")
        ws.start()
        took = latencies(ws, commits)
        peak = proc.memory(ws.process.pid, "VmHWM")
        ws.stop()
    finally:
        commits.close()
        ws.close()
        shutil.rmtree(ws.folder)
    return percentile(took, 0.99) / 1e3, peak


def busy_row(bench):
    decided, _ = busy_latency(bench, LUA_NO)
    sent, peak = busy_latency(bench, LUA_ALL)
    return {"busy_p99": decided, "busy_sent_p99": sent, "busy_peak": peak}


def idle_row(bench):
    ws = bench.workspace()
    database(ws)
    ws.configure(source(), file_channels("out"))
    ws.write("scripts/bench.lua", LUA_ALL)
    ws.start()
    try:
        time.sleep(3)
        pid = ws.process.pid
        cpu, wakeups = proc.cpu_seconds(pid), proc.wakeups(pid)
        time.sleep(IDLE_SECONDS)
        figures = {"idle_cpu": (proc.cpu_seconds(pid) - cpu) * 100 / IDLE_SECONDS,
                   "idle_wakeups": (proc.wakeups(pid) - wakeups) / IDLE_SECONDS,
                   "idle_memory": proc.memory(pid, "RssAnon")}
        ws.stop()
    finally:
        ws.close()
    return figures


def start_timed(ws):
    """Milliseconds from exec to the line that says that the sources stream."""
    since = time.monotonic()
    ws.process = subprocess.Popen([BINARY, "start", ws.folder, "-p", str(ws.port)], env=environment(),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    for line in ws.process.stderr:
        if line.startswith(b"Tidegate"):
            return (time.monotonic() - since) * 1e3
    raise Failed("the daemon ended while it started")


def start_times(ws):
    """Of a first start, and the median of starts after kills in the middle of a drain."""
    took = []
    try:
        for _ in range(5):
            took.append(start_timed(ws))
            ws.process.stderr.close()
            time.sleep(0.3)
            ws.kill()
    finally:
        ws.close()
        shutil.rmtree(ws.folder)
    return took[0], sorted(took[1:])[2]


def start_row(bench):
    first, again = start_times(bench.workspace(bench.backlog()))
    return {"start": first, "restart": again}
