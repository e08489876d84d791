#!/usr/bin/env python3
"""What a PostgreSQL server sees of a source beside its rows: that it lets the log go, but never before what
was read is durable, that it answers while it is paused, lets the server stop, and comes back."""
import contextlib
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import pgshop  # noqa: E402
from harness.daemon import Failed, since_1970, wait_until  # noqa: E402
from harness.pgshop import line, run_cases  # noqa: E402

TABLE = "CREATE TABLE t(id int PRIMARY KEY)"


def number(lsn):
    high, _, low = lsn.partition("/")
    return int(high, 16) << 32 | int(low, 16)


def confirmed(shop):
    return number(shop.slot()["confirmed_flush_lsn"])


def end_of_log(shop):
    return number(shop.one("SELECT pg_current_wal_insert_lsn()"))


def inserts(*ids):
    return ['insert t {"id":%d}' % i for i in ids]


@contextlib.contextmanager
def own_server(shop, **settings):
    """A shop on a server that may be ended."""
    with pgshop.served(shop.server.version, **settings) as (server, folder):
        made = pgshop.Shop(server, "own", os.path.join(folder, "own"))
        try:
            made.sql(TABLE)
            yield made
        finally:
            made.close()
            shop.problems += made.problems


class Neighbour:
    """Writes to another database of the server until the end of `with`."""

    def __init__(self, server, name):
        self.server, self.name, self.over = server, name, threading.Event()
        with server.admin() as db:
            db.execute("CREATE DATABASE %s" % name)
        self.thread = threading.Thread(target=self.write)

    def write(self):
        with contextlib.suppress(Exception):
            with self.server.admin(self.name) as db:
                db.execute("CREATE TABLE busy(v text)")
                while not self.over.wait(0.01):
                    db.execute("INSERT INTO busy SELECT repeat('x', 100) FROM generate_series(1, 50)")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def heartbeat(shop):
    """Idle beside a busy neighbour, the slot follows; the journal has no event of it."""
    shop.sql(TABLE)
    shop.start(heartbeat="500ms")
    shop.sql("INSERT INTO t VALUES(1)")
    shop.expect(*inserts(1))
    with Neighbour(shop.server, "neighbour"):
        for _ in range(3):
            time.sleep(0.5)
            seen = end_of_log(shop)
            shop.check("confirmed within two heartbeats and a bit", bool(wait_until(lambda: confirmed(shop) >= seen, 2, 0.05)), True)
    shop.expect(*inserts(1))
    shop.restart(kill=True)
    shop.sql("INSERT INTO t VALUES(2)")
    shop.expect(*inserts(1, 2))
    newest = end_of_log(shop)
    shop.check("what was read is confirmed", bool(wait_until(lambda: confirmed(shop) >= newest, 5, 0.05)), True)


def sparing(shop):
    """A heartbeat costs a sync: there are no more of them than the option says."""
    shop.sql(TABLE)
    shop.start(heartbeat="2s")
    with Neighbour(shop.server, "neighbour2"):
        time.sleep(1)
        seen = {confirmed(shop)}
        end = time.monotonic() + 6
        while time.monotonic() < end:
            seen.add(confirmed(shop))
            time.sleep(0.05)
    shop.check("three or four in six seconds", 2 <= len(seen) - 1 <= 4 or sorted(seen), True)


def not_too_early(shop):
    """Killed before the sync, and before the source was told: the server keeps what was written."""
    shop.sql(TABLE)
    shop.start(heartbeat="100ms")
    want = []
    for at, point in enumerate(("source.before_give:1", "journal.before_sync:1", "journal.mid_group:1", "journal.after_sync:1",
                                "source.before_confirm:1"), 1):
        shop.workspace.stop()
        before = end_of_log(shop)
        shop.sql("INSERT INTO t VALUES(%d)" % at)
        shop.workspace.start(fault=point, wait=False)
        if not shop.workspace.wait_end(10):
            raise Failed("not met: " + point)
        shop.check("confirmed at a kill at " + point, confirmed(shop) <= before, True)
        shop.workspace.start()
        want += inserts(at)
        shop.expect(*want)


def shuts_down(shop):
    """A fast shutdown does not wait for us, whatever was written last; and all is there afterwards."""
    with own_server(shop) as own:
        own.start(heartbeat="10s")
        want = []
        for at in range(1, 4):
            own.sql("INSERT INTO t VALUES(%d)" % at, "CREATE TABLE other%d(v int)" % at)
            own.sql("INSERT INTO other%d SELECT generate_series(1, 1000)" % at, "SELECT pg_switch_wal()") if at == 3 else None
            began = time.monotonic()
            own.server.stop("fast")
            took = time.monotonic() - began
            own.check("seconds of shutdown %d" % at, took < 5 or took, True)
            want += inserts(at)
            own.wait_state("connecting")
            own.server.start()
            own.wait_state("streaming")
            events = own.wait_line(want[-1])
            own.check("rows", [line(e) for e in events if e["table"] == "t"], want)
            own.check_sound(events)


def comes_back(shop):
    """After an immediate stop, a kill, and the end of its session, with what was written meanwhile, once."""
    with own_server(shop, fsync="on") as own:
        own.start()
        own.sql("INSERT INTO t VALUES(1)")
        own.expect(*inserts(1))
        own.server.restart("immediate")
        own.sql("INSERT INTO t VALUES(2)")
        own.expect(*inserts(1, 2))
        own.server.kill()
        own.wait_state("connecting")
        own.server.start()
        own.sql("INSERT INTO t VALUES(3)")
        own.expect(*inserts(1, 2, 3))
        for at in range(4, 7):
            own.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type IN"
                    " ('client backend', 'walsender')", "INSERT INTO t VALUES(%d)" % at)
            own.expect(*inserts(*range(1, at + 1)))
        own.check("epoch", own.state()["epoch"], 1)
        own.check("errors are over", own.state()["error"], None)


def paused(shop):
    """With nowhere to put its rows a source goes on talking to the server, and reads on afterwards."""
    with own_server(shop, wal_sender_timeout="2s") as own:
        own.start()
        own.sql("INSERT INTO t VALUES(1)")
        own.expect(*inserts(1))
        own.workspace.stop()
        own.start(settings={"disk_mark": "100TiB"}, wait=False)
        own.workspace.wait_alive()
        if not wait_until(lambda: own.slot()["active_pid"], 10, 0.05):
            raise Failed("it does not read: %s" % own.state())
        pid = own.slot()["active_pid"]
        own.sql("INSERT INTO t SELECT generate_series(2, 3000)")
        own.wait_state("paused")
        time.sleep(6)
        own.check("the same session", own.slot()["active_pid"], pid)
        own.check("still paused", own.state()["state"], "paused")
        own.check("rows meanwhile", len(own.events()), 1)
        own.workspace.stop()
        own.start()
        own.expect(*inserts(*range(1, 3001)))


def long_silence(shop):
    """A short wal_sender_timeout and nothing to read: the session stays; and a restart knows where it was."""
    with own_server(shop, wal_sender_timeout="1s") as own:
        own.start()
        pid = own.slot()["active_pid"]
        time.sleep(5)
        own.check("the same session", own.slot()["active_pid"], pid)
        position = own.state()["position"]
        own.server.stop()
        own.restart(wait=False)
        own.wait_state("connecting")
        own.check("position after a restart", (own.state()["position"], position != ""), (position, True))


def watermark(shop):
    """It moves while nothing happens, and stands never in the future."""
    shop.sql(TABLE)
    shop.start()
    shop.sql("INSERT INTO t VALUES(1)")
    shop.expect(*inserts(1))
    seen, end = set(), time.monotonic() + 24
    while time.monotonic() < end:
        mark = since_1970(shop.state()["watermark"])
        seen.add(mark)
        behind = time.time() - mark
        if seen != {0.0} and not 0 <= behind < 12:
            raise Failed("%s s behind: %s" % (behind, sorted(seen)))
        time.sleep(0.1)
    shop.check("moves", len(seen) in (3, 4, 5) or sorted(seen), True)


def old_transaction(shop):
    """An open transaction of somebody else's keeps neither rows nor the watermark back."""
    shop.sql(TABLE)
    shop.start(heartbeat="500ms")
    with shop.db() as db:
        db.execute("BEGIN; INSERT INTO t VALUES(100)")
        shop.sql("INSERT INTO t VALUES(1)")
        shop.expect(*inserts(1))
        now = time.time()
        shop.check("watermark", bool(wait_until(lambda: since_1970(shop.state()["watermark"]) > now, 13, 0.2)), True)
        db.execute("COMMIT")
    shop.expect(*inserts(1, 100))


run_cases([watermark, paused, sparing, shuts_down, comes_back, heartbeat, long_silence, not_too_early, old_transaction], at_once=5)
