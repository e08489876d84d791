#!/usr/bin/env python3
"""Several segments: kills while one is prepared and between the unlinks of a trim. What is kept after
it is the ledger's end, without a hole; the numbers go on where they were."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import verify  # noqa: E402
from harness.rig import Rig, main  # noqa: E402

SIZE = 1 << 20  # of a row; its hex digits compress to half of that


def quiet(rig):
    """No rules: this is about the journal, and rows of a megabyte are slow to print."""
    rig.workspace.write("scripts/all.lua", "")
    rig.workspace.configure({"shop": rig.source.declaration()}, {})


def settle(rig, problems):
    if not rig.workspace.running():
        rig.workspace.start()
    if not rig.workspace.wait_settled(len(rig.source.ledger()), 30):
        problems.append("not settled: " + rig.where())


def fill(rig, writer, problems):
    """Three segments, each begun by a process that dies of it."""
    for passage in (1, 2, 1, 1):
        rig.workspace.start(fault="segment.prepare:%d" % passage, wait=False)
        writer.big(75, SIZE)
        rig.workspace.wait_end(6)
        rig.workspace.kill()
    settle(rig, problems)


def kept(rig, problems):
    """Compares what is left of the journal with the end of the ledger."""
    events = rig.workspace.events()
    oldest = rig.workspace.status()["journal"]["oldest_lsn"]
    whole = rig.source.ledger()
    whole.changes = whole.changes[oldest - 1:]
    problems += ["from lsn %d on: %s" % (oldest, p) for p in verify.events(events, whole, first_lsn=oldest)]
    return oldest


def segments(rig):
    return len(os.listdir(rig.workspace.path("data", "journal")))


def test(arguments):
    rig = Rig(arguments.seed, arguments.source)
    problems = []
    try:
        quiet(rig)
        writer = rig.begin(writers=1, paused=True)[0]
        rig.workspace.kill()
        fill(rig, writer, problems)
        kept(rig, problems)
        before = segments(rig)
        rig.workspace.stop()
        rig.workspace.start(fault="journal.trim:1")
        newest = rig.workspace.status()["journal"]["newest_lsn"]
        rig.workspace.run("journal", "trim", "--before-lsn", str(newest))
        rig.workspace.wait_end(5)
        rig.workspace.kill()
        settle(rig, problems)
        first = kept(rig, problems)
        rig.workspace.run("journal", "trim", "--before-lsn", str(newest))
        writer.some(20)
        settle(rig, problems)
        second = kept(rig, problems)
        faults = rig.workspace.faults()
        print("segments %d, then %d; oldest lsn %d, then %d; kills at %s" % (before, segments(rig), first, second, faults))
        if second <= 1:
            problems.append("nothing was trimmed")
        for point in ("segment.prepare", "journal.trim"):
            if point not in faults:
                problems.append("no kill at " + point)
        return problems
    finally:
        rig.close()


main(test)
