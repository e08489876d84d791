#!/usr/bin/env python3
"""Records what a real PostgreSQL sends: one frame of each kind and shape of message, as a file each.

    python3 tests/fuzz/record_pgoutput.py FOLDER [VERSION]

The corpus of fuzz_pgoutput and the bytes of test_pg_pgoutput.c were made with it.
"""
import ctypes
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import pq  # noqa: E402
from harness.servers.postgres import Postgres  # noqa: E402

SETUP = """
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE SCHEMA "We""ird; drop";
CREATE TABLE orders(id int PRIMARY KEY, status varchar(20), total numeric(12,2), note text);
ALTER TABLE orders ALTER note SET STORAGE EXTERNAL;
CREATE TABLE typed(id bigserial PRIMARY KEY, m mood, p positive, at timestamptz, raw bytea, list int[]);
CREATE TABLE whole(id int, note text);
ALTER TABLE whole REPLICA IDENTITY FULL;
ALTER TABLE whole ALTER note SET STORAGE EXTERNAL;
CREATE TABLE by_index(a int, b int NOT NULL, c text);
CREATE UNIQUE INDEX by_b ON by_index(b);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_b;
CREATE TABLE keyless(a int, b text);
CREATE TABLE none();
CREATE TABLE "We""ird; drop"."<script>"("Ключ" int, "b c" text, PRIMARY KEY("Ключ", "b c"));
CREATE TABLE parent(id int PRIMARY KEY);
CREATE TABLE child(id serial PRIMARY KEY, parent int REFERENCES parent);
CREATE PUBLICATION rows FOR TABLE orders, typed, whole, by_index, "We""ird; drop"."<script>", parent, child;
CREATE PUBLICATION inserts FOR TABLE keyless, none WITH (publish = 'insert, truncate');
SELECT pg_create_logical_replication_slot('s', 'pgoutput');
SELECT pg_replication_origin_create('far away');
"""

STEPS = """
INSERT INTO orders VALUES(1, 'new', 12.50, repeat('long ', 1000)), (2, NULL, NULL, '')
UPDATE orders SET status = 'paid' WHERE id = 1
UPDATE orders SET id = 7 WHERE id = 2
DELETE FROM orders WHERE id = 7
INSERT INTO typed(m, p, at, raw, list) VALUES('glad', 3, '2026-01-02 03:04:05.678Z', '\\x00ff', '{1,NULL,3}')
INSERT INTO whole VALUES(1, repeat('x', 3000)), (NULL, NULL)
UPDATE whole SET id = 2 WHERE id = 1
INSERT INTO whole VALUES(3, 'short'); UPDATE whole SET note = NULL WHERE id = 3
DELETE FROM whole
INSERT INTO by_index VALUES(1, 2, 'c')
UPDATE by_index SET b = 3
DELETE FROM by_index
INSERT INTO keyless VALUES(1, 'no key')
INSERT INTO none DEFAULT VALUES
INSERT INTO "We""ird; drop"."<script>" VALUES(1, E'\\t''\\n</script>'); UPDATE "We""ird; drop"."<script>" SET "Ключ" = 2
INSERT INTO parent VALUES(1)
ALTER TABLE orders ADD extra int; INSERT INTO orders VALUES(9, 'x', 1, 'y', 5)
TRUNCATE by_index
TRUNCATE parent CASCADE
TRUNCATE child, whole RESTART IDENTITY
TRUNCATE parent, child RESTART IDENTITY CASCADE
SELECT pg_logical_emit_message(false, 'tidegate', 'at once')
SELECT pg_logical_emit_message(true, '', '\\x00010203'::bytea)
SELECT pg_logical_emit_message(true, 'tidegate', '{"by":"x"}'); INSERT INTO keyless VALUES(2, NULL)
SELECT pg_replication_origin_session_setup('far away'), pg_replication_origin_xact_setup('0/ABCDEF', '2026-01-01'); INSERT INTO parent VALUES(4)
"""

KINDS = {"B": "begin", "C": "commit", "O": "origin", "R": "relation", "Y": "type", "I": "insert", "U": "update",
         "D": "delete", "T": "truncate", "M": "message"}


def frames(server, seconds):
    """What the slot sends from its start, until nothing but keepalives came for a while."""
    library = ctypes.CDLL("libpq.so.5")
    library.PQgetCopyData.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_int]
    with pq.connect(server.conninfo(replication="database", options="-c wal_sender_timeout=1000")) as db:
        pq.LIBPQ.PQclear(pq.LIBPQ.PQexec(db.handle, b"START_REPLICATION SLOT s LOGICAL 0/0 (proto_version '1', "
                                                    b"publication_names 'rows,inserts', messages 'true')"))
        end, asked = time.monotonic() + seconds, False
        while time.monotonic() < end and not asked:
            at = ctypes.c_void_p()
            size = library.PQgetCopyData(db.handle, ctypes.byref(at), 1)
            if size > 0:
                frame = ctypes.string_at(at, size)
                pq.LIBPQ.PQfreemem(at)
                asked = frame[:1] == b"k" and frame[-1] == 1
                yield frame
            elif size == 0:
                time.sleep(0.01)
                library.PQconsumeInput(ctypes.c_void_p(db.handle))
            else:
                raise SystemExit("the stream ended")


def main():
    folder, version = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 15
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as temp, Postgres(os.path.join(temp, "pg"), version) as server:
        with server.admin() as db:
            for statement in SETUP.strip().split(";\n"):
                db.execute(statement)
            for line in STEPS.strip().split("\n"):
                db.execute("BEGIN")
                db.execute(line)
                db.execute("COMMIT")
        for number, frame in enumerate(frames(server, 10)):
            name = KINDS.get(chr(frame[25]), "unknown") if frame[:1] == b"w" else "keepalive"
            with open(os.path.join(folder, "%s-%03d" % (name, number)), "wb") as out:
                out.write(frame)


if __name__ == "__main__":
    main()
