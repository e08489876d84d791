#!/usr/bin/env python3
"""kill -9 at every instant that can be named, and at random ones; nothing may be lost, doubled or
reordered. A run proves something only if enough kills met each dangerous moment: they are counted,
and too few is a failure."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.rig import Rig, main  # noqa: E402

# Which moments a fault point is in the middle of, and which passages of it are worth a kill.
CONFIRM, SEND, DELIVERY = "between journal commit and confirm", "between a send and its commit", \
    "between the outbox's commit and delivery"
HALF = "inside a half-journalled transaction"
LEAST = {HALF: 10, CONFIRM: 5, SEND: 5, DELIVERY: 5}
POINTS = {
    "journal.after_sync": (CONFIRM, (1, 12)),
    "source.before_confirm": (CONFIRM, (1, 10)),
    "rules.after_send": (SEND, (5, 60)),
    "store.before_commit": (None, (2, 12)),
    "store.after_commit": (None, (2, 12)),
    "outbox.after_commit": (DELIVERY, (1, 8)),
    "outbox.after_take": (DELIVERY, (1, 12)),
    "outbox.before_mark": (None, (1, 8)),
    "source.before_give": (None, (1, 10)),
    "journal.mid_group": (None, (1, 12)),
    "journal.before_sync": (None, (1, 12)),
    "segment.prepare": (None, (1, 1)),
}
# While a transaction of many blocks is read.
INSIDE = {"source.mid_batch": (400, 1400), "source.before_give": (2, 9), "journal.mid_group": (2, 6),
          "journal.before_sync": (2, 6), "journal.after_sync": (2, 6), "source.before_confirm": (1, 5)}
BIG = 1300


class Run:
    def __init__(self, seed, source, mode):
        self.rig = Rig(seed, source, mode)
        self.random = self.rig.random
        self.counts = dict.fromkeys(LEAST, 0)
        self.missed = 0
        self.fired = {}

    def after(self, point):
        """Counts what the kill met; only a kill that the fault point itself made counts for it."""
        rig = self.rig
        fired = rig.workspace.faults()[sum(self.fired.values()):]
        for name in fired:
            self.fired[name] = self.fired.get(name, 0) + 1
        moment = POINTS.get(point, (None,))[0]
        if point in fired and moment:
            self.counts[moment] += 1

    def cycle(self, point, passage, big=None):
        rig = self.rig
        if self.random.random() < 0.5:
            rig.edit_script()
        rig.workspace.start(fault="%s:%d" % (point, passage), wait=False)
        if big:
            big.big(BIG)
        if not rig.workspace.wait_end(3.0):
            self.missed += 1
            rig.workspace.kill()
        self.after(point)
        if big and rig.source.ledger().cuts_transaction(rig.journalled()):
            self.counts[HALF] += 1

    def points(self, writer, times):
        """Each point at least so often, in random order; those with a wanted moment until it is met."""
        plan = [p for p in POINTS for _ in range(times if POINTS[p][0] else 1)]
        self.random.shuffle(plan)
        for point in plan:
            self.cycle(point, self.random.randint(*POINTS[point][1]))
        for _ in range(12):
            short = [p for p in POINTS if POINTS[p][0] and self.counts[POINTS[p][0]] < LEAST[POINTS[p][0]]]
            if not short:
                break
            self.cycle(short[0], self.random.randint(1, 4))
        del writer

    def inside(self, writer):
        names = list(INSIDE)
        for n in range(40):
            if self.counts[HALF] >= LEAST[HALF] and n >= len(names):
                break
            point = names[n % len(names)]
            self.cycle(point, self.random.randint(*INSIDE[point]), writer)

    def blind(self, times):
        """Plain kills at moments that nobody named, of the daemon and now and then of a writer."""
        rig = self.rig
        for n in range(times):
            rig.workspace.start(wait=False)
            time.sleep(self.random.uniform(0.02, 0.6))
            rig.workspace.kill()
            if n % 5 == 4:
                rig.source.writers[-1].kill()
                rig.source.writer(10 + n)


def whole(arguments):
    run = Run(arguments.seed, arguments.source, None)
    try:
        writer = run.rig.begin()[0]
        run.rig.workspace.kill()
        run.points(writer, 4)
        run.inside(writer)
        run.blind(arguments.blind)
        problems = run.rig.finish()
        print("kills: %d, fault points that were not met in time: %d" % (len(run.rig.workspace.kills), run.missed))
        for name, count in sorted(run.fired.items()):
            print("  at %-24s %d" % (name, count))
        for moment, least in LEAST.items():
            print("kills %s: %d (at least %d)" % (moment, run.counts[moment], least))
            if run.counts[moment] < least:
                problems.append("only %d kills %s, %d are needed" % (run.counts[moment], moment, least))
        return problems
    finally:
        run.rig.close()


def other_mode(arguments):
    """The rollback journal, where a reader and a writer exclude each other."""
    run = Run(arguments.seed + 1, arguments.source, "delete")
    try:
        run.rig.begin()
        run.rig.workspace.kill()
        run.blind(arguments.blind // 2)
        return ["with a rollback journal: " + p for p in run.rig.finish()]
    finally:
        run.rig.close()


def test(arguments):
    problems = whole(arguments)
    return problems + (other_mode(arguments) if arguments.source == "sqlite" else [])


main(test, blind=10)
