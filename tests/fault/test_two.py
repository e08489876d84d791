#!/usr/bin/env python3
"""Two sources in one workspace, each with writers and a ledger of its own, killed together: neither
loses, doubles or reorders anything, whatever the other does."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import sources, verify  # noqa: E402
from harness.rig import Rig, main  # noqa: E402

POINTS = ("journal.mid_group:3", "journal.after_sync:4", "source.mid_batch:200", "store.after_commit:4",
          "source.before_confirm:3", "rules.after_send:30", "outbox.after_take:3", "journal.before_sync:5")


def second(rig, arguments):
    folder = os.path.join(rig.folder, "second")
    os.makedirs(folder)
    other = sources.load(arguments.second)(folder, arguments.seed + 1, "delete" if arguments.second == "sqlite" else None)
    other.create()
    rig.workspace.configure(
        {"shop": rig.source.declaration(), "other": other.declaration()},
        {"out": {"type": "file", "path": "out.jsonl"}})
    rig.workspace.write("scripts/all.lua", 'rule("all", {'
                        ' on = { "shop:*", "other:*" }, ops = { "insert", "update", "delete", "truncate" }, notify = "out" })')
    return other


def test(arguments):
    rig = Rig(arguments.seed, arguments.source)
    other = second(rig, arguments)
    try:
        rig.begin(writers=1)
        other.writer(7, 30)
        rig.workspace.kill()
        for n in range(arguments.cycles):
            rig.workspace.start(fault=POINTS[n % len(POINTS)] if n % 3 else None, wait=False)
            if n % 4 == 0:
                (rig.source, other)[n // 4 % 2].writers[0].big(1100)
            if n % 3:
                rig.workspace.wait_end(2)
            else:
                time.sleep(rig.random.uniform(0.1, 0.5))
            rig.workspace.kill()
        rig.halt_writers()
        for writer in other.writers:
            writer.close()
        rig.workspace.start()
        ledgers = {"shop": rig.source.ledger(), "other": other.ledger()}
        count = sum(map(len, ledgers.values()))
        problems = [] if rig.workspace.wait_settled(count, 40) else ["not settled: " + rig.where()]
        events = rig.all_events(count, 10)
        for name, ledger in ledgers.items():
            problems += ["%s: %s" % (name, p) for p in verify.events(events, ledger, source=name)]
        rig.workspace.stop()
        every = {e["id"]: e for e in verify.rows_of(events)}
        problems += verify.lines(rig.workspace.read("out.jsonl"), every, "file")
        problems += rig.workspace.odd_ends + rig.workspace.complaints()[:10]
        print("%d events: %s; %d kills" % (len(events), {n: len(x) for n, x in ledgers.items()}, len(rig.workspace.kills)))
        if min(map(len, ledgers.values())) < 100:
            problems.append("a source that hardly wrote proves nothing")
        return problems
    finally:
        other.close()
        rig.close()


main(test, second="sqlite", cycles=18)
