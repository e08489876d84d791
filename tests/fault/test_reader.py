#!/usr/bin/env python3
"""A reader that holds `tail` and `events` open throughout: it must see each event once and in order,
and never slow or stop the flow, even when it does not read what it is given."""
import json
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import verify  # noqa: E402
from harness.daemon import BINARY, Failed, environment, wait_until  # noqa: E402
from harness.rig import Rig, main  # noqa: E402


class Tail:
    """tidegate tail from an lsn on; a slow one reads a line now and then."""

    def __init__(self, workspace, start, slow=False):
        self.lines = []
        self.slow = slow
        self.process = subprocess.Popen(
            [BINARY, "tail", "-C", workspace.folder, "--from-lsn", str(start)], env=environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if self.slow:
                time.sleep(0.05)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.thread.join(5)
        return [json.loads(line) for line in self.lines if line.endswith(b"\n")]


def across_kills(rig, cycles):
    """The daemon dies under the tail, which ends; the next one goes on where it ended."""
    seen = []
    for n in range(cycles):
        if not rig.workspace.running():
            rig.workspace.start()
        tail = Tail(rig.workspace, len(seen) + 1)
        rig.source.writers[0].some(15)
        if n % 2:
            rig.source.writers[0].big(700)
        wait_until(lambda: tail.lines, 10)
        time.sleep(rig.random.uniform(0, 0.3))
        rig.workspace.kill()
        part = tail.close()
        if not part:
            raise Failed("tail has shown nothing in cycle %d: %s" % (n, rig.where()))
        seen += part
    return seen


def test(arguments):
    rig = Rig(arguments.seed, arguments.source)
    try:
        rig.begin(writers=2)
        stuck = Tail(rig.workspace, 1, slow=True)
        steady = Tail(rig.workspace, 1)
        writer = rig.source.writers[0]
        for _ in range(6):
            writer.big(800)
            writer.some(10)
        for one in rig.source.writers:
            one.pause()
        count = len(rig.source.ledger())
        problems = []
        if not rig.workspace.wait_settled(count, 20):
            problems.append("a reader that does not read holds the flow up: " + rig.where())
        wait_until(lambda: len(steady.lines) >= count, 10)
        problems += ["tail: " + p for p in verify.events(steady.close(), rig.source.ledger())]
        stuck.process.kill()
        stuck.close()
        seen = across_kills(rig, 8)
        problems += rig.finish()
        # What a reader saw before a kill is still there after it, under the same lsn.
        journal = {e["lsn"]: e for e in rig.workspace.events()}
        for event in seen:
            if verify.strict(journal.get(event["lsn"]) or {}) != verify.strict(event):
                problems.append("lsn %d was seen as %s and is %s" % (
                    event["lsn"], verify.short(event), verify.short(journal.get(event["lsn"]))))
                break
        numbers = [e["lsn"] for e in seen]
        if numbers != list(range(1, len(numbers) + 1)):
            problems.append("tail across kills has holes or repeats")
        print("%d events seen by tail across kills" % len(seen))
        return problems
    finally:
        rig.close()


main(test)
