"""The ledger: each row change that a writer committed, in commit order.

One JSON line a transaction: {"tx": name, "changes": [change, …]}. It is written before the commit,
while the writer holds the ordering lock, so its order is the commit order even when the writer is
killed in between. Which transactions were committed is asked of the database afterwards: each one
leaves its name there. A rolled-back transaction stands here too and simply has no name there.

A change is {table, op, key, old, new}, with values as the events' JSON has them. Changes that share
a `group` were made by one statement that promises no order among them.
"""
import base64
import fcntl
import hashlib
import json
import math


LONG = 16384  # characters; longer texts are compared by their hash, or ledgers would fill the disk


def fold(value):
    """A value of native JSON, or a row of them, with its long texts folded."""
    if isinstance(value, dict):
        return {k: fold(v) for k, v in value.items()}
    if isinstance(value, str) and len(value) > LONG:
        return "%d characters, %s" % (len(value), hashlib.sha256(value.encode()).hexdigest())
    return value


def normal(value):
    """A value of a database driver as native JSON writes it."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def change(table, op, key, old, new, group=None):
    made = {"table": table, "op": op, "key": key, "old": fold(old), "new": fold(new)}
    if group is not None:
        made["group"] = group
    return made


class OrderingLock:
    """Held by a writer from before its first statement until after its commit."""

    def __init__(self, path):
        self.file = open(path, "a+b")

    def __enter__(self):
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        fcntl.flock(self.file, fcntl.LOCK_UN)


class LedgerWriter:
    def __init__(self, path):
        self.file = open(path, "ab", buffering=0)

    def note(self, tx, changes):
        """One write call, so that a kill leaves a line whole or out, or torn; what comes after a torn
        one begins a line of its own."""
        self.file.write(b"\n" + json.dumps({"tx": tx, "changes": changes}).encode() + b"\n")


class Ledger:
    """What must be in the journal: `changes` in order, and where each transaction ends."""

    def __init__(self, path, committed):
        self.changes = []
        self.ends = []  # number of changes after each transaction
        try:
            lines = open(path, "rb").read().split(b"\n")
        except FileNotFoundError:
            lines = []
        for line in lines:
            self.take(line, committed)

    def take(self, line, committed):
        try:
            tx = json.loads(line)
        except ValueError:  # torn by a kill, so never committed; or the empty end
            return
        if tx["tx"] in committed:
            self.changes.extend(tx["changes"])
            self.ends.append(len(self.changes))

    def __len__(self):
        return len(self.changes)

    def cuts_transaction(self, count):
        """Would a journal of the first `count` changes end inside a transaction?"""
        return 0 < count < len(self.changes) and count not in self.ends
