"""Databases of one PostgreSQL server, each with a workspace that captures it, for tests that say what
must come out event by event.

    def case(shop):
        shop.sql("CREATE TABLE t(id int PRIMARY KEY, v text)")
        shop.start()                                        # tables = { "*" } unless told otherwise
        shop.sql("INSERT INTO t VALUES(1, 'a')")
        shop.expect('insert t {"id":1,"v":"a"}')

    run_cases([case])

A case returns nothing; what is wrong goes to shop.problems or is raised as Failed. Cases of one
version share a server; versions run beside each other and so do a few cases of each, since most of
their time is waiting.
"""
import argparse
import concurrent.futures
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import traceback

from . import pq
from .daemon import Failed, Workspace, wait_until
from .servers import Unavailable
from .servers import postgres
from .servers.postgres import Postgres

AT_ONCE = 3
SHOPS = []
SAY = threading.Lock()


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def name_of(event):
    parts = [p for p in (event.get("schema"), event.get("table")) if p]
    return ".".join(parts[1:] if parts[:1] == ["public"] else parts)


def describe_ddl(ddl):
    more = [" %s %s" % (k, ",".join(ddl[k])) for k in ("added", "removed", "retyped") if ddl.get(k)]
    return " " + ddl["kind"] + "".join(more) + (" <%s>" % ddl["sql"] if ddl.get("sql") else "")


def line(event):
    """One event as one line: all that a case usually has an opinion on."""
    out = event["op"] + (" " + name_of(event) if name_of(event) else "")
    if event["op"] == "ddl":
        return out + describe_ddl(event["ddl"])
    if event["op"] == "message":
        out += " %s %s" % (event["message"]["prefix"], compact(event["message"]["content"]))
    for field, word in (("new", ""), ("old", " old")):
        if event.get(field) is not None:
            out += word + " " + compact(event[field])
    for field in ("unchanged", "unknown"):
        if event.get(field):
            out += " %s %s" % (field, ",".join(event[field]))
    if event.get("meta") is not None:
        out += " meta " + compact(event["meta"])
    return out


class Shop:
    """One database with a workspace; more workspaces by other()."""

    def __init__(self, server, name, folder):
        self.server, self.name, self.folder = server, name, folder
        self.problems = []
        self.workspaces = []
        with server.admin() as db:
            db.execute("CREATE DATABASE %s" % db.identifier(name))
        self.workspace = self.other("ws")
        self.options = {"tables": ["*"]}
        SHOPS.append(self)

    def other(self, name):
        made = Workspace(os.path.join(self.folder, name))
        self.workspaces.append(made)
        return made

    def close(self):
        for workspace in self.workspaces:
            workspace.close()
            if workspace.process:
                self.problems += workspace.odd_ends + workspace.complaints()

    # The database.

    def db(self, database=None):
        return self.server.admin(database or self.name)

    def sql(self, *statements, values=()):
        """Each text is one transaction, unless it says BEGIN. Rows of the last one."""
        with self.db() as db:
            for statement in statements:
                rows = db.execute(statement, *values)
        return rows

    def one(self, text, *values):
        with self.db() as db:
            return db.one(text, *values)

    def slot(self):
        """The slot of this database; there must be just one."""
        with self.db() as db:
            found = db.dicts("SELECT *, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), confirmed_flush_lsn) AS behind"
                             " FROM pg_replication_slots WHERE database = current_database()")
        if len(found) != 1:
            raise Failed("%d slots" % len(found))
        return found[0]

    # The daemon.

    def url(self, **more):
        return self.server.url(database=self.name, host="127.0.0.1", sslmode="disable", sslrootcert=None, **more)

    def source(self, **options):
        table = dict({"driver": "postgres", "url": self.url()}, **dict(self.options, **options))
        return {k: v for k, v in table.items() if v is not None}

    def configure(self, settings=None, **options):
        """`options` of the source hold from now on; None takes one away."""
        self.options.update(options)
        self.workspace.configure({"shop": self.source()}, {}, settings)

    def start(self, fault=None, wait=True, settings=None, **options):
        self.configure(settings, **options)
        if self.workspace.running():
            raise Failed("it runs already")
        self.workspace.start(fault=fault, wait=wait)

    def restart(self, kill=False, **options):
        self.workspace.kill() if kill else self.workspace.stop()
        self.start(**options)

    def events(self):
        """Without those of Tidegate's own state."""
        return [e for e in self.workspace.events() if e["driver"] != "tidegate"]

    def state(self):
        return self.workspace.status()["sources"][0]

    def wait_state(self, *states, seconds=15):
        if not wait_until(lambda: self.state()["state"] in states, seconds, 0.05):
            raise Failed("not %s: %s\n%s" % ("/".join(states), self.state(), self.workspace.log_tail()))

    def wait_for(self, condition, seconds=20, what="events"):
        """The events once condition(events) holds."""
        def there():
            events = self.events()
            return condition(events) and (events or True)
        found = wait_until(there, seconds, 0.1)
        if not found:
            raise Failed("%s: waited %d s in vain:\n%s\n%s" % (
                what, seconds, "\n".join(map(line, self.events()))[-3000:], self.workspace.log_tail()))
        return found

    def wait_line(self, text, count=1, seconds=20):
        return self.wait_for(lambda events: [line(e) for e in events].count(text) >= count, seconds, text)

    def logged(self, words):
        return words in self.workspace.log_tail(10000)

    # What must be.

    def check(self, what, got, want):
        if got == want:
            return True
        if isinstance(got, list) and isinstance(want, list) and len(repr(got)) > 1000:
            same = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
            what += " (%d, must be %d) from %d on" % (len(got), len(want), same)
            got, want = got[same:], want[same:]
        self.problems.append("%s: got %s, must be %s" % (what, repr(got)[:1000], repr(want)[:1000]))
        return False

    def expect(self, *lines, seconds=20, view=line):
        """All events so far are exactly these. What is too much shows if the last one is awaited;
        returns them."""
        want = list(lines)

        def there():
            return [view(e) for e in self.events()] == want
        if not wait_until(there, seconds, 0.1):
            got = [view(e) for e in self.events()]
            same = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
            raise Failed("event %d differs:\n  got  %s\n  must %s\n%s" % (
                same + 1, "\n       ".join(g[:300] for g in got[same:same + 12]) or "(no more)",
                "\n       ".join(w[:300] for w in want[same:same + 12]) or "(no more)", self.workspace.log_tail(6)))
        events = self.events()
        self.check_sound(events)
        return events

    def check_sound(self, events):
        """What holds of all events, whatever they tell."""
        lsns = [e["lsn"] for e in events]
        self.check("lsn", lsns, sorted(set(lsns)))
        for field in ("id", "position"):
            seen = [e[field] for e in events]
            self.check("%s twice" % field, sorted({s for s in seen if seen.count(s) > 1}) if len(seen) < 2000
                       else len(seen) - len(set(seen)), [] if len(seen) < 2000 else 0)
        check_transactions(self, events)


def check_transactions(shop, events):
    """In each transaction the index rises, and the last event alone says that it is the last."""
    groups = []
    for event in events:
        tx = event.get("tx")
        if tx and groups and groups[-1][0] == tx["id"]:
            groups[-1][1].append(tx)
        elif tx:
            groups.append((tx["id"], [tx]))
    for number, txs in groups:
        indexes = [tx["index"] for tx in txs]
        if indexes != sorted(indexes) or [tx["last"] for tx in txs] != [False] * (len(txs) - 1) + [True]:
            shop.problems.append("transaction %s: %s" % (number, [(tx["index"], tx["last"]) for tx in txs][:50]))


@contextlib.contextmanager
def served(version, **settings):
    """A server of that version in a folder of its own."""
    folder = tempfile.mkdtemp(prefix="tg-", dir=os.environ.get("TMPDIR"))
    try:
        with Postgres(os.path.join(folder, "server"), version, **settings) as server:
            yield server, folder
    finally:
        if not os.environ.get("KEEP"):
            shutil.rmtree(folder, ignore_errors=True)


def run_one(server, folder, case):
    """What is wrong."""
    shop = None
    problems = []
    try:
        shop = Shop(server, case.__name__, os.path.join(folder, case.__name__))
        case(shop)
    except (Failed, pq.Error) as error:
        problems.append(str(error))
    except Exception:  # pylint: disable=broad-except
        problems.append(traceback.format_exc())
    finally:
        if shop:
            shop.close()
            problems += shop.problems
    return problems


def say(text):
    with SAY:
        print(text, flush=True)


def run_version(version, cases, settings, at_once):
    """Number of cases that failed; None when there is no such server."""
    failed = 0
    try:
        with served(version, **settings) as (server, folder), \
                concurrent.futures.ThreadPoolExecutor(max_workers=at_once) as pool:
            futures = {pool.submit(run_one, server, folder, case): case for case in cases}
            for future in concurrent.futures.as_completed(futures):
                problems = future.result()
                say("\n    ".join(["%-8s %s on PostgreSQL %d" % ("failed" if problems else "passed", futures[future].__name__,
                                                                server.version)] + [p.replace("\n", "\n    ") for p in problems]))
                failed += bool(problems)
    except Unavailable as error:
        say("skipped  PostgreSQL %s: %s" % (version or "", error))
        return None
    return failed


def end_by_signal(*_):
    """Nothing that was started outlives the test."""
    for shop in SHOPS:
        shop.close()
    postgres.end_all()
    os._exit(143)


def run_cases(cases, versions=(None, 17, 18), at_once=AT_ONCE, **settings):
    """None is the installed server. `settings`: of postgresql.conf."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--version", type=int, action="append", help="of the server")
    given = parser.parse_args()
    chosen = [case for case in cases if given.only in case.__name__]
    signal.signal(signal.SIGTERM, end_by_signal)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda v: run_version(v, chosen, settings, at_once), given.version or versions))
    if all(failed is None for failed in found):
        say("no PostgreSQL server can be had here")
        sys.exit(77)
    sys.exit(1 if any(found) else 0)
