#!/usr/bin/env python3
"""Power loss: at the kill a random part, page by page, of what was written and not synced is gone.
The database is written only while the daemon is not running, since the pages that the daemon did not
sync must not stand below pages that somebody else did."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.rig import Rig, main  # noqa: E402

# Passages that the backlog of one start is sure to make, so that most starts end in a power cut.
POINTS = {
    "journal.before_sync": (1, 4), "journal.mid_group": (1, 4), "journal.after_sync": (1, 3),
    "store.before_commit": (1, 4), "store.after_commit": (1, 4), "source.before_give": (1, 5),
    "outbox.after_commit": (1, 2), "outbox.after_take": (1, 4), "outbox.before_mark": (1, 2),
    "source.before_confirm": (1, 3), "rules.after_send": (5, 80), "source.mid_batch": (60, 900),
}


def write(rig, number, n):
    writer = rig.source.writer(100 + number, paused=True)
    writer.some(12)
    writer.big(900 if n % 3 == 0 else 250)
    writer.close()


def test(arguments):
    rig = Rig(arguments.seed, arguments.source)
    try:
        rig.begin(writers=0)
        rig.workspace.stop()
        names = list(POINTS)
        met = 0
        for n in range(arguments.cycles):
            write(rig, n, n)
            if n % 4 == 0:
                rig.edit_script()
            point = names[n % len(names)]
            rig.workspace.start(fault="%s:%d" % (point, rig.random.randint(*POINTS[point])),
                                power=arguments.seed + n, wait=False)
            met += rig.workspace.wait_end(2.0)
            rig.workspace.kill()
        problems = rig.finish()
        least = arguments.cycles // 2
        print("power cuts: %d of %d starts (at least %d)" % (met, arguments.cycles, least))
        if met < least:
            problems.append("only %d power cuts, %d are needed" % (met, least))
        return problems
    finally:
        rig.close()


main(test, cycles=30)
