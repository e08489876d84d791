"""What a database must offer to be proved: a subclass of Source and one of Writer, in one file.

The Source runs in the test's process: it makes the database, says how tidegate.lua names it, starts
writers, and knows which transactions were committed. A Writer runs in a process of its own (so that
it can be killed), changes rows, and predicts each change for the ledger.
"""
import contextlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import time

from .. import ledger

# A table and a column of it, everywhere.
HOSTILE = 'x"; drop table "plain"; --<script>\'\x1b[31m\\%s{{id}}'
HOSTILE_COLUMN = 'a "b\' <b>\x1b]0;t\x07 {{v}} %n'


class Source:
    name = None       # also the module's name
    transactions = True  # do its events say which transaction they belong to?
    keeps_read_log = True  # can what was read once be read again, until it is pruned?

    def __init__(self, folder, seed, mode=None):
        self.folder = folder
        self.seed = seed
        self.mode = mode
        self.ledger_path = os.path.join(folder, "ledger.jsonl")
        self.lock_path = os.path.join(folder, "ledger.lock")
        self.writers = []

    def create(self):
        """Makes the database with its tables, empty."""
        raise NotImplementedError

    def declaration(self):
        """The table of source(…) in tidegate.lua."""
        raise NotImplementedError

    def pattern(self, table):
        """`table` as the `on` of a rule names it, without the source."""
        raise NotImplementedError

    def committed(self):
        """Names of all transactions that were committed."""
        raise NotImplementedError

    def connection_arguments(self):
        """What a Writer needs to find the database, as text words."""
        raise NotImplementedError

    def unread_rows(self):
        """How much the database keeps for Tidegate; used where old history must be gone."""
        raise NotImplementedError

    def left_behind(self):
        """Names of what Tidegate made in the database and should have removed."""
        raise NotImplementedError

    def kill_server(self):
        """kill -9 and start again. False: there is no server."""
        return False

    def close(self):
        for writer in self.writers:
            writer.close()

    # The rest is the same for all.

    def ledger(self):
        return ledger.Ledger(self.ledger_path, self.committed())

    def writer(self, number, rate=30.0, paused=False):
        writer = WriterProcess(self, number, rate, paused)
        self.writers.append(writer)
        return writer


class WriterProcess:
    """The handle of a Writer. Commands are answered when they are done."""

    def __init__(self, source, number, rate, paused):
        words = [sys.executable, "-m", "harness.sources." + source.name, source.ledger_path,
                 source.lock_path, str(number), str(source.seed), str(rate), "1" if paused else "0"]
        env = dict(os.environ, PYTHONPATH=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
        self.process = subprocess.Popen(words + source.connection_arguments(), env=env, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, *words, seconds=60):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise TimeoutError("a writer did not answer %s in %d s" % (words[0], seconds))
        answer = self.process.stdout.readline()
        if answer != "done\n":
            raise RuntimeError("a writer answered %r to %s" % (answer, words[0]))

    def big(self, rows, size=600):
        """One transaction of so many rows of so many bytes."""
        self.ask("big", rows, size)

    def some(self, transactions):
        """So many ordinary transactions, as fast as it goes."""
        self.ask("some", transactions)

    def pause(self):
        self.ask("pause")

    def resume(self):
        self.ask("resume")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            try:
                self.ask("quit")
                self.process.wait(10)
            except (OSError, RuntimeError, TimeoutError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        with contextlib.suppress(OSError):  # what it was told and never read
            self.process.stdin.close()
        self.process.stdout.close()


class Writer:
    """The loop of a writer's process. A subclass fills begin, commit, rollback, step and bulk."""

    def __init__(self, arguments):
        ledger_path, lock_path, number, seed, rate, paused = arguments[:6]
        self.out = ledger.LedgerWriter(ledger_path)
        self.lock = ledger.OrderingLock(lock_path)
        self.number = int(number)
        self.random = random.Random("%s/%s" % (seed, number))
        self.rate = float(rate)
        self.paused = paused == "1"
        self.changes = []
        self.count = 0
        self.connect(arguments[6:])

    def connect(self, words):
        raise NotImplementedError

    def begin(self):
        raise NotImplementedError

    def mark(self, tx):
        """Leaves the transaction's name in the database; its change goes to self.changes too."""
        raise NotImplementedError

    def commit(self):
        raise NotImplementedError

    def rollback(self):
        raise NotImplementedError

    def step(self):
        """One or a few random statements; what they change is appended to self.changes."""
        raise NotImplementedError

    def bulk(self, rows, size):
        """Inserts so many rows into the table `bulk`."""
        raise NotImplementedError

    def transaction(self, work):
        tx = "%d-%d-%d" % (self.number, os.getpid(), self.count)
        self.count += 1
        with self.lock:
            self.changes = []
            self.begin()
            self.mark(tx)
            work()
            self.out.note(tx, self.changes)
            if self.random.random() < 0.08:
                self.rollback()
            else:
                self.commit()

    def ordinary(self):
        for _ in range(self.random.choice((1, 1, 1, 2, 3, 8))):
            self.step()

    def obey(self, words):
        if words[0] == "big":
            # Never rolled back by chance: the test counts on it.
            chance, self.random.random = self.random.random, lambda: 1.0
            try:
                self.transaction(lambda: self.bulk(int(words[1]), int(words[2])))
            finally:
                self.random.random = chance
        elif words[0] == "some":
            for _ in range(int(words[1])):
                self.transaction(self.ordinary)
        elif words[0] in ("pause", "resume"):
            self.paused = words[0] == "pause"
        print("done", flush=True)
        return words[0] != "quit"

    def run(self):
        pending = b""
        while True:
            wait = None if self.paused else self.random.expovariate(self.rate)
            if not select.select([0], [], [], wait)[0]:
                self.transaction(self.ordinary)
                continue
            got = os.read(0, 4096)
            if not got:
                return
            pending += got
            while b"\n" in pending:
                line, pending = pending.split(b"\n", 1)
                if not self.obey(line.decode().split()):
                    return
