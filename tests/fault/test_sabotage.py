#!/usr/bin/env python3
"""Builds that are wrong on purpose. The comparison must fail on each of them, and pass on the same
scenario without the sabotage: a proof that can't fail proves nothing."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.daemon import Failed, wait_until  # noqa: E402
from harness.rig import Rig, main  # noqa: E402

PATIENCE = 5  # s, for a journal that may never hold what it lost


def plain(rig, sabotage):
    """Rows, read as they come."""
    writer = rig.begin(writers=1, paused=True)[0]
    rig.workspace.stop()
    rig.workspace.start(sabotage=sabotage)
    for _ in range(4):
        writer.big(400, 200)
        writer.some(10)
    return rig.finish(seconds=PATIENCE)


def confirmed_early(rig, sabotage):
    """The change log is pruned by what was confirmed, and the kill comes before the sync."""
    writer = rig.begin(writers=1, paused=True)[0]
    rig.workspace.stop()
    for n in range(3):
        # The store hangs before it syncs, while the source reads on and prunes what it confirmed.
        writer.big(4000, 300)
        rig.workspace.start(sabotage=sabotage, fault="journal.before_sync:%d:late" % (2 + n), wait=False)
        rig.workspace.wait_end(3)
        rig.workspace.kill()
    return rig.finish(seconds=PATIENCE)


def power_cut(rig, sabotage):
    """Rows are read, pruned from the change log, and then the power goes."""
    writer = rig.begin(writers=1, paused=True)[0]
    rig.workspace.stop()
    for n in range(3):
        rig.workspace.start(sabotage=sabotage, power=rig.seed + n, fault="source.before_confirm:25", wait=False)
        if not rig.workspace.wait_ready():
            break  # it found what the power cut took: the comparison says what that was
        writer.some(8)
        writer.big(500)
        wait_until(lambda: not rig.workspace.running() or rig.source.unread_rows() <= 1, 5, 0.1)
        # Written by nobody but the daemon from here on; each tick of its own may be the one.
        for _ in range(40):
            if not rig.workspace.running():
                break
            writer.some(1)
            time.sleep(0.02)
        rig.workspace.wait_end(3)
        rig.workspace.kill()
    return rig.finish(seconds=PATIENCE)


def sent_early(rig, sabotage):
    """The script is edited between the kill and the start: what was sent and not on record comes
    again with another text under the same id."""
    writer = rig.begin(writers=1, paused=True)[0]
    rig.workspace.stop()
    for n in range(8):
        writer.some(30)
        rig.workspace.start(sabotage=sabotage, fault="store.before_commit:%d:late" % (2 + n % 4), wait=False)
        rig.workspace.wait_end(2)
        rig.workspace.kill()
        rig.edit_script()
    return rig.finish(seconds=PATIENCE * 2)


def marks_forgotten(rig, sabotage):
    """One message hangs, those above it are delivered and marked; the kill comes much later."""
    writer = rig.begin(writers=1, paused=True)[0]
    rig.workspace.stop()
    first = []

    def hang(arrival):
        if arrival.path == "/hook" and not first:
            first.append(arrival)
            time.sleep(4)
        return 200
    rig.receiver.behave = hang
    rig.workspace.start(sabotage=sabotage)
    writer.some(40)
    wait_until(lambda: len(rig.receiver.of("/hook")) > 10, 5)
    time.sleep(2.2)
    rig.workspace.kill()
    rig.receiver.behave = None
    return rig.finish(seconds=PATIENCE * 2)


SCENARIOS = {
    "source.drop_event": plain,
    "source.double_event": plain,
    "source.swap_events": plain,
    "source.confirm_early": confirmed_early,
    "store.synchronous_off": power_cut,
    "outbox.send_uncommitted": sent_early,
    "outbox.skip_mark": marks_forgotten,
}


def run(arguments, scenario, sabotage):
    rig = Rig(arguments.seed, arguments.source)
    try:
        return scenario(rig, sabotage)
    except Failed as failed:
        return ["stopped: ..." + str(failed).strip()[-600:]]
    finally:
        rig.close()


def tells(problem):
    """That it took too long, or did not come up, a busy machine does too; but not that it finds its
    own files damaged."""
    if problem.startswith(("stopped", "the daemon does not start")):
        return any(word in problem for word in ("is damaged", "is older than", "lost its end", '"class":"lost"'))
    return not problem.startswith("not settled")


def test(arguments):
    problems = []
    names = arguments.only.split(",") if arguments.only else list(SCENARIOS)
    for scenario in dict.fromkeys(SCENARIOS[name] for name in names):
        problems += ["%s, without sabotage: %s" % (scenario.__name__, p) for p in run(arguments, scenario, None)]
    for name in names:
        found = run(arguments, SCENARIOS[name], name)
        telling = [f for f in found if tells(f)]
        print("%s: %s" % (name, "seen: " + telling[0][:700] if telling else "NOT SEEN"), flush=True)
        if not telling:
            problems.append("sabotage %s was not seen: %s" % (name, found))
    return problems


main(test, only="")
