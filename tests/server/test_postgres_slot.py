#!/usr/bin/env python3
"""Continuity with a PostgreSQL server: every way in which the log at hand is not the one that was
read ends in the right state with the right words, never in silence; and what only looks like a loss
goes on. Each loss under on_lost = "fail" (then accepted by a person) and under "accept"."""
import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.daemon import Failed, Workspace, wait_until  # noqa: E402
from harness.servers import Unavailable  # noqa: E402
from harness.servers.postgres import Postgres  # noqa: E402

LONG = "x" * 20000
ACCEPT = 'on_lost = "accept"'


class Shop:
    """A server with one table, and a workspace that captures it."""

    def __init__(self, version):
        self.folder = tempfile.mkdtemp(prefix="tg-", dir=os.environ.get("TMPDIR"))
        self.server = Postgres(os.path.join(self.folder, "server"), version)
        self.workspace = Workspace(os.path.join(self.folder, "ws"))
        self.more = {}
        self.sql("CREATE TABLE t(id int PRIMARY KEY, v text)")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.workspace.close()
        self.server.close()
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

    def ids(self):
        return [e["new"]["id"] for e in self.workspace.events() if e["op"] == "insert"]

    def wait_ids(self, *want, seconds=20):
        if not wait_until(lambda: self.ids() == list(want), seconds, 0.1):
            raise Failed("rows %s, must be %s: %s\n%s" % (self.ids(), want, self.source(), self.workspace.log_tail()))

    def wait_id(self, number, seconds=20):
        if not wait_until(lambda: number in self.ids(), seconds, 0.1):
            raise Failed("row %d does not come: %s\n%s" % (number, self.source(), self.workspace.log_tail()))

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
        self.sql("CREATE PUBLICATION \"%s\" FOR TABLE t" % names[0])
        self.sql("CREATE PUBLICATION \"%s\" WITH (publish = 'insert, truncate')" % names[1])

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
    if not wait_until(lambda: [e for e in shop.workspace.events() if e["op"] == "gap"], 20, 0.1):
        raise Failed("no gap: %s\n%s" % (shop.source(), shop.workspace.log_tail()))
    shop.wait_state("streaming")
    shop.insert(100)
    shop.wait_id(100)
    shop.workspace.stop()
    shop.workspace.start()
    shop.insert(101)
    shop.wait_id(101)
    events = shop.workspace.events()
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
    events, found = shop.workspace.events(), shop.source()
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


OTHERS = (in_use, other_plugin, other_database, took_over, older_named_slot, dropped_while_read, crashed)


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


# What servers do differently where a publication is missing, or a slot is lost.
DIFFERS = ("missing", "removed", "restored_and_long", "publication_dropped", "publication_made_again",
           "dropped_while_read", "took_over")


def run(version, only, chosen=None):
    """The number that ran, and of those that failed; Unavailable when there is no such server."""
    ran = failed = 0
    for name, case in cases():
        if only not in name or (chosen and name.split("/")[0] not in chosen):
            continue
        try:
            problems = case(version)
        except Failed as error:
            problems = [str(error)]
        except Unavailable as error:
            if ran == 0:
                raise
            print("skipped  %s: %s" % (name, error), flush=True)
            continue
        ran += 1
        failed += bool(problems)
        print("%-8s %s on %s" % ("failed" if problems else "passed", name, version or "the installed server"), flush=True)
        for problem in problems:
            print("    " + problem)
    return ran, failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--version", type=int, action="append", help="of the server; default: the installed one, and on 17 and 18 what they do differently")
    given = parser.parse_args()
    ran, failed, words = 0, 0, ""
    for version in given.version or (None, 17, 18):
        try:
            more = run(version, given.only, DIFFERS if version and not given.version else None)
            ran, failed = ran + more[0], failed + more[1]
        except Unavailable as error:
            words = "PostgreSQL %s: %s" % (version or "", error)
            print("skipped  " + words, flush=True)
    if ran == 0:
        print(words)
        sys.exit(77)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
