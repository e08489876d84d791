"""Runs the groups of rows, prints the table, writes results/bench.json. See run.sh."""
import contextlib
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(os.environ["BUILD"])
os.environ.setdefault("TIDEGATE_BINARY", os.path.join(BUILD, "tidegate"))  # what is shipped

from . import flows, postgres, proc, programs  # noqa: E402  (they read the environment)

RUNS = int(os.environ.get("RUNS", "3"))
PATTERN = os.environ.get("PATTERN", "")

# A group is measured at once: (name, who measures, rows). A program repeats by itself; a flow is
# repeated here. A row: (figure, text, unit, goal): a goal is "<= n", ">= n" or "" (only shown).
PROGRAMS = [
    ("journal", programs.journal, [
        ("append", "journal append, a sync per 128 KiB block", "MB/s", ""),
        ("ratio", "journal append / bare file written and synced", "x", ""),
        ("read", "journal read", "MB/s", ""),
    ]),
    ("lua", programs.lua, [
        ("condition", "Lua condition, per event and rule", "us", "<= 0.15"),
        ("thousand_memory", "1,000 rules / one, matching in memory", "x", "<= 2"),
    ]),
    ("outbox", programs.outbox, [
        ("put", "outbox append", "/s", ">= 200000"),
        ("take", "outbox take", "/s", ">= 200000"),
        ("put_beside", "append, 1 M messages wait on a dead channel", "/s", ">= 180000"),
        ("take_beside", "take, 1 M messages wait on a dead channel", "/s", ">= 180000"),
    ]),
    ("webhook", programs.webhook, [
        ("webhooks", "webhooks to a local server, 256 in flight", "/s", ">= 20000"),
    ]),
]
FLOWS = [
    ("drain", flows.drain_row, [
        ("drain", "SQLite backlog through journal, Lua rule, file", "rows/s", ""),
        ("drain_ratio", "the same / sqlite3 reading the change log", "x", ""),
        ("drain_cpu", "CPU per event for that", "us", "<= 2.5"),
        ("drain_peak", "peak RSS while draining it", "MiB", "<= 64"),
    ]),
    ("rule", flows.rule_row, [
        ("rule_ratio", "whole path with a Lua rule / without, CPU", "x", "<= 1.1"),
    ]),
    ("thousand", flows.thousand_row, [
        ("thousand", "whole path, 1,000 rules with one matching / one, CPU", "x", "<= 2"),
    ]),
    ("latency", flows.latency_row, [
        ("p50", "commit to webhook at 1,000/s, p50", "ms", "<= 2"),
        ("p99", "commit to webhook at 1,000/s, p99", "ms", "<= 10"),
        ("write", "disk writes per event at 1,000/s", "KiB", "<= 32"),
    ]),
    ("busy", flows.busy_row, [
        ("busy_p99", "the same p99, another source drains 1 M rows", "ms", "<= 20"),
        ("busy_sent_p99", "the same p99, each of them sent to a file too", "ms", "<= 20"),
        ("busy_peak", "peak RSS meanwhile", "MiB", "<= 64"),
    ]),
    ("idle", flows.idle_row, [
        ("idle_cpu", "idle, one source: CPU", "%", "<= 0.2"),
        ("idle_wakeups", "idle, one source: wake-ups", "/s", "<= 5"),
        ("idle_memory", "idle: RssAnon", "MiB", "<= 16"),
    ]),
    ("start", flows.start_row, [
        ("start", "exec to streaming", "ms", "<= 100"),
        ("restart", "exec to streaming after kill -9 in a drain", "ms", "<= 100"),
    ]),
    ("postgres", postgres.drain_row, [
        ("pg_rate", "PostgreSQL backlog through journal, Lua rule, file", "rows/s", ""),
        ("pg_theirs", "pg_recvlogical to /dev/null, same backlog", "rows/s", ""),
        ("pg_ratio", "PostgreSQL backlog: ours / pg_recvlogical", "x", ">= 0.95"),
        ("pg_cpu", "CPU per event for that", "us", "<= 2.5"),
        ("pg_peak", "peak RSS while draining it", "MiB", "<= 64"),
    ]),
    ("postgres-single", postgres.single_row, [
        ("pg_single_rate", "PostgreSQL backlog, one row a transaction", "rows/s", ""),
        ("pg_single_theirs", "pg_recvlogical to /dev/null, that backlog", "rows/s", ""),
        ("pg_single_ratio", "PostgreSQL, one row a transaction: ours / theirs", "x", ""),
        ("pg_single_cpu", "CPU per event for that", "us", ""),
    ]),
    ("postgres-latency", postgres.latency_row, [
        ("pg_p50", "PostgreSQL commit to webhook at 1,000/s, p50", "ms", "<= 2"),
        ("pg_p99", "PostgreSQL commit to webhook at 1,000/s, p99", "ms", "<= 10"),
    ]),
    ("postgres-busy", postgres.busy_row, [
        ("pg_busy_p50", "SQLite to webhook, 1,000/s, beside that drain, p50", "ms", ""),
        ("pg_busy_p99", "SQLite to webhook, 1,000/s, beside that drain, p99", "ms", "<= 20"),
        ("pg_busy_peak", "peak RSS meanwhile", "MiB", "<= 64"),
    ]),
    ("postgres-start", postgres.start_row, [
        ("pg_start", "PostgreSQL, exec to streaming", "ms", "<= 100"),
        ("pg_restart", "the same after kill -9 in a drain", "ms", "<= 100"),
    ]),
    ("postgres-transaction", postgres.transaction_row, [
        ("pg_long", "PostgreSQL, one transaction of 10 M rows", "rows/s", ""),
        ("pg_long_peak", "peak RSS for that", "MiB", "<= 64"),
    ]),
]

FAILURES = (programs.Missing, postgres.Unavailable, postgres.pq.Error, flows.Failed, subprocess.SubprocessError,
            RuntimeError, OSError, ValueError)


def wanted(group, rows):
    return any(PATTERN in text for text in [group] + [row[1] for row in rows])


def met(value, goal):
    if not goal:
        return None
    sign, limit = goal.split()
    return value <= float(limit) if sign == "<=" else value >= float(limit)


def measure_flow(function, folder):
    with contextlib.closing(flows.Bench(folder)) as bench:
        runs = [function(bench) for _ in range(1 if getattr(function, "once", False) else RUNS)]
    return {name: [run[name] for run in runs] for name in runs[0]}


def measure(name, function, rows, folder):
    """The group's rows as (text, value, unit, goal, met, values), and what went wrong."""
    since = time.monotonic()
    group_folder = os.path.join(folder, name)
    os.mkdir(group_folder)
    try:
        is_flow = (name, function, rows) in FLOWS
        figures = measure_flow(function, group_folder) if is_flow else function(RUNS)
        error = None
    except FAILURES as caught:
        figures, error = {}, "%s: %s" % (name, caught)
    shutil.rmtree(group_folder, ignore_errors=True)
    made = []
    for key, text, unit, goal in rows:
        values = figures.get(key, [])
        value = statistics.median(values) if values else None
        made.append({"row": key, "group": name, "text": text, "figure": value, "unit": unit, "goal": goal,
                     "met": met(value, goal) if values else None, "runs": values})
    return made, error, time.monotonic() - since


def show(row):
    value = "-" if row["figure"] is None else "%.*f" % (0 if row["figure"] >= 1000 else 3 if row["figure"] < 10 else 1,
                                                        row["figure"])
    goal = row["goal"].replace("<=", "≤").replace(">=", "≥")
    word = "not measured" if row["figure"] is None else {None: "", True: "met", False: "MISSED"}[row["met"]]
    print("%-54s %9s %-7s %-9s %s" % (row["text"], value, row["unit"], goal, word), flush=True)


def main():
    machine = proc.machine()
    results = os.path.join(BUILD, "results")
    os.makedirs(results, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="tidegate-bench-")
    rows, errors = [], []
    try:
        machine["synced_4k_us"] = {k: v[0] for k, v in programs.disk(folder).items()}
        print("%d cores, %d GiB, Linux %s, load %.1f; a synced 4 KiB write takes %.0f us (p99 %.0f); medians of %d runs\n"
              % (machine["cores"], machine["memory_gib"], machine["kernel"], machine["load"],
                 machine["synced_4k_us"]["median"], machine["synced_4k_us"]["p99"], RUNS), flush=True)
        for group in PROGRAMS + FLOWS:
            if not wanted(group[0], group[2]):
                continue
            made, error, seconds = measure(*group, folder)
            for row in made:
                show(row)
            if error:
                errors.append(error)
                print("    " + error.replace("\n", "\n    "), flush=True)
            print("    (%s: %.0f s)" % (group[0], seconds), file=sys.stderr, flush=True)
            rows += made
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    with open(os.path.join(results, "bench.json"), "w") as out:
        json.dump({"time": datetime.datetime.now(datetime.timezone.utc).isoformat(), "machine": machine,
                   "rows": rows, "errors": errors}, out, indent=1)
    missed = sum(row["met"] is False for row in rows)
    print("\n%d goals met, %d missed, %d rows not measured"
          % (sum(row["met"] is True for row in rows), missed, sum(row["figure"] is None for row in rows)))
    return 1 if errors else 0


sys.exit(main())
