#!/usr/bin/env python3
"""Continuity with a PostgreSQL server: every way in which the log at hand is not the one that was
read ends in the right state with the right words, never in silence; and what only looks like a loss
goes on. Each loss under on_lost = "fail" (then accepted by a person) and under "accept". Links to
this are tests too: test_postgres_slot_VERSION.py is for that version of the server."""
import argparse
import concurrent.futures
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.daemon import Failed, Workspace, wait_until  # noqa: E402
from harness.pgshop import SHOPS, end_by_signal, say  # noqa: E402
from harness.servers import Unavailable  # noqa: E402
from harness.servers.postgres import Postgres  # noqa: E402

LONG = "x" * 20000
ACCEPT = 'on_lost = "accept"'
AT_ONCE = 6


class Shop:
    """A server with one table, and a workspace that captures it."""

    def __init__(self, version):
        self.folder = tempfile.mkdtemp(prefix="tg-", dir=os.environ.get("TMPDIR"))
        self.server = Postgres(os.path.join(self.folder, "server"), version)
        self.workspace = Workspace(os.path.join(self.folder, "ws"))
        self.more = {}
        SHOPS.append(self)
        self.sql("CREATE TABLE t(id int PRIMARY KEY, v text)")

    def __enter__(self):
        return self

    def close(self):
        self.workspace.close()
        self.server.close()

    def __exit__(self, *_):
        self.close()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, text, *values):
        with self.server.admin() as db:
            return db.execute(text, *values)

    def one(self, text, *values):
        with self.server.admin() as db:
            return db.one(text, *values)

    def insert(self, *ids):
        for number in ids:
            self.sql("INSERT INTO t VALUES(%s, %s)", number, LONG)

    def configure(self, policy, **more):
        self.more.update(more)
        url = self.server.url(host="127.0.0.1", sslmode="disable", sslrootcert=None)
        self.workspace.configure({"shop": {"driver": "postgres", "url": url, "tables": ["t"], "on_lost": policy,
                                           **self.more}}, {})

    def source(self):
        return self.workspace.status()["sources"][0]

    def wait_state(self, state, seconds=20, words=""):
        """The source once it is in that state, with these words in its error."""
        def there():
            found = self.source()
            return found["state"] == state and words in said(found) and found
        found = self.workspace.wait_alive() and wait_until(there, seconds, 0.05)
        if not found:
            raise Failed('not %s ("%s"): %s\n%s' % (state, words, self.source(), self.workspace.log_tail()))
        return found

    def events(self):
        """Without those of Tidegate's own state."""
        return [e for e in self.workspace.events() if e["driver"] != "tidegate"]

    def ids(self):
        return [e["new"]["id"] for e in self.events() if e["op"] == "insert"]

    def wait_ids(self, *want, seconds=20):
        if not wait_until(lambda: self.ids() == list(want), seconds, 0.1):
            raise Failed("rows %s, must be %s: %s\n%s" % (self.ids(), want, self.source(), self.workspace.log_tail()))

    def wait_id(self, number, seconds=20):
        if not wait_until(lambda: number in self.ids(), seconds, 0.1):
            raise Failed("row %d does not come: %s\n%s" % (number, self.source(), self.workspace.log_tail()))

    def messages(self):
        return [e["message"]["prefix"] for e in self.events() if e["op"] == "message"]

    def wait_message(self, prefix):
        if not wait_until(lambda: prefix in self.messages(), 20, 0.1):
            raise Failed("message %s does not come: %s" % (prefix, self.source()))

    def slot(self):
        return self.one("SELECT slot_name FROM pg_replication_slots")

    def publications(self):
        return [row[0] for row in self.sql("SELECT pubname FROM pg_publication ORDER BY 1")]

    def drop_publications(self):
        names = self.publications()
        for name in names:
            self.sql('DROP PUBLICATION "%s"' % name)
        return names

    def make_publications(self, names):
        root = "publish_via_partition_root = true"
        self.sql("CREATE PUBLICATION \"%s\" FOR TABLE ONLY t WITH (%s)" % (names[0], root))
        self.sql("CREATE PUBLICATION \"%s\" WITH (publish = 'insert, truncate', %s)" % (names[1], root))

    def begin(self, policy, **more):
        """Two rows are read, and the daemon is stopped."""
        self.configure(policy, **more)
        self.workspace.start()
        self.insert(1, 2)
        self.wait_ids(1, 2)
        self.workspace.stop()

    # The server's data folder, and copies of it.

    def copy_data(self):
        self.server.stop()
        subprocess.run(["cp", "-a", self.server.data, self.server.data + "-copy"], check=True)
        self.server.start()

    def put_back(self):
        self.server.stop()
        shutil.rmtree(self.server.data)
        os.rename(self.server.data + "-copy", self.server.data)

    def promote(self):
        """The stopped server comes up as a standby, and then takes over: a new timeline."""
        signal_file = os.path.join(self.server.data, "standby.signal")
        open(signal_file, "w").close()
        if self.server.who:
            os.chown(signal_file, self.server.who[1], self.server.who[2])
        self.server.start()
        if self.one("SELECT pg_promote()") != "t":
            raise Failed("the standby was not promoted:\n" + self.server.log_tail())


def said(source):
    error = source.get("error") or {}
    return " ".join(error.get(part) or "" for part in ("message", "cause", "hint"))


# Losses: each is a function of the shop while the daemon is stopped, and ends with what was read.

def missing(shop):
    shop.sql("SELECT pg_drop_replication_slot(%s)", shop.slot())


def made_again(shop):
    name = shop.slot()
    shop.sql("SELECT pg_drop_replication_slot(%s)", name)
    shop.insert(3)
    shop.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", name)


def ahead(shop):
    shop.insert(3)
    shop.sql("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", shop.slot())


def another_server(shop):
    """A fresh cluster under the same address, with the same names in it."""
    old, name, publications = shop.server, shop.slot(), shop.publications()
    old.stop()
    shop.server = Postgres(os.path.join(shop.folder, "another"), old.version, started=False, fresh=True)
    shop.server.port = shop.server.settings["port"] = old.port
    shop.server.start()
    shop.sql("CREATE TABLE t(id int PRIMARY KEY, v text)")
    shop.make_publications(publications)
    shop.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", name)


def read_more(shop):
    """A third row is read, of which the copy that was made knows nothing."""
    shop.workspace.start()
    shop.insert(3)
    shop.wait_ids(1, 2, 3)
    shop.workspace.stop()


def restored(shop):
    shop.copy_data()
    read_more(shop)
    shop.put_back()
    shop.server.start()
    return 1, 2, 3


def restored_and_long(shop):
    """The same, and its log has long passed the place up to which was read."""
    restored(shop)
    for number in range(50, 60):
        shop.insert(number)
    return 1, 2, 3


def pass_log(shop):
    """The server's log goes on by a segment or two, with nothing that is captured."""
    for _ in range(2):
        shop.sql("CREATE TABLE filler(); DROP TABLE filler")
        shop.sql("SELECT pg_switch_wal()")


def restored_message(shop):
    """What was read last is a message outside of transactions; the log of the copy has passed it."""
    shop.copy_data()
    shop.workspace.start()
    shop.insert(3)
    shop.wait_ids(1, 2, 3)
    shop.sql("SELECT pg_logical_emit_message(false, 'p', repeat('x', 20000))")
    shop.wait_message("p")
    shop.workspace.stop()
    shop.put_back()
    shop.server.start()
    for number in range(50, 60):
        shop.insert(number)
    shop.sql("SELECT pg_switch_wal()")
    shop.insert(60)
    return 1, 2, 3


def restored_half(shop):
    """What was read last is one half of a transaction, and nothing that is captured comes in its place."""
    shop.copy_data()
    shop.workspace.start(fault="source.mid_batch:8000:late")
    shop.sql("INSERT INTO t SELECT i, repeat('x', 200) FROM generate_series(1000, 21000) i")
    if not shop.workspace.wait_end(20):
        raise Failed("it was not killed in mid-transaction")
    read = tuple(shop.ids())
    if not 2 < len(read) < 20000:
        raise Failed("%d rows were read" % len(read))
    shop.put_back()
    shop.server.start()
    pass_log(shop)
    return read


def forked(shop):
    """The copy is a standby that lags, and takes over."""
    shop.copy_data()
    read_more(shop)
    shop.put_back()
    shop.promote()
    return 1, 2, 3


def forked_and_long(shop):
    """The same, and the new timeline has long passed the place up to which was read."""
    forked(shop)
    for number in range(50, 60):
        shop.insert(number)
    return 1, 2, 3


def another_slot(shop):
    shop.configure("fail", slot="another")


def removed(shop):
    shop.server.restart(max_slot_wal_keep_size="1MB", min_wal_size="32MB", max_wal_size="32MB")

    def lost():
        shop.sql("CREATE TABLE filler(); DROP TABLE filler")
        shop.sql("SELECT pg_switch_wal()")
        shop.sql("CHECKPOINT")
        return shop.one("SELECT wal_status FROM pg_replication_slots") == "lost"
    if not wait_until(lost, 30):
        raise Failed("the server keeps its log")


def publication_dropped(shop):
    shop.drop_publications()
    shop.insert(3)


def publication_made_again(shop):
    """What was changed in between is not in the stream: 15 stops there, 18 leaves it out."""
    names = shop.drop_publications()
    shop.insert(3)
    shop.make_publications(names)
    shop.insert(4)


LOSSES = (
    (missing, "is missing: it was dropped"),
    (made_again, "somebody else read from it, or it was made again"),
    (ahead, "somebody else read from it, or it was made again"),
    (another_server, "this is another server"),
    (restored, "was restored from a backup"),
    (restored_and_long, "was restored from a backup"),
    (restored_message, "was restored from a backup"),
    (restored_half, "it is not in the log any more"),
    (forked, "which left timeline 1 at"),
    (forked_and_long, "which left timeline 1 at"),
    (another_slot, 'the replication slot is "another" now'),
    (removed, "removed log that was not read yet"),
    (publication_dropped, "is gone"),
    (publication_made_again, "publication"),
)


def check_lost(shop, words, read):
    """Lost, in words, and nothing of what comes now is taken for what should have come."""
    problems = []
    found = shop.wait_state("lost")
    if words not in said(found):
        problems.append("lost, but it says: %s" % found["error"])
    if ACCEPT not in said(found):
        problems.append("lost, and no word of how to go on: %s" % found["error"])
    shop.insert(90)
    shop.workspace.stop()
    shop.workspace.start(wait=False)
    shop.wait_state("lost")
    if tuple(shop.ids()) != read:
        problems.append("rows %s while lost, must be %s" % (shop.ids(), read))
    shop.workspace.stop()
    return problems


def check_accepted(shop, words, read):
    """One gap that says why, the next epoch, and what comes from here on, once."""
    problems = []
    shop.workspace.wait_alive()  # `events` would be in its way
    if not wait_until(lambda: [e for e in shop.events() if e["op"] == "gap"], 20, 0.1):
        raise Failed("no gap: %s\n%s" % (shop.source(), shop.workspace.log_tail()))
    shop.wait_state("streaming")
    shop.insert(100)
    shop.wait_id(100)
    shop.workspace.stop()
    shop.workspace.start()
    shop.insert(101)
    shop.wait_id(101)
    events = shop.events()
    gaps = [e for e in events if e["op"] == "gap"]
    if len(gaps) != 1 or words not in str(gaps[0]["gap"]["reason"]):
        problems.append("the gaps are %s, must be one with \"%s\"" % ([e["gap"] for e in gaps], words))
    ids = [e["new"]["id"] for e in events if e["op"] == "insert"]
    if tuple(ids[:len(read)]) != read or ids[-2:] != [100, 101] or ids.count(100) != 1:
        problems.append("rows %s, must be %s … 100, 101" % (ids, read))
    if len({e["id"] for e in events}) != len(events):
        problems.append("an id came twice: %s" % [e["id"] for e in events])
    if shop.source()["epoch"] != 2:
        problems.append("epoch %s, must be 2" % shop.source()["epoch"])
    return problems


def lose(version, damage, words, policy):
    with Shop(version) as shop:
        shop.begin(policy)
        read = damage(shop) or (1, 2)
        shop.configure(policy)
        shop.workspace.start(wait=False)
        problems = []
        if policy == "fail":
            problems += check_lost(shop, words, read)
            shop.configure("accept")
            shop.workspace.start(wait=False)
        problems += check_accepted(shop, words, read)
        return problems + shop.workspace.odd_ends + shop.workspace.complaints()


# What only looks like a loss.

@contextlib.contextmanager
def somebody_reads(shop):
    """Another session has the slot, and confirms nothing."""
    words = [os.path.join(shop.server.programs, "pg_recvlogical"), "--start", "-f", "/dev/null", "-S", shop.slot(),
             "-d", shop.server.conninfo(host="127.0.0.1", sslmode="disable"), "-o", "proto_version=1",
             "-o", 'publication_names="%s"' % shop.publications()[0], "--status-interval=0", "--fsync-interval=0"]
    if not os.path.exists(words[0]):
        raise Unavailable("no pg_recvlogical")
    reader = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        pid = wait_until(lambda: shop.one("SELECT active_pid FROM pg_replication_slots"), 10)
        if not pid:
            raise Failed("pg_recvlogical does not read")
        yield pid
    finally:
        reader.kill()
        reader.wait()


def check_unbroken(shop, *read):
    shop.wait_ids(*read)
    events, found = shop.events(), shop.source()
    problems = ["a gap: %s" % e["gap"] for e in events if e["op"] == "gap"]
    if found["epoch"] != 1:
        problems.append("epoch %s, must be 1" % found["epoch"])
    return problems


def in_use(shop):
    """Waits, says by which process, and goes on by itself."""
    shop.begin("accept")
    with somebody_reads(shop) as pid:
        shop.workspace.start(wait=False)
        found = shop.wait_state("connecting", words="is in use by process %s " % pid)
        problems = [] if found["error"]["class"] == "busy" else ["not busy: %s" % found["error"]]
        shop.insert(3)
        if shop.ids() != [1, 2]:
            problems.append("rows %s were read beside another reader" % shop.ids())
    return problems + check_unbroken(shop, 1, 2, 3)


def other_plugin(shop):
    """Never dropped, never read; once a person has dropped it, it is lost."""
    shop.begin("fail")
    name = shop.slot()
    shop.sql("SELECT pg_drop_replication_slot(%s)", name)
    shop.sql("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", name)
    shop.workspace.start(wait=False)
    found = shop.wait_state("failed", words="was made for the plugin test_decoding, not pgoutput")
    problems = []
    if found["error"]["class"] != "config" or "pg_drop_replication_slot" not in said(found):
        problems.append("it says: %s" % found["error"])
    if shop.one("SELECT plugin FROM pg_replication_slots") != "test_decoding":
        problems.append("somebody else's slot was dropped")
    shop.sql("SELECT pg_drop_replication_slot(%s)", name)
    shop.wait_state("lost", words="is missing")
    return problems


def other_database(shop):
    """A slot of our name that belongs to another database, before anything was read."""
    shop.sql("CREATE DATABASE other")
    with shop.server.admin("other") as db:
        db.execute("SELECT pg_create_logical_replication_slot('theirs', 'pgoutput')")
    shop.configure("accept", slot="theirs")
    shop.workspace.start(wait=False)
    shop.wait_state("failed", words='is of database "other"')
    return []


def took_over(shop):
    """A standby that had everything: a new timeline, and nothing is missing."""
    shop.begin("fail")
    shop.server.stop()
    shop.promote()
    shop.insert(3)
    shop.workspace.start()
    problems = check_unbroken(shop, 1, 2, 3)
    shop.workspace.stop()
    shop.insert(4)
    shop.workspace.start()
    return problems + check_unbroken(shop, 1, 2, 3, 4)


def older_named_slot(shop):
    """A person made the slot, and the source its publications later: it begins there."""
    shop.sql("SELECT pg_create_logical_replication_slot('theirs', 'pgoutput')")
    shop.insert(1, 2)
    shop.configure("fail", slot="theirs")
    shop.workspace.start()
    shop.insert(3)
    return check_unbroken(shop, 3)


def dropped_while_read(shop):
    """A publication goes away under the stream, and comes back before anybody looks at it."""
    shop.configure("fail")
    shop.workspace.start()
    shop.insert(1)
    shop.wait_ids(1)
    names = shop.drop_publications()
    shop.insert(2)
    shop.make_publications(names)
    shop.insert(3)
    shop.wait_state("lost", words="publication")
    return [] if shop.ids() == [1] else ["rows %s, must be 1 alone" % shop.ids()]


def crashed(shop):
    """The slot goes back with the server's crash; what comes again was read already."""
    shop.configure("fail")
    shop.workspace.start()
    shop.insert(1, 2)
    shop.wait_ids(1, 2)
    shop.server.kill()
    shop.server.start()
    shop.insert(3)
    return check_unbroken(shop, 1, 2, 3)


def crashed_message(shop):
    """The same with a message outside of transactions as the last that was read: it comes once."""
    shop.configure("fail")
    shop.workspace.start()
    shop.insert(1)
    shop.sql("SELECT pg_logical_emit_message(false, 'one', 'x')")
    shop.insert(2)
    shop.sql("SELECT pg_logical_emit_message(false, 'two', 'x')")
    shop.wait_message("two")
    shop.server.kill()
    shop.server.start()
    shop.sql("SELECT pg_logical_emit_message(false, 'three', 'x')")
    shop.insert(3)
    problems = check_unbroken(shop, 1, 2, 3)
    return problems if shop.messages() == ["one", "two", "three"] else problems + ["messages %s" % shop.messages()]


def advanced_meanwhile(shop):
    """The slot is moved by somebody while a lock makes the start wait."""
    shop.begin("fail", tables=["*"])
    shop.sql("CREATE TABLE b(id int PRIMARY KEY)")
    shop.insert(3)
    with shop.server.admin() as db:
        db.execute("BEGIN")
        db.execute("LOCK TABLE b IN ACCESS EXCLUSIVE MODE")
        shop.workspace.start(wait=False)
        if not wait_until(lambda: shop.one("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0", 10, 0.02):
            raise Failed("nothing waits for the lock")
        shop.sql("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", shop.slot())
        db.execute("ROLLBACK")
    shop.wait_state("lost", words="moved on by somebody else")
    return [] if shop.ids() == [1, 2] else ["rows %s, must be 1 and 2" % shop.ids()]


# A second server that follows the first.

@contextlib.contextmanager
def standby_of(shop, **settings):
    """Made of a copy, and stopped; slots are not copied."""
    primary = shop.server
    shop.sql("SELECT pg_create_physical_replication_slot('followed', true)")
    primary.stop()
    with Postgres(os.path.join(shop.folder, "standby"), primary.version, started=False) as standby:
        shutil.rmtree(standby.data)
        subprocess.run(["cp", "-a", primary.data, standby.data], check=True)
        for name in os.listdir(os.path.join(standby.data, "pg_replslot")):
            shutil.rmtree(os.path.join(standby.data, "pg_replslot", name))
        signal_file = os.path.join(standby.data, "standby.signal")
        open(signal_file, "w").close()
        if standby.who:
            os.chown(signal_file, standby.who[1], standby.who[2])
        primary.start()
        standby.settings.update(primary_conninfo=primary.conninfo(host="127.0.0.1", sslmode="disable"), primary_slot_name="followed",
                                **settings)
        yield standby


def both_hosts(shop, standby, **more):
    """The source may read from either."""
    url = shop.server.conninfo(host="127.0.0.1,127.0.0.1", port="%d,%d" % (shop.server.port, standby.port), sslmode="disable",
                               sslrootcert=None, **more)
    shop.configure("fail", url=url)


def keep_in_step(shop, standby):
    """Writes until the standby has a copy of the slot that it could read from, and all the rows; how many."""
    ids = []

    def kept():
        ids.append(len(ids) + 1)
        shop.insert(ids[-1])
        shop.sql("SELECT pg_log_standby_snapshot()")
        with standby.admin() as db:
            return db.one("SELECT count(*) FROM pg_replication_slots WHERE synced AND NOT temporary") == "1"
    if not wait_until(kept, 30, 0.3):
        raise Failed("the slot is not kept in step: %s" % standby.log_tail())
    shop.wait_ids(*ids)
    end = shop.one("SELECT pg_current_wal_lsn()")
    with standby.admin() as db:
        wait_until(lambda: db.one("SELECT pg_last_wal_replay_lsn() >= %s", end) == "t", 10, 0.1)
    return ids


def synced(shop):
    """A standby that took over goes on with the slot that it kept in step; until then nobody can read that."""
    primary = shop.server
    if primary.version < 17:
        raise Unavailable("slots are kept in step from 17 on")
    shop.sql("SELECT pg_create_logical_replication_slot('theirs', 'pgoutput', false, false, true)")
    with standby_of(shop, hot_standby_feedback="on", sync_replication_slots="on") as standby:
        standby.start()
        shop.configure("fail", slot="theirs")
        shop.workspace.start()
        ids = keep_in_step(shop, standby)
        shop.workspace.stop()
        shop.server = standby
        shop.configure("fail")
        shop.workspace.start(wait=False)
        shop.wait_state("failed", words="is a copy of the primary's")
        primary.kill()
        shop.one("SELECT pg_promote()")
        shop.insert(900)
        problems = check_unbroken(shop, *ids, 900)
        shop.server = primary
    return problems


def other_host(shop):
    """Where the primary does not answer, a standby without the slot proves nothing."""
    shop.begin("fail")
    with standby_of(shop) as standby:
        standby.start()
        both_hosts(shop, standby)
        shop.workspace.start()
        shop.insert(3)
        shop.wait_ids(1, 2, 3)
        shop.server.stop()
        found = shop.wait_state("connecting", words="standby")
        problems = [] if found["error"]["class"] == "busy" else ["not busy: %s" % found["error"]]
        shop.server.start()
        shop.insert(4)
        return problems + check_unbroken(shop, 1, 2, 3, 4)


OTHERS = (synced, other_host, advanced_meanwhile, crashed_message, in_use, other_plugin, other_database, took_over, older_named_slot, dropped_while_read, crashed)


def with_shop(version, case):
    with Shop(version) as shop:
        problems = case(shop)
        return problems + shop.workspace.odd_ends + shop.workspace.complaints()


def cases():
    for damage, words in LOSSES:
        for policy in ("fail", "accept"):
            yield "%s/%s" % (damage.__name__, policy), lambda v, d=damage, w=words, p=policy: lose(v, d, w, p)
    for case in OTHERS:
        yield case.__name__, lambda v, c=case: with_shop(v, c)


def run_one(version, name, case):
    """1 if it failed, 0 if not; None when there is nothing that it could run on."""
    try:
        problems = case(version)
    except Failed as error:
        problems = [str(error)]
    except Unavailable as error:
        say("skipped  %s: %s" % (name, error))
        return None
    except Exception:  # pylint: disable=broad-except
        problems = [traceback.format_exc()]
    say("\n    ".join(["%-8s %s on %s" % ("failed" if problems else "passed", name, version or "the installed server")] + problems))
    return int(bool(problems))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--version", type=int, help="of the server; default: the one of the script's name, or the installed one")
    given = parser.parse_args()
    named = re.search(r"_(\d+)\.py$", sys.argv[0])
    version = given.version or (int(named.group(1)) if named else None)
    signal.signal(signal.SIGTERM, end_by_signal)
    with concurrent.futures.ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        futures = [pool.submit(run_one, version, name, case) for name, case in cases() if given.only in name]
        found = [future.result() for future in futures]
    if all(failed is None for failed in found):
        say("no PostgreSQL server can be had here")
        sys.exit(77)
    sys.exit(1 if any(found) else 0)


if __name__ == "__main__":
    main()
