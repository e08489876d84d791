"""PostgreSQL: a server of its own, and writers that change it at the same time, truly concurrent.

A writer locks the rows that it is about to change, and what it will change is known from there on;
what became of them is what RETURNING says, in the order in which the server wrote it. Only the end of
a transaction is serialized: an advisory lock of the transaction is taken right before the ledger's
line and COMMIT. The server itself gives it back, after the commit's record is in its log, so the
ledger's order is the commit order even if the writer or the server is killed in between.

`mode` is the version of the server; None: the one that is installed.
"""
import itertools
import json
import os
import sys
import time

from .. import ledger, pq
from . import base
from .base import HOSTILE, HOSTILE_COLUMN

TEXTS = (
    None, "", "abc", "ABC", "1", "1.0", "true", "null", "naïve ☃ 𝄞", "line\nfeed\ttab\r", "\x1b[2J\x1b]0;owned\x07",
    "\x01\x7f", "<script>alert(1)</script>", "'; drop table plain; --", '"quoted"', "{{id}} %s ${x} \\", "\u202egnp.exe",
    "\u0085\u2028", "{a,b}", "\\x00", "`; drop", "long " * 300, "é" * 3000,
)
VALUES = {
    "text": TEXTS,
    "bytea": (None, b"", b"\x00\xff", b"abc", b"\\", b"\xde\xad\xbe\xef" * 40, bytes(range(256)) * 20),
    "numeric": (None, "0", "1", "-1", "1.10", "0.000000000000000000001", "123456789012345678901234567890.123456", "NaN",
                "Infinity", "-2.5", "1" + "0" * 200),
    "bigint": (None, 0, 1, -1, 2 ** 53 + 1, -2 ** 63, 2 ** 63 - 1),
    "float8": (None, 0.0, 0.1, -2.5e300, 1e-310, 1.0, float("inf"), float("-inf"), float("nan"), 1e21),
    "boolean": (None, True, False),
}
NAMES = ("ann", "Ann", "BOB", "bob", "cy", "dee", "Eve", "fay", "gus", "hal")
REGIONS = ("north", "south", "elsewhere", "far")
TOASTED = 9000  # characters; such a text is stored apart from its row

# Columns of each table; what follows the name are the key, and what old rows the log carries:
# "full"; "key": of a delete, or when the key changed; "none": only inserts are captured at all.
TABLES = {
    "harness_tx": ({"name": "text", "writer": "bigint"}, ("name",), "full"),
    "plain": ({"id": "bigint", "name": "text", "n": "numeric", "data": "bytea", "f": "float8", "ok": "boolean",
               "i": "bigint"}, ("id",), "full"),
    "bulk": ({"id": "bigint", "pad": "text", "n": "bigint"}, ("id",), "key"),
    "pair": ({"a": "text", "b": "bigint", "v": "text"}, ("a", "b"), "full"),
    "uniq": ({"id": "bigint", "email": "text", "slot": "bigint", "v": "text"}, ("id",), "full"),
    "parent": ({"id": "bigint", "v": "text"}, ("id",), "full"),
    "child": ({"id": "bigint", "v": "text", "parent": "bigint"}, ("id",), "full"),
    "touched": ({"id": "bigint", "v": "text", "seen": "bigint", "touches": "bigint"}, ("id",), "full"),
    "keyless": ({"a": "text", "b": "text"}, None, "full"),
    "loose": ({"a": "text", "b": "text"}, None, "none"),
    "slim": ({"id": "bigint", "v": "text", "big": "text"}, ("id",), "key"),
    "wide": ({"id": "bigint", "v": "text", "big": "text"}, ("id",), "full"),
    "parts": ({"region": "text", "id": "bigint", "v": "text"}, ("region", "id"), "full"),
    HOSTILE: ({"id'": "bigint", "select": "text", HOSTILE_COLUMN: "text"}, ("id'",), "full"),
}
LEAVES = ("parts_north", "parts_south", "parts_rest", "parts_rest_far", "parts_rest_other")
MORE = """
CREATE SEQUENCE between;
CREATE TABLE parts_north PARTITION OF parts FOR VALUES IN ('north');
CREATE TABLE parts_south PARTITION OF parts FOR VALUES IN ('south');
CREATE TABLE parts_rest PARTITION OF parts DEFAULT PARTITION BY LIST(region);
CREATE TABLE parts_rest_far PARTITION OF parts_rest FOR VALUES IN ('far');
CREATE TABLE parts_rest_other PARTITION OF parts_rest DEFAULT;
CREATE UNIQUE INDEX uniq_email ON uniq(email);
CREATE UNIQUE INDEX uniq_slot ON uniq(slot) WHERE slot > 0;
ALTER TABLE child ADD FOREIGN KEY (parent) REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE bulk ALTER pad SET STORAGE EXTERNAL;
ALTER TABLE slim ALTER big SET STORAGE EXTERNAL;
ALTER TABLE wide ALTER big SET STORAGE EXTERNAL;
ALTER TABLE touched ALTER seen SET DEFAULT 0, ALTER touches SET DEFAULT 0;
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.seen := OLD.seen + 1; RETURN NEW; END $$;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN UPDATE touched SET touches = touches + 1 WHERE id = NEW.id; RETURN NULL; END $$;
CREATE TRIGGER see BEFORE UPDATE OF v ON touched FOR EACH ROW EXECUTE FUNCTION see();
CREATE TRIGGER touch AFTER UPDATE OF v ON touched FOR EACH ROW EXECUTE FUNCTION touch();
"""
# "full" needs to be said of a partitioned table's every leaf.
FULL = [name for name, (_, _, old) in TABLES.items() if old == "full"] + list(LEAVES)
ORDER = 7714  # the advisory lock's number
DATABASE, OWNER, READER = "shop", "app", "tidegate"
SETTINGS = {"logical_decoding_work_mem": "64kB", "deadlock_timeout": "50ms", "max_wal_size": "512MB"}


def quote(name):
    return '"%s"' % name.replace('"', '""')


def named(name):
    """In a statement that takes values where it says %s."""
    return quote(name).replace("%", "%%")


def columns(table):
    return ", ".join(map(named, TABLES[table][0]))


def create_table(name):
    kinds, key, _ = TABLES[name]
    parts = ["%s %s" % (quote(c), kind) for c, kind in kinds.items()]
    if key:
        parts.append("PRIMARY KEY(%s)" % ", ".join(map(quote, key)))
    return "CREATE TABLE %s(%s)%s;" % (quote(name), ", ".join(parts), " PARTITION BY LIST(region)" if name == "parts" else "")


def from_text(kind, text):
    """The server's text as native JSON has it."""
    if text is None:
        return None
    if kind == "bigint":
        return int(text)
    if kind == "boolean":
        return text == "t"
    if kind == "bytea":
        return ledger.normal(bytes.fromhex(text[2:]))
    if kind == "float8":
        return text if text in ("NaN", "Infinity", "-Infinity") else float(text)
    return text


class Source(base.Source):
    name = "postgres"
    keeps_read_log = False  # what was confirmed is gone from its log at once

    def __init__(self, folder, seed, mode=None):
        super().__init__(folder, seed, mode)
        self.server = None
        self.proxy_port = None  # of something between the daemon and the server

    def create(self):
        from ..servers.postgres import Postgres
        self.server = Postgres(os.path.join(self.folder, "postgres"), int(self.mode) if self.mode else None, **SETTINGS)
        with self.server.admin() as db:
            db.execute("CREATE ROLE %s LOGIN PASSWORD 'app'" % OWNER)
            db.execute("CREATE ROLE %s LOGIN REPLICATION PASSWORD 'tide' IN ROLE %s" % (READER, OWNER))
            db.execute("CREATE DATABASE %s OWNER %s" % (DATABASE, OWNER))
        with pq.connect(self.connection_arguments()[0]) as db:
            db.execute("SET check_function_bodies=off;" + "".join(map(create_table, TABLES)) + MORE)
            for table in FULL:
                db.execute("ALTER TABLE %s REPLICA IDENTITY FULL" % quote(table))

    def declaration(self, **more):
        port = self.proxy_port or self.server.port
        return {"driver": "postgres", "url": self.server.url(READER, "tide", DATABASE, port=port), "tables": ["*"],
                "messages": True, **more}

    def pattern(self, table):
        return "public." + table

    def connection_arguments(self):
        return [self.server.conninfo(OWNER, "app", DATABASE, host="127.0.0.1", sslmode="disable", connect_timeout=10)]

    def admin(self):
        return self.server.admin(DATABASE)

    def committed(self):
        if not self.server.running():
            self.server.start()
        with self.admin() as db:
            return {row[0] for row in db.execute("SELECT name FROM harness_tx")}

    def left_behind(self):
        with self.admin() as db:
            return [row[0] for row in db.execute(
                "SELECT 'slot ' || slot_name FROM pg_replication_slots UNION ALL SELECT 'publication ' || pubname"
                " FROM pg_publication UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger")]

    def unread_rows(self):
        """How many pieces of about a row's size the slot still keeps; what the server itself writes
        down now and then is less."""
        with self.admin() as db:
            text = db.one("SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)) FROM pg_replication_slots")
        return int(text or 0) // 256

    def kill_server(self):
        self.server.kill()
        self.server.start()
        return True

    def close(self):
        super().close()
        if self.server:
            self.server.close()


class Writer(base.Writer):
    def connect(self, words):
        self.conninfo = words[0]
        self.db = None
        self.again()
        self.groups = itertools.count(1)
        self.names = itertools.count(1)
        self.ids = {}

    # Transactions.

    def again(self, seconds=60):
        """A new connection, once the server is there."""
        end = time.monotonic() + seconds
        if self.db:
            self.db.close()
        while True:
            try:
                self.db = pq.connect(self.conninfo)
                return
            except pq.Error:
                if time.monotonic() > end:
                    raise
            time.sleep(0.02)

    def transaction(self, work):
        """Tries until one is over; the database knows which of them were committed."""
        while True:
            try:
                return self.attempt(work)
            except pq.Error as error:
                if self.db.broken():
                    self.again()
                elif error.sqlstate[:2] in ("23", "40"):  # two writers wanted the same
                    self.db.execute("ROLLBACK")
                else:
                    raise

    def attempt(self, work):
        tx = "%d-%d-%d" % (self.number, os.getpid(), self.count)
        self.count += 1
        self.changes, self.meta = [], None
        self.db.execute("BEGIN")
        self.insert("harness_tx", {"name": tx, "writer": self.number})
        work()
        self.db.execute("SELECT pg_advisory_xact_lock(%d)" % ORDER)
        self.out.note(tx, self.changes)
        self.db.execute("ROLLBACK" if self.random.random() < 0.08 else "COMMIT")

    def sql(self, text, *values):
        """Each %s in `text` takes a value; the rest of it is made of named() and literal()."""
        return self.db.dicts(text % tuple(map(self.db.literal, values)))

    def literal(self, value):
        return self.db.literal(value).replace("%", "%%")

    # Rows, and what the log will say of them.

    def query(self, table, sql, *values):
        """Rows of this table's columns, as native JSON has them."""
        kinds = TABLES[table][0]
        return [{c: from_text(kinds[c], text) for c, text in row.items()} for row in self.sql(sql, *values)]

    def locked(self, table, where, *values):
        """They stay as they are until this transaction changes them."""
        return self.query(table, "SELECT %s FROM %s WHERE %s FOR UPDATE" % (columns(table), named(table), where), *values)

    def note(self, table, op, old, new, group=None, kept=()):
        """`kept`: big values that the log leaves out of the new row, since they stay."""
        _, keys, logged = TABLES[table]
        if logged == "none" and op in ("update", "delete"):
            return
        subject = new or old
        key = keys and subject and {k: subject[k] for k in keys}
        if logged == "key" and old:
            moved = op == "delete" or any(old[k] != new[k] for k in keys)
            old = {k: old[k] for k in keys} if moved else None
        if new and kept and logged == "key":
            new = {c: v for c, v in new.items() if c not in kept}
        made = ledger.change(table, op, key, old, new, "%d-%d" % (self.number, group) if group else None)
        if kept and logged == "key":
            made["unchanged"] = list(kept)
        self.append(made)

    def append(self, made):
        if self.meta is not None:
            made["meta"] = self.meta
        self.changes.append(made)

    def insert(self, table, row, more=""):
        for new in self.query(table, "INSERT INTO %s(%s) VALUES(%s)%s RETURNING %s" % (
                named(table), ", ".join(map(named, row)), ", ".join(map(self.literal, row.values())), more, columns(table))):
            self.note(table, "insert", None, new)

    def of_keys(self, table, rows):
        keys = TABLES[table][1]
        return "(%s) IN (%s)" % (", ".join(map(named, keys)), ", ".join(
            "(%s)" % ", ".join(self.literal(row[k]) for k in keys) for row in rows))

    def changed(self, table, assignment, old):
        """Updates the locked rows `old`; answers pairs of old and new, as the server did them. The
        assignment holds literals already."""
        if not old:
            return []
        keys = TABLES[table][1]
        by_key = {tuple(row[k] for k in keys): row for row in old}
        done = self.query(table, "UPDATE %s SET %s WHERE %s RETURNING %s" % (
            named(table), assignment, self.of_keys(table, old), columns(table)))
        assert len(done) == len(old), "a locked row was changed by somebody else"
        return [(by_key.get(tuple(row[k] for k in keys)) or old[0], row) for row in done]

    def update(self, table, assignment, old, kept=()):
        for before, new in self.changed(table, assignment, old):
            self.note(table, "update", before, new, kept=[c for c in kept if len(new[c] or "") >= TOASTED])

    def delete(self, table, old):
        if not old:
            return
        for row in self.query(table, "DELETE FROM %s WHERE %s RETURNING %s" % (
                named(table), self.of_keys(table, old), columns(table))):
            self.note(table, "delete", row, None)

    def value(self, kind="text"):
        return self.random.choice(VALUES[kind])

    def set(self, column, value):
        return "%s = %s" % (named(column), self.literal(value))

    def fresh(self, table, column="id"):
        """An id that no other writer takes."""
        if table not in self.ids:
            newest = self.sql("SELECT coalesce(max(%s), 0) AS id FROM %s" % (named(column), named(table)))[0]["id"]
            self.ids[table] = itertools.count(int(newest) // 1000 + 1)
        return next(self.ids[table]) * 1000 + self.number % 1000

    def any_row(self, table):
        """One row, locked; or none. By its place, since names of columns may be hostile."""
        keys = TABLES[table][1]
        found = self.query(table, "SELECT %s FROM %s ORDER BY random() LIMIT 1" % (columns(table), named(table)))
        return self.locked(table, self.of_keys(table, found)) if found and keys else []

    def some_rows(self, table, most):
        """Rows near each other, locked."""
        first = self.any_row(table)
        if not first or most == 1:
            return first
        return self.locked(table, "id BETWEEN %s AND %s", first[0]["id"], first[0]["id"] + 1000 * most)

    # What applications do.

    def plain_row(self):
        return {"id": self.fresh("plain"), "name": self.random.choice(NAMES), "n": self.value("numeric"),
                "data": self.value("bytea"), "f": self.value("float8"), "ok": self.value("boolean"), "i": self.value("bigint")}

    def plain_insert(self):
        for _ in range(self.random.choice((1, 1, 5))):
            self.insert("plain", self.plain_row())

    def plain_update(self):
        some = self.random.sample(("n", "data", "f", "ok", "i"), 2)
        kinds = TABLES["plain"][0]
        self.update("plain", ", ".join(self.set(c, self.value(kinds[c])) for c in some),
                    self.some_rows("plain", self.random.choice((1, 1, 5))))

    def plain_same(self):
        self.update("plain", "name = name", self.any_row("plain"))

    def plain_delete(self):
        self.delete("plain", self.some_rows("plain", self.random.choice((1, 1, 6))))

    def plain_key(self):
        self.update("plain", self.set("id", self.fresh("plain")), self.any_row("plain"))

    def hostile(self):
        if self.random.random() < 0.6:
            self.insert(HOSTILE, {"id'": self.fresh(HOSTILE, "id'"), "select": self.value(), HOSTILE_COLUMN: self.value()})
        elif self.random.random() < 0.5:
            self.update(HOSTILE, self.set(HOSTILE_COLUMN, self.value()), self.any_row(HOSTILE))
        else:
            self.delete(HOSTILE, self.any_row(HOSTILE))

    def pair(self):
        a, b = self.random.choice(NAMES), self.random.randrange(6)
        there = self.locked("pair", "a = %s AND b = %s", a, b)
        if not there:
            self.insert("pair", {"a": a, "b": b, "v": self.value()})
        elif self.random.random() < 0.4:
            self.update("pair", self.set("v", self.value()), there)
        elif self.random.random() < 0.5:
            self.delete("pair", there)
        elif not self.locked("pair", "a = %s AND b = %s", a, b + 10):
            self.update("pair", "b = b + 10", there)

    def uniq_row(self):
        return {"id": self.random.randrange(1, 12), "email": self.random.choice(NAMES),
                "slot": self.random.randrange(-1, 6), "v": self.value()}

    def uniq_upsert(self):
        """A speculative insert, or an update of what is there; of both the row is known before."""
        row = self.uniq_row()
        same = self.locked("uniq", "email = %s", row["email"])
        done = self.sql("INSERT INTO uniq(id, email, slot, v) VALUES(%s, %s, %s, %s) ON CONFLICT(email)"
                             " DO UPDATE SET v = excluded.v RETURNING *, xmax <> 0 AS was", *row.values())[0]
        was = done.pop("was") == "t"
        new = {c: from_text(TABLES["uniq"][0][c], text) for c, text in done.items()}
        if was and not same:  # another writer inserted it just now: what it was like is not known here
            raise pq.Error("try again", "40001")
        self.note("uniq", "update" if was else "insert", same[0] if was else None, new)

    def uniq_ignore(self):
        self.insert("uniq", self.uniq_row(), " ON CONFLICT DO NOTHING")

    def uniq_refused(self):
        """The statement fails and leaves its first rows in the log, under a subtransaction that
        was rolled back."""
        self.savepoint(lambda: self.insert("uniq", self.uniq_row()))

    def uniq_update(self):
        row = self.uniq_row()
        self.savepoint(lambda: self.update("uniq", "email = %s, slot = %s, v = %s" % tuple(
            self.literal(row[c]) for c in ("email", "slot", "v")), self.any_row("uniq")))

    def uniq_delete(self):
        self.delete("uniq", self.any_row("uniq"))

    def family(self):
        parent = self.fresh("parent")
        self.insert("parent", {"id": parent, "v": self.value()})
        for _ in range(self.random.randrange(4)):
            self.insert("child", {"id": self.fresh("child"), "v": self.value(), "parent": parent})

    def children(self, parent):
        """The parent is locked, so there will be no other ones."""
        return self.locked("child", "parent = %s", parent["id"])

    def family_end(self):
        for parent in self.any_row("parent"):
            children = self.children(parent)
            self.delete("parent", [parent])
            group = next(self.groups)
            for row in children:
                self.note("child", "delete", row, None, group)

    def family_moves(self):
        for parent in self.any_row("parent"):
            children, moved = self.children(parent), self.fresh("parent")
            self.update("parent", self.set("id", moved), [parent])
            group = next(self.groups)
            for row in children:
                self.note("child", "update", row, dict(row, parent=moved), group)

    def touch(self):
        if self.random.random() < 0.5:
            self.insert("touched", {"id": self.fresh("touched"), "v": self.value()})
            return
        for before, middle in self.changed("touched", self.set("v", self.value()), self.any_row("touched")):
            self.note("touched", "update", before, middle)
            self.note("touched", "update", middle, dict(middle, touches=middle["touches"] + 1))

    def keyless(self):
        if self.random.random() < 0.7:
            self.insert("keyless", {"a": self.random.choice(NAMES), "b": self.value()})
            return
        name, again = self.random.choice(NAMES), self.random.random() < 0.5
        for row in self.sql("SELECT ctid, a, b FROM keyless WHERE a = %s LIMIT 4 FOR UPDATE", name):
            place = row.pop("ctid")
            self.sql("UPDATE keyless SET b = 'same' WHERE ctid = %s" if again else "DELETE FROM keyless WHERE ctid = %s", place)
            assert self.db.affected == 1, "a locked row is gone"
            self.note("keyless", "update" if again else "delete", row, dict(row, b="same") if again else None)

    def loose(self):
        """Its updates and deletes can't be captured; they must do no harm."""
        self.insert("loose", {"a": self.random.choice(NAMES), "b": self.value()})
        if self.random.random() < 0.3:
            self.sql("UPDATE loose SET b = 'changed' WHERE a = %s", self.random.choice(NAMES))
        if self.random.random() < 0.3:
            self.sql("DELETE FROM loose WHERE a = %s", self.random.choice(NAMES))

    def big_text(self):
        """Long ones don't compress, so they are stored apart; short ones are not."""
        return self.random.choice((None, "short", self.random.randbytes(TOASTED // 2).hex()))

    def heavy(self, table):
        """Rows with a big value, which an update may leave alone, in three ways."""
        if self.random.random() < 0.4:
            self.insert(table, {"id": self.fresh(table), "v": self.value(), "big": self.big_text()})
            return
        rows, turn = self.some_rows(table, self.random.choice((1, 1, 3))), self.random.randrange(5)
        if turn == 0:
            self.update(table, self.set("big", self.big_text()), rows)
        elif turn == 1:
            self.update(table, self.set("v", self.value()) + ", big = big", rows, kept=("big",))
        elif turn == 2:
            self.update(table, self.set("id", self.fresh(table)), rows[:1], kept=("big",))
        elif turn == 3:
            self.delete(table, rows)
        else:
            self.update(table, self.set("v", self.value()), rows, kept=("big",))

    def slim(self):
        self.heavy("slim")

    def wide(self):
        self.heavy("wide")

    def parts(self):
        """Rows of a partitioned table; one that moves is a delete and an insert."""
        if self.random.random() < 0.5:
            self.insert("parts", {"region": self.random.choice(REGIONS), "id": self.fresh("parts"), "v": self.value()})
        elif self.random.random() < 0.3:
            self.delete("parts", self.any_row("parts"))
        elif self.random.random() < 0.5:
            self.update("parts", self.set("v", self.value()), self.some_rows("parts", 3))
        else:
            for row in self.any_row("parts"):
                self.move(row, self.random.choice(REGIONS))

    def move(self, row, region):
        for old, new in self.changed("parts", self.set("region", region), [row]):
            if old["region"] == new["region"]:
                self.note("parts", "update", old, new)
                continue
            self.note("parts", "delete", old, None)
            self.note("parts", "insert", None, new)

    def sweep(self):
        table = self.random.choice(("keyless", "touched", "pair", "uniq", "slim", "wide", "parts", HOSTILE))
        for row in self.query(table, "DELETE FROM %s RETURNING %s" % (named(table), columns(table))):
            self.note(table, "delete", row, None)

    def truncate(self):
        tables = self.random.choice((("pair",), ("parent", "child"), ("keyless", "loose"), ("slim",), ("parts",), (HOSTILE,)))
        self.sql("TRUNCATE %s" % ", ".join(map(named, tables)))
        group = next(self.groups)
        for table in tables:
            self.note(table, "truncate", None, None, group)

    def message(self):
        """One of the writer's own, or what it attaches to the rows that come after it."""
        self.emit()
        # The server orders a message by where its record ends, and so not against a record that begins
        # there in another subtransaction. One of a sequence comes between them, and is not decoded.
        self.db.execute("SELECT setval('between', 1)")

    def emit(self):
        if self.random.random() < 0.5:
            content = self.random.choice([t for t in TEXTS if t is not None])
            self.sql("SELECT pg_logical_emit_message(true, %s, %s)", HOSTILE, content)
            made = ledger.change(None, "message", None, None, None)
            made["message"] = {"prefix": HOSTILE, "content": content}
            self.append(made)
            return
        self.meta = {"user": self.random.choice(NAMES), "n": self.random.random(), "deep": [None, {"<b>": self.value()}]}
        self.sql("SELECT pg_logical_emit_message(true, 'tidegate', %s)", json.dumps(self.meta))

    def savepoint(self, work=None):
        """A refused statement ends only what began here."""
        name, before = "s%d" % next(self.names), (len(self.changes), self.meta)
        self.db.execute("SAVEPOINT " + name)
        try:
            (work or self.step)()
        except pq.Error as error:
            if self.db.broken() or error.sqlstate[:2] != "23":
                raise
            self.back_to(name, before)
        if self.random.random() < 0.4:
            self.back_to(name, before)
        if self.random.random() < 0.7:
            self.db.execute("RELEASE " + name)

    def back_to(self, name, before):
        self.db.execute("ROLLBACK TO " + name)
        del self.changes[before[0]:]
        self.meta = before[1]

    def big_savepoint(self):
        """Enough rows that the server spills them, of which none is to be seen."""
        name, before = "s%d" % next(self.names), (len(self.changes), self.meta)
        self.db.execute("SAVEPOINT " + name)
        self.bulk(300, 600)
        self.back_to(name, before)

    MENU = (plain_insert,) * 6 + (plain_update,) * 5 + (plain_same, plain_delete, plain_delete, plain_key) + \
        (hostile,) * 4 + (pair,) * 5 + (uniq_upsert,) * 5 + (uniq_update,) * 3 + (uniq_ignore,) * 2 + \
        (uniq_refused, uniq_delete) + (family,) * 3 + (family_end, family_moves) + (touch,) * 4 + (keyless,) * 3 + \
        (loose,) * 2 + (message,) * 3 + (slim,) * 4 + (wide,) * 3 + (parts,) * 4 + (savepoint,) * 4

    RARE = (sweep, sweep, truncate, big_savepoint)

    def step(self):
        self.random.choice(self.RARE if self.random.random() < 0.02 else self.MENU)(self)

    def bulk(self, rows, size):
        """With some other changes in between."""
        pad, many = "%032x" % self.random.getrandbits(128), max(1, min(200, (1 << 21) // size))
        for start in range(0, rows, many):
            made = []
            for i in range(start, min(rows, start + many)):
                text = (pad + str(i)) * (size // 34) if size < ledger.LONG else self.random.randbytes(size // 2).hex()
                made.append((self.fresh("bulk"), text, i))
            self.sql("INSERT INTO bulk(id, pad, n) VALUES " + ", ".join("(%d, '%s', %d)" % row for row in made))
            for row in made:
                self.note("bulk", "insert", None, dict(zip(("id", "pad", "n"), row)))
            if size < ledger.LONG:
                self.step()


if __name__ == "__main__":
    Writer(sys.argv[1:]).run()
