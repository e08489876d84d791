"""One workspace on one database with writers, a file channel, two webhooks, and what must hold at
the end. The fault tests differ only in what they do to it in between."""
import argparse
import os
import random
import shutil
import sys
import tempfile
import time

from . import sources, verify
from .daemon import BINARY, Failed, Workspace, knows_source, wait_until
from .pq import Unavailable
from .receiver import Receiver

SEED = 20240917


class Rig:
    def __init__(self, seed, source="sqlite", mode=None, folder=None):
        if not knows_source(source):
            raise Unavailable("%s was built without the source %s" % (BINARY, source))
        self.seed = seed
        self.random = random.Random("rig/%s" % seed)
        self.folder = folder or tempfile.mkdtemp(prefix="tg-", dir=os.environ.get("TMPDIR"))
        self.data = os.path.join(self.folder, "db")
        os.makedirs(self.data)
        self.source = sources.load(source)(self.data, seed, mode)
        self.source.create()
        self.receiver = Receiver()
        self.workspace = Workspace(os.path.join(self.folder, "ws"))
        self.edition = 0
        self.settings = {}
        self.configure()
        self.edit_script()

    def configure(self, **source_options):
        fast = {"backoff": {"first": "20ms", "max": "200ms"}, "timeout": "5s",
                "breaker": {"failures": 50, "probe": "100ms"}}
        self.workspace.configure(
            {"shop": dict(self.source.declaration(), **source_options)},
            {"out": {"type": "file", "path": "out.jsonl"},
             "hook": dict(fast, type="webhook", url=self.receiver.url("/hook"), concurrency=16),
             "words": dict(fast, type="webhook", url=self.receiver.url("/words"))},
            self.settings)

    def edit_script(self):
        """Each edition's texts differ: a message that changed after it was sent would show."""
        self.edition += 1
        on = '{ "shop:%s", "shop:%s", "shop:%s" }' % tuple(map(self.source.pattern, ("plain", "uniq", "touched")))
        self.workspace.write("scripts/all.lua", """
rule("all", { on = "shop:*", ops = { "insert", "update", "delete", "truncate" }, notify = "out" })
rule("some", { on = %s, notify = "hook" })
rule("words", { on = "shop:%s", notify = "words", message = "edition %d: {{operation}} {{id}} {{name}}" })
""" % (on, self.source.pattern("plain"), self.edition))

    def begin(self, writers=2, rate=30.0, paused=False):
        """The first start makes the triggers (or slots); only then do writers write."""
        self.workspace.start()
        return [self.source.writer(n + 1, rate, paused) for n in range(writers)]

    def halt_writers(self):
        for writer in self.source.writers:
            writer.close()

    def journalled(self):
        """The newest lsn of the journal, asked while nothing runs."""
        return self.workspace.status()["journal"]["newest_lsn"]

    def expected(self, events):
        rows = verify.rows_of(events)
        some = ("plain", "uniq", "touched")
        return ({e["id"]: e for e in rows}, {e["id"]: e for e in rows if e["table"] in some},
                {e["id"]: e for e in rows if e["table"] == "plain"})

    def all_events(self, rows, seconds):
        """The journal, once it holds so many row changes or no more come."""
        events = []

        def there():
            events[:] = self.workspace.events()
            return len(verify.ledgered(events)) >= rows
        wait_until(there, seconds if self.workspace.running() else 0, 0.5)
        if self.workspace.running():
            self.workspace.wait_settled(len(events), seconds)
        return events

    def finish(self, gaps=0, extra=0, seconds=60):
        """Lets everything arrive and compares. Answers the problems. `extra`: events beside rows."""
        self.halt_writers()
        ledger = self.source.ledger()
        if not self.workspace.running():
            self.workspace.start(wait=False)
        if not self.workspace.wait_alive(10):
            return ["the daemon does not start: " + self.workspace.log_tail()]
        settled = self.workspace.wait_settled(len(ledger) + extra + gaps, seconds)
        problems = [] if settled else ["not settled: %s" % self.where()]
        events = self.all_events(len(ledger), seconds)
        problems += verify.events(events, ledger, gaps)
        every, some, plain = self.expected(events)
        if self.workspace.running():
            self.workspace.stop()
        problems += verify.lines(self.workspace.read("out.jsonl"), every, "file")
        problems += verify.event_bodies(self.receiver.of("/hook"), some, "webhook")
        problems += verify.texts(self.receiver.of("/words"), plain, "texts")
        for path in ("/hook", "/words"):
            problems += verify.repeats(self.receiver.of(path), self.workspace.kills, path)
        problems += self.workspace.odd_ends + self.workspace.complaints()[:10]
        print("%d events, %d transactions, %d lines, %d webhooks" %
              (len(events), len(ledger.ends), self.workspace.read("out.jsonl").count(b"\n"), len(self.receiver.arrivals)))
        return problems

    def where(self):
        try:
            status = self.workspace.status()
            return verify.short({"running": status["running"], "journal": status["journal"], "store": status["store"],
                                 "sources": status["sources"], "consumers": status["consumers"],
                                 "channels": status["channels"], "problems": status["problems"]}, 4000)
        except Failed as failed:
            return "%s\n%s" % (failed, self.workspace.log_tail())

    def close(self):
        self.source.close()
        self.workspace.close()
        self.receiver.close()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)


def main(test, **defaults):
    """Runs test(arguments) as a script: prints seed and time, problems, and ends with 0 or 1."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", SEED)))
    parser.add_argument("--source", default="sqlite")
    for name, value in defaults.items():
        parser.add_argument("--" + name, type=type(value), default=value)
    arguments = parser.parse_args()
    print("seed %d" % arguments.seed, flush=True)
    began = time.monotonic()
    try:
        problems = test(arguments)
    except Unavailable as missing:
        skip(str(missing))
    except Failed as failed:
        problems = [str(failed)]
    for problem in problems or []:
        print("PROBLEM", problem)
    print("%s in %.1f s" % ("failed" if problems else "passed", time.monotonic() - began))
    sys.exit(1 if problems else 0)


def skip(reason):
    print(reason)
    sys.exit(77)


__all__ = ["Failed", "Rig", "main", "skip", "wait_until"]
