"""SQLite: the file, and a writer that does to it what applications do."""
import os
import sqlite3
import sys

from .. import ledger
from . import base
from .base import HOSTILE, HOSTILE_COLUMN

VALUES = (
    None, 0, 1, -1, 2 ** 53 + 1, -2 ** 63, 2 ** 63 - 1, 1.0, 0.1, -2.5e300, 1e-320, float("inf"), "", "abc",
    "ABC", "1", "1.0", "true", "naïve ☃ 𝄞", "a\x00b", "line\nfeed\ttab", "\x1b[2J\x1b]0;owned\x07",
    "<script>alert(1)</script>", "'; drop table plain; --", '"quoted"', "{{id}} %s ${x} \\", "\u202egnp.exe",
    b"", b"\x00\xff", b"abc", b"\xde\xad\xbe\xef" * 40, "long " * 300,
)
NAMES = ("ann", "Ann", "BOB", "bob", "cy", "dee", "Eve", "fay", "gus", "hal")


def quote(name):
    return '"%s"' % name.replace('"', '""')


TABLES = """
CREATE TABLE harness_tx(name TEXT PRIMARY KEY, writer);
CREATE TABLE plain(id INTEGER PRIMARY KEY, name TEXT, n, data);
CREATE TABLE bulk(id INTEGER PRIMARY KEY, pad TEXT, n INTEGER);
CREATE TABLE pair(a TEXT, b INTEGER, v, PRIMARY KEY(a, b)) WITHOUT ROWID;
CREATE TABLE uniq(id INTEGER PRIMARY KEY, email TEXT COLLATE NOCASE UNIQUE, slot INTEGER, v);
CREATE UNIQUE INDEX uniq_slot ON uniq(slot) WHERE slot > 0;
CREATE TABLE parent(id INTEGER PRIMARY KEY, v);
CREATE TABLE child(id INTEGER PRIMARY KEY, v,
                   parent INTEGER REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE touched(id INTEGER PRIMARY KEY, v, touches INTEGER DEFAULT 0);
CREATE TRIGGER touch AFTER UPDATE OF v ON touched
BEGIN UPDATE touched SET touches = touches + 1 WHERE id = new.id; END;
CREATE TABLE keyless(a, b);
CREATE TABLE %s(%s INTEGER PRIMARY KEY, "select", %s);
""" % (quote(HOSTILE), quote("id'"), quote(HOSTILE_COLUMN))

KEYS = {"harness_tx": ["name"], "plain": ["id"], "bulk": ["id"], "pair": ["a", "b"], "uniq": ["id"],
        "parent": ["id"], "child": ["id"], "touched": ["id"], "keyless": None, HOSTILE: ["id'"]}


def connect(path):
    db = sqlite3.connect(path, isolation_level=None, timeout=30)
    db.text_factory = lambda raw: raw.decode(errors="strict")
    db.execute("PRAGMA foreign_keys=ON")
    return db


class Source(base.Source):
    name = "sqlite"
    transactions = False

    def __init__(self, folder, seed, mode=None):
        super().__init__(folder, seed, mode or "wal")
        self.path = os.path.join(folder, "shop.db")

    def create(self):
        db = connect(self.path)
        db.execute("PRAGMA journal_mode=%s" % self.mode)
        db.executescript(TABLES)
        db.close()

    def declaration(self, **more):
        # A low limit, so that pruning happens under load too.
        return {"driver": "sqlite", "path": self.path, "tables": ["*"], "prune_above": 1000, **more}

    def pattern(self, table):
        return "main." + table

    def committed(self):
        db = connect(self.path)
        names = {row[0] for row in db.execute("SELECT name FROM harness_tx")}
        db.close()
        return names

    def connection_arguments(self):
        return [self.path, self.mode]

    def unread_rows(self):
        """Rows that stand in the change log: at least one, the newest, stays for good."""
        db = connect(self.path)
        count = db.execute("SELECT count(*) FROM _tidegate_log").fetchone()[0]
        db.close()
        return count

    def left_behind(self):
        db = connect(self.path)
        found = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE name GLOB '_tidegate*'")]
        db.close()
        return found


class Writer(base.Writer):
    def connect(self, words):
        self.db = connect(words[0])
        self.db.execute("PRAGMA synchronous=%s" % ("NORMAL" if words[1] == "wal" else "OFF"))
        self.group = 0

    def begin(self):
        self.db.execute("BEGIN IMMEDIATE")

    def commit(self):
        self.db.execute("COMMIT")

    def rollback(self):
        self.db.execute("ROLLBACK")

    def mark(self, tx):
        self.insert("harness_tx", {"name": tx, "writer": self.number})

    # Reading rows, and noting changes.

    def rows(self, table, where="1", values=(), order=None):
        order = order or ",".join(quote(k) for k in KEYS[table] or ["rowid"])
        cursor = self.db.execute("SELECT * FROM %s WHERE %s ORDER BY %s" % (quote(table), where, order), values)
        names = [c[0] for c in cursor.description]
        return [dict(zip(names, map(ledger.normal, row))) for row in cursor]

    def note(self, table, op, old, new, group=None):
        subject = new or old
        key = KEYS[table] and {k: subject[k] for k in KEYS[table]}
        name = "%d-%d" % (self.number, group) if group else None
        self.changes.append(ledger.change(table, op, key, old, new, name))

    def insert(self, table, row, words="INSERT"):
        cursor = self.db.execute("%s INTO %s(%s) VALUES(%s)" % (
            words, quote(table), ",".join(map(quote, row)), ",".join("?" * len(row))), list(row.values()))
        if KEYS[table] == ["a", "b"]:
            new = self.rows(table, "a = ? AND b = ?", (row["a"], row["b"]))
        else:
            new = self.rows(table, "rowid = ?", (cursor.lastrowid,))
        self.note(table, "insert", None, new[0])

    def update(self, table, assignment, values, where, names):
        """Of rows whose key stays, in the order of the key."""
        old = self.rows(table, where, names)
        self.db.execute("UPDATE %s SET %s WHERE %s" % (quote(table), assignment, where), list(values) + list(names))
        for row in old:
            self.note(table, "update", row, self.same(table, row))

    def same(self, table, row):
        keys = KEYS[table]
        found = self.rows(table, " AND ".join("%s = ?" % quote(k) for k in keys), [row[k] for k in keys])
        return found[0]

    def delete(self, table, where="1", names=()):
        old = self.rows(table, where, names)
        # Without WHERE SQLite would take a short cut, if no trigger stood there.
        self.db.execute("DELETE FROM %s%s" % (quote(table), "" if where == "1" else " WHERE " + where), names)
        for row in old:
            self.note(table, "delete", row, None)

    def value(self):
        return self.random.choice(VALUES)

    def any_id(self, table, column="id"):
        found = self.db.execute("SELECT %s FROM %s ORDER BY random() LIMIT 1" % (quote(column), quote(table))).fetchone()
        return found[0] if found else None

    # What applications do.

    def plain_insert(self):
        for _ in range(self.random.choice((1, 1, 5))):
            self.insert("plain", {"name": self.random.choice(NAMES), "n": self.value(), "data": self.value()})

    def plain_update(self):
        low = self.any_id("plain")
        if low is not None:
            self.update("plain", "n = ?, data = ?", (self.value(), self.value()), "id BETWEEN ? AND ?",
                        (low, low + self.random.choice((0, 0, 4))))

    def plain_same(self):
        self.update("plain", "name = name", (), "id = ?", (self.any_id("plain"),))

    def plain_delete(self):
        low = self.any_id("plain")
        if low is not None:
            self.delete("plain", "id BETWEEN ? AND ?", (low, low + self.random.choice((0, 0, 6))))

    def plain_key(self):
        old = self.rows("plain", "id = ?", (self.any_id("plain"),))
        if not old:
            return
        fresh = self.db.execute("SELECT max(id) + 7 FROM plain").fetchone()[0]
        self.db.execute("UPDATE plain SET id = ? WHERE id = ?", (fresh, old[0]["id"]))
        self.note("plain", "update", old[0], self.rows("plain", "id = ?", (fresh,))[0])

    def hostile(self):
        if self.random.random() < 0.6:
            self.insert(HOSTILE, {"select": self.value(), HOSTILE_COLUMN: self.value()})
            return
        where, names = '"id\'" = ?', (self.any_id(HOSTILE, "id'"),)
        if self.random.random() < 0.5:
            self.update(HOSTILE, "%s = ?" % quote(HOSTILE_COLUMN), (self.value(),), where, names)
        else:
            self.delete(HOSTILE, where, names)

    def pair(self):
        a, b = self.random.choice(NAMES), self.random.randrange(6)
        there = self.rows("pair", "a = ? AND b = ?", (a, b))
        if not there:
            self.insert("pair", {"a": a, "b": b, "v": self.value()})
        elif self.random.random() < 0.4:
            self.update("pair", "v = ?", (self.value(),), "a = ? AND b = ?", (a, b))
        elif self.random.random() < 0.5:
            self.delete("pair", "a = ? AND b = ?", (a, b))
        elif not self.rows("pair", "a = ? AND b = ?", (a, b + 10)):
            self.db.execute("UPDATE pair SET b = b + 10 WHERE a = ? AND b = ?", (a, b))
            self.note("pair", "update", there[0], self.rows("pair", "a = ? AND b = ?", (a, b + 10))[0])

    def uniq_row(self):
        return {"id": self.random.randrange(1, 12), "email": self.random.choice(NAMES),
                "slot": self.random.randrange(-1, 6), "v": self.value()}

    def uniq_replaced(self, row, but=None):
        """The rows that would make way for `row`."""
        return [r for r in self.rows("uniq", "id = ? OR email = ? OR (slot = ? AND slot > 0 AND ? > 0)",
                                     (row["id"], row["email"], row["slot"], row["slot"])) if r["id"] != but]

    def note_replaced(self, rows):
        self.group += 1
        for row in rows:
            self.note("uniq", "delete", row, None, self.group)

    def uniq_replace(self):
        row = self.uniq_row()
        self.note_replaced(self.uniq_replaced(row))
        words = self.random.choice(("REPLACE", "INSERT OR REPLACE"))
        self.insert("uniq", row, words)

    def uniq_upsert(self):
        row = self.uniq_row()
        same = self.rows("uniq", "email = ?", (row["email"],))
        others = [r for r in self.uniq_replaced(row) if not same or r["id"] != same[0]["id"]]
        if others:
            return
        self.db.execute("INSERT INTO uniq(id, email, slot, v) VALUES(?, ?, ?, ?)"
                        " ON CONFLICT(email) DO UPDATE SET v = excluded.v", list(row.values()))
        if same:
            self.note("uniq", "update", same[0], self.same("uniq", same[0]))
        else:
            self.note("uniq", "insert", None, self.same("uniq", row))

    def uniq_ignore(self):
        row = self.uniq_row()
        if self.uniq_replaced(row):
            self.db.execute("INSERT OR IGNORE INTO uniq(id, email, slot, v) VALUES(?, ?, ?, ?)", list(row.values()))
        else:
            self.insert("uniq", row, "INSERT OR IGNORE")
        self.update("uniq", "v = ?", (self.value(),), "id = ?", (row["id"],))

    def uniq_refused(self):
        row = self.uniq_row()
        if self.uniq_replaced(row):
            try:
                self.insert("uniq", row)
            except sqlite3.IntegrityError:
                return
            raise AssertionError("a conflict was let in")

    def uniq_update(self):
        old = self.rows("uniq", "id = ?", (self.any_id("uniq"),))
        if not old:
            return
        row = dict(self.uniq_row(), id=old[0]["id"])
        self.note_replaced(self.uniq_replaced(row, old[0]["id"]))
        self.db.execute("UPDATE OR REPLACE uniq SET email = ?, slot = ?, v = ? WHERE id = ?",
                        (row["email"], row["slot"], row["v"], row["id"]))
        self.note("uniq", "update", old[0], self.same("uniq", row))

    def uniq_delete(self):
        self.delete("uniq", "id = ?", (self.any_id("uniq"),))

    def family(self):
        self.insert("parent", {"v": self.value()})
        parent = self.rows("parent")[-1]["id"]
        for _ in range(self.random.randrange(4)):
            self.insert("child", {"v": self.value(), "parent": parent})

    def family_end(self):
        parent = self.any_id("parent")
        children = self.rows("child", "parent = ?", (parent,))
        old = self.rows("parent", "id = ?", (parent,))
        self.db.execute("DELETE FROM parent WHERE id = ?", (parent,))
        for row in children:
            self.note("child", "delete", row, None)
        for row in old:
            self.note("parent", "delete", row, None)

    def family_moves(self):
        old = self.rows("parent", "id = ?", (self.any_id("parent"),))
        if not old:
            return
        fresh = self.db.execute("SELECT max(id) + 3 FROM parent").fetchone()[0]
        children = self.rows("child", "parent = ?", (old[0]["id"],))
        self.db.execute("UPDATE parent SET id = ? WHERE id = ?", (fresh, old[0]["id"]))
        for row in children:
            self.note("child", "update", row, self.same("child", row))
        self.note("parent", "update", old[0], self.rows("parent", "id = ?", (fresh,))[0])

    def touch(self):
        if self.random.random() < 0.5:
            self.insert("touched", {"v": self.value()})
            return
        old = self.rows("touched", "id = ?", (self.any_id("touched"),))
        if not old:
            return
        self.db.execute("UPDATE touched SET v = ? WHERE id = ?", (self.value(), old[0]["id"]))
        new = self.same("touched", old[0])
        middle = dict(new, touches=old[0]["touches"])
        self.note("touched", "update", old[0], middle)
        self.note("touched", "update", middle, new)

    def keyless(self):
        if self.random.random() < 0.7:
            self.insert("keyless", {"a": self.random.choice(NAMES), "b": self.value()})
            return
        old = self.rows("keyless", "a = ?", (self.random.choice(NAMES),))
        if old:
            name = old[0]["a"]
            self.db.execute("UPDATE keyless SET b = 'same' WHERE a = ?", (name,))
            for row in old:
                self.note("keyless", "update", row, dict(row, b="same"))

    def sweep(self):
        self.delete(self.random.choice(("keyless", "touched", "pair", "uniq", HOSTILE)))

    def savepoint(self):
        self.db.execute("SAVEPOINT inner")
        before = len(self.changes)
        self.step()
        if self.random.random() < 0.5:
            self.db.execute("ROLLBACK TO inner")
            del self.changes[before:]
        self.db.execute("RELEASE inner")

    MENU = (plain_insert,) * 6 + (plain_update,) * 5 + (plain_same, plain_delete, plain_delete, plain_key) + \
        (hostile,) * 4 + (pair,) * 5 + (uniq_replace,) * 5 + (uniq_upsert,) * 3 + (uniq_update,) * 4 + \
        (uniq_ignore,) * 2 + (uniq_refused, uniq_delete) + (family,) * 3 + (family_end, family_moves) + \
        (touch,) * 4 + (keyless,) * 3 + (sweep,) + (savepoint,) * 3

    def step(self):
        self.random.choice(self.MENU)(self)

    def bulk(self, rows, size):
        start = self.db.execute("SELECT coalesce(max(id), 0) FROM bulk").fetchone()[0]
        pad = "%032x" % self.random.getrandbits(128)
        for i in range(rows):
            # Long ones do not compress, so that they fill segments.
            text = (pad + str(i)) * (size // 34) if size < ledger.LONG else self.random.randbytes(size // 2).hex()
            row = (start + i + 1, text, i)
            self.db.execute("INSERT INTO bulk(id, pad, n) VALUES(?, ?, ?)", row)
            self.note("bulk", "insert", None, dict(zip(("id", "pad", "n"), row)))


if __name__ == "__main__":
    Writer(sys.argv[1:]).run()
