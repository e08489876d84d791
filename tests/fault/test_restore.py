#!/usr/bin/env python3
"""Yesterday's data folder put back, and a workspace that was copied and both started. "Same
position" is not "same history": what can't be proved must be a gap, never silence and never a
second event with an old id and another content."""
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import sources, verify  # noqa: E402
from harness.daemon import Failed, Workspace, wait_until  # noqa: E402
from harness.rig import Rig, main  # noqa: E402


def copy_tree(source, target):
    shutil.copytree(source, target, ignore=lambda *_: {"tidegate.sock", "lock"})


def settle(rig, extra=0):
    count = len(rig.source.ledger())
    if not rig.workspace.wait_settled(count + extra):
        raise Failed("not settled: " + rig.where())


def lost_source(workspace):
    sources = workspace.status()["sources"]
    return sources[0]["state"] == "lost" and sources[0]


def yesterday(arguments, pruned):
    """The database's log has gone on (and what was read of it was dropped) since the copy was made."""
    rig = Rig(arguments.seed, arguments.source)
    try:
        writer = rig.begin(writers=1, paused=True)[0]
        writer.some(40)
        settle(rig)
        rig.workspace.stop()
        copy_tree(rig.workspace.path("data"), os.path.join(rig.folder, "yesterday"))
        kept = len(rig.source.ledger())
        rig.workspace.start()
        writer.some(40)
        settle(rig)
        if pruned:
            # Only the newest confirmed row is kept once the source has been quiet for a second.
            wait_until(lambda: rig.source.unread_rows() <= 1, 10)
        rig.workspace.stop()
        shutil.rmtree(rig.workspace.path("data"))
        copy_tree(os.path.join(rig.folder, "yesterday"), rig.workspace.path("data"))
        rig.workspace.start(wait=False)
        if not pruned:
            # Nothing is missing: the rest is read again, with the same ids.
            settle(rig)
            return verify.events(rig.workspace.events(), rig.source.ledger())
        return says_lost(rig, kept)
    finally:
        rig.close()


def says_lost(rig, kept):
    source = wait_until(lambda: rig.workspace.running() and lost_source(rig.workspace), 10)
    if not source:
        return ["a restored folder whose log is gone is not lost: %s" % rig.where()]
    problems = []
    error = source.get("error") or {}
    if not error.get("hint"):
        problems.append("lost, and no word of how to go on: %s" % error)
    events = rig.workspace.events()
    rows = verify.ledgered(events)
    if len(rows) != kept:
        problems.append("%d rows in the restored journal, must be %d" % (len(rows), kept))
    rig.workspace.stop()
    # The user accepts: one gap, a new epoch, and what comes from now on.
    rig.configure(on_lost="accept")
    rig.workspace.start()
    before = len(rig.source.ledger())
    rig.source.writers[0].some(10)
    made = len(rig.source.ledger()) - before
    rig.workspace.wait_settled(kept + 1 + made)
    events = rig.workspace.events()
    gaps = [e for e in events if e["op"] == "gap"]
    if len(gaps) != 1:
        problems.append("%d gap events after on_lost = accept, must be 1: %s" % (len(gaps), rig.where()))
    ids = [e["id"] for e in events]
    if len(set(ids)) != len(ids):
        problems.append("an id came twice")
    tail = verify.ledgered(events)[kept:]
    ledger = rig.source.ledger()
    ledger.changes = ledger.changes[-made:]
    report = verify.Report()
    verify.check_order(tail, ledger.changes, report)
    problems += report
    if tail and len({e["id"].split(":")[1] for e in tail} & {e["id"].split(":")[1] for e in rows}):
        problems.append("the epoch did not rise")
    return problems


def copied(arguments):
    """Both run on one database. One of them may refuse or wait, or both read all; none may do half."""
    rig = Rig(arguments.seed + 1, arguments.source)
    other = None
    try:
        writer = rig.begin(writers=1, paused=True)[0]
        writer.some(20)
        settle(rig)
        rig.workspace.stop()
        copy_tree(rig.workspace.folder, rig.workspace.folder + "-copy")
        other = Workspace(rig.workspace.folder + "-copy")
        rig.workspace.start()
        other.start(wait=False)
        other.wait_ready(5)
        writer.some(60)
        settle(rig)
        problems = ["of the first: " + p for p in verify.events(rig.workspace.events(), rig.source.ledger())]
        problems += ["of the copy: " + p for p in check_copy(other, rig.source.ledger())]
        return problems
    finally:
        if other:
            other.close()
        rig.close()


def waits(other):
    """For its turn: the database lets only one read."""
    return (other.status()["sources"][0].get("error") or {}).get("class") == "busy"


def check_copy(other, ledger):
    count = len(ledger)
    wait_until(lambda: not other.running() or lost_source(other) or other.settled(count), 10, 0.1)
    if not other.running():
        return [] if "mend it" in other.log_tail() else ["ended without a word: " + other.log_tail()]
    if lost_source(other) or waits(other):
        return []
    return verify.events(other.events(), ledger)


def test(arguments):
    problems = []
    if sources.load(arguments.source).keeps_read_log:
        problems += ["yesterday, log still there: " + p for p in yesterday(arguments, False)]
    problems += ["yesterday, log pruned: " + p for p in yesterday(arguments, True)]
    return problems + ["copied: " + p for p in copied(arguments)]


main(test)
