#!/usr/bin/env python3
"""The table list, the columns and the script change between a kill and the next start, while a
transaction is half journalled. What was captured under the old list is there once; what the new
list leaves out is not; nothing of the rest is lost."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import verify  # noqa: E402
from harness.rig import Rig, main  # noqa: E402

# Tables come and go; `plain`, `uniq`, `bulk` and the transactions' names stay throughout.
ALWAYS = ("harness_tx", "plain", "uniq", "touched", "bulk")
SOMETIMES = ("pair", "parent", "child", "keyless")


def listed(rig, n):
    return {"tables": list(ALWAYS) + [t for i, t in enumerate(SOMETIMES) if (n + i) % 3]}


def kept(rows, names):
    return [r for r in rows if r["table"] in names]


class Filtered:
    def __init__(self, ledger, names):
        self.changes = kept(ledger.changes, names)


def without_kept_tables(rig, events, problems):
    """Of the tables that came and went: a part of the ledger, in its order, and none twice."""
    ledger = rig.source.ledger()
    for table in SOMETIMES:
        rows = [e for e in events if e["table"] == table]
        changes = iter([c for c in ledger.changes if c["table"] == table])
        for event in rows:
            wanted = verify.identity(verify.of_event(event))
            if not any(verify.identity(change) == wanted for change in changes):
                problems.append("an event that is not in the ledger, or out of its order: lsn %d %s" % (
                    event["lsn"], verify.short(verify.of_event(event), 600)))
                break


def test(arguments):
    rig = Rig(arguments.seed, arguments.source)
    try:
        writers = rig.begin(writers=2)
        for n in range(arguments.cycles):
            rig.configure(**listed(rig, n))
            rig.edit_script()
            point = ("source.mid_batch:%d" % rig.random.randint(300, 900), "journal.before_sync:3",
                     "rules.after_send:9", "source.before_confirm:2")[n % 4]
            rig.workspace.kill()
            rig.workspace.start(fault=point, wait=False)
            writers[0].big(900)
            rig.workspace.wait_end(2)
            rig.workspace.kill()
        rig.halt_writers()
        rig.workspace.start()
        names = set(ALWAYS)
        ledger = Filtered(rig.source.ledger(), names)

        def there():
            status = rig.workspace.status()
            newest = status["journal"]["newest_lsn"]
            quiet = status["sources"][0]["state"] == "streaming" and newest == there.newest
            there.newest = newest
            return quiet and rig.workspace.settled(newest)
        there.newest = -1
        from harness.daemon import wait_until
        wait_until(there, 20, 0.4)
        events = rig.workspace.events()
        problems = []
        rows = verify.rows_of(events)
        report = verify.Report()
        verify.check_numbers(events, report, 1)
        verify.check_order(kept(rows, names), ledger.changes, report)
        verify.check_chain(kept(rows, names), report)
        problems += report.close()
        without_kept_tables(rig, rows, problems)
        every, some, plain = rig.expected(events)
        rig.workspace.stop()
        problems += verify.lines(rig.workspace.read("out.jsonl"), every, "file")
        problems += verify.event_bodies(rig.receiver.of("/hook"), some, "webhook")
        problems += verify.texts(rig.receiver.of("/words"), plain, "texts")
        extras = {}
        for event in events:
            extras[event["op"]] = extras.get(event["op"], 0) + 1
        print("%d events: %s" % (len(events), extras))
        return problems
    finally:
        rig.close()


main(test, cycles=8)
