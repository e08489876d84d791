"""End-to-end flows: a case says what there is, what happens, and what must come out."""
import argparse
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time

from .daemon import Failed, Workspace, wait_until
from .receiver import Receiver

SHOP = """
PRAGMA journal_mode=wal;
CREATE TABLE orders(id INTEGER PRIMARY KEY, customer TEXT, status TEXT, amount NUMERIC);
CREATE TABLE notes(a, b);
"""


class Flow:
    """A workspace with one SQLite database (`shop`), ended and removed at the end of `with`."""

    def __init__(self, tables=SHOP):
        self.folder = tempfile.mkdtemp(prefix="tg-", dir=os.environ.get("TMPDIR"))
        self.database = os.path.join(self.folder, "shop.db")
        self.workspace = Workspace(os.path.join(self.folder, "ws"))
        self.receiver = None
        if tables:
            self.sql(tables)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.workspace.close()
        if self.receiver:
            self.receiver.close()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, text):
        """Each statement commits by itself, unless the text says BEGIN."""
        db = sqlite3.connect(self.database, isolation_level=None, timeout=20)
        try:
            db.executescript("PRAGMA foreign_keys=ON;" + text)
        finally:
            db.close()

    def hook(self, path="/hook"):
        self.receiver = self.receiver or Receiver()
        return self.receiver.url(path)

    def config(self, channels, settings=None, **options):
        self.workspace.configure({"shop": dict({"driver": "sqlite", "path": self.database}, **options)}, channels,
                                 settings)

    def script(self, text, name="scripts/rules.lua"):
        self.workspace.write(name, text)

    def lines(self, count, name="out.jsonl", seconds=10):
        """The file once it has so many lines; fewer if they do not come."""
        def there():
            return self.workspace.read(name).count(b"\n") >= count
        wait_until(there, seconds)
        time.sleep(0.15)  # what is too much would come right behind
        return self.workspace.read(name).decode().splitlines()

    def arrivals(self, count, path="/hook", seconds=10):
        wait_until(lambda: len(self.receiver.of(path)) >= count, seconds)
        time.sleep(0.15)
        return self.receiver.of(path)


def expect(problems, what, got, want):
    if got != want:
        problems.append("%s: got %s, must be %s" % (what, json.dumps(got, default=repr)[:600], json.dumps(want, default=repr)[:600]))


def run_cases(cases):
    """Each case is a function(problems); its first line of text names it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    only = parser.parse_args().only
    failed = 0
    for case in cases:
        if only not in case.__name__:
            continue
        problems = []
        try:
            case(problems)
        except Failed as error:
            problems.append(str(error))
        print("%-8s %s" % ("failed" if problems else "passed", case.__name__), flush=True)
        for problem in problems:
            print("    " + problem)
        failed += bool(problems)
    sys.exit(1 if failed else 0)
