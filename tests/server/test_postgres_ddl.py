#!/usr/bin/env python3
"""Changes of PostgreSQL's tables: derived from what the next row shows, or told by an event trigger with the
statement; each once, at its place, whatever was killed when."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import pq  # noqa: E402
from harness.pgshop import line, run_cases  # noqa: E402


def derived(shop):
    """Columns that come, go, are renamed and retyped; told of before the next row, once."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY, a int, b text)")
    shop.start()
    shop.sql("INSERT INTO t VALUES(1, 1, 'x')", "ALTER TABLE t ADD COLUMN c int DEFAULT 7", "ALTER TABLE t ADD COLUMN d date",
             "INSERT INTO t VALUES(2)", "UPDATE t SET a = 3 WHERE id = 1", "ALTER TABLE t DROP COLUMN b", "UPDATE t SET a = 4 WHERE id = 1",
             "ALTER TABLE t RENAME a TO renamed", "INSERT INTO t VALUES(3, 3)", "ALTER TABLE t ALTER renamed TYPE numeric(10, 2)",
             "INSERT INTO t VALUES(4, 4.5)", "ALTER TABLE t ALTER renamed TYPE numeric(12, 2)", "INSERT INTO t VALUES(5, 5)",
             "ALTER TABLE t ALTER c SET NOT NULL, ALTER c SET DEFAULT 1", "CREATE INDEX ON t(c)", "COMMENT ON TABLE t IS 'x'",
             "ANALYZE t", "INSERT INTO t VALUES(6)", "ALTER TABLE t ADD x int", "ALTER TABLE t DROP x", "INSERT INTO t VALUES(7)")
    events = shop.expect(
        'insert t {"id":1,"a":1,"b":"x"}', 'ddl t alter added c,d', 'insert t {"id":2,"a":null,"b":null,"c":7,"d":null}',
        'update t {"id":1,"a":3,"b":"x","c":7,"d":null}', 'ddl t alter removed b', 'update t {"id":1,"a":4,"c":7,"d":null}',
        'ddl t alter added renamed removed a', 'insert t {"id":3,"renamed":3,"c":7,"d":null}', 'ddl t alter retyped renamed',
        'insert t {"id":4,"renamed":"4.50","c":7,"d":null}', 'ddl t alter retyped renamed',
        'insert t {"id":5,"renamed":"5.00","c":7,"d":null}', 'insert t {"id":6,"renamed":null,"c":1,"d":null}',
        'insert t {"id":7,"renamed":null,"c":1,"d":null}')
    shop.check("place", events[1]["position"], events[2]["position"] + "-d1")
    shop.check("transaction", events[1]["tx"]["id"], events[2]["tx"]["id"])


def inside(shop):
    """In one transaction, between its rows; what is rolled back is not told."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY, a int)")
    shop.start()
    shop.sql("BEGIN; INSERT INTO t VALUES(1, 1); ALTER TABLE t ADD b int; INSERT INTO t VALUES(2, 2, 2); ALTER TABLE t RENAME TO u;"
             " UPDATE u SET a = 0 WHERE id = 1; SAVEPOINT s; ALTER TABLE u DROP a; INSERT INTO u VALUES(3, 3); ROLLBACK TO s;"
             " INSERT INTO u VALUES(4, 4, 4); COMMIT",
             "BEGIN; ALTER TABLE u ADD never int; INSERT INTO u VALUES(9); ROLLBACK", "INSERT INTO u VALUES(5, 5, 5)")
    events = shop.expect(
        'insert t {"id":1,"a":1}', 'ddl t alter added b', 'insert t {"id":2,"a":2,"b":2}', 'ddl u rename',
        'update u {"id":1,"a":0,"b":null}', 'insert u {"id":4,"a":4,"b":4}', 'insert u {"id":5,"a":5,"b":5}')
    shop.check("places", [e["position"].partition("-")[2] for e in events], ["0", "1-d1", "1", "2-d1", "2", "3", "0"])


def over_restarts(shop):
    """Not told again after a restart or a kill, nor forgotten; in the form of the row's time."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY, a int)", "CREATE TABLE u(id int PRIMARY KEY)")
    shop.start()
    shop.sql("INSERT INTO t VALUES(1, 1)", "INSERT INTO u VALUES(1)", "ALTER TABLE t ADD b int", "INSERT INTO t VALUES(2, 2, 2)")
    want = ['insert t {"id":1,"a":1}', 'insert u {"id":1}', 'ddl t alter added b', 'insert t {"id":2,"a":2,"b":2}']
    shop.expect(*want)
    for kill in (False, True):
        shop.restart(kill=kill)
        shop.sql("INSERT INTO t VALUES(3, 3, 3)", "DELETE FROM t WHERE id = 3")
        want += ['insert t {"id":3,"a":3,"b":3}', 'delete t old {"id":3}']
        shop.expect(*want)
    for kill, column in ((False, "c"), (True, "d")):
        shop.sql("ALTER TABLE t ADD %s int" % column)
        shop.workspace.kill() if kill else shop.workspace.stop()
        shop.sql("INSERT INTO t(id) VALUES(4)", "ALTER TABLE t DROP %s" % column, "DELETE FROM t WHERE id = 4",
                 "ALTER TABLE t ADD later int", "ALTER TABLE t DROP later")
        shop.workspace.start()
        want += ['ddl t alter added ' + column, 'insert t {"id":4,"a":null,"b":null,"%s":null}' % column, 'ddl t alter removed ' + column,
                 'delete t old {"id":4}']
        shop.expect(*want)
    shop.sql("ALTER TABLE t RENAME TO v")
    shop.workspace.kill()
    shop.sql("INSERT INTO v VALUES(5, 5, 5)")
    shop.workspace.start()
    shop.expect(*want, 'ddl v rename', 'insert v {"id":5,"a":5,"b":5}')


def killed_between(shop):
    """Killed after the ddl was emitted and before its row is: both are there once."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY, a int)")
    shop.start()
    shop.sql("INSERT INTO t VALUES(0, 0)")
    shop.expect('insert t {"id":0,"a":0}')
    want = ['insert t {"id":0,"a":0}']
    for number, point in enumerate(("source.before_give:1", "journal.before_sync:1", "source.before_confirm:1", "source.mid_batch:1"), 1):
        shop.workspace.stop()
        shop.sql("ALTER TABLE t ADD c%d int" % number, "INSERT INTO t VALUES(%d, 0)" % number, "DELETE FROM t WHERE id = %d" % number)
        shop.workspace.start(fault=point, wait=False)
        shop.check("killed at " + point, shop.workspace.wait_end(15), True)
        shop.workspace.start()
        nulls = "".join(',"c%d":null' % i for i in range(1, number + 1))
        want += ['ddl t alter added c%d' % number, 'insert t {"id":%d,"a":0%s}' % (number, nulls), 'delete t old {"id":%d}' % number]
        shop.expect(*want)


def generated(shop):
    """Stored generated columns are sent from 18 on; before, they are not there at all."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED)")
    shop.start()
    shop.sql("INSERT INTO t VALUES(1, 2)", "ALTER TABLE t ADD b int", "UPDATE t SET a = 4")
    has = shop.server.version >= 18
    shop.expect('insert t {"id":1,"a":2%s}' % (',"twice":4' if has else ""), 'ddl t alter added b',
                'update t {"id":1,"a":4%s,"b":null}' % (',"twice":8' if has else ""))


def types_gone(shop):
    """A type that is dropped while rows of it are in the log: the server's text."""
    shop.sql("CREATE TYPE mood AS ENUM('good', 'bad')", "CREATE DOMAIN posint AS int CHECK(VALUE > 0)", "CREATE TYPE pair AS (a int, b text)",
             "CREATE TABLE t(id int PRIMARY KEY)")
    shop.start()
    shop.sql("INSERT INTO t VALUES(1)")
    shop.expect('insert t {"id":1}')
    shop.workspace.stop()
    shop.sql("ALTER TABLE t ADD m mood, ADD d posint, ADD p pair, ADD ms mood[]",
             "INSERT INTO t VALUES(2, 'good', 5, '(1,\"x y\")', '{good,bad}')",
             "ALTER TABLE t DROP m, DROP d, DROP p, DROP ms", "DROP TYPE mood", "DROP DOMAIN posint", "DROP TYPE pair", "INSERT INTO t VALUES(3)")
    shop.workspace.start()
    shop.expect('insert t {"id":1}', 'ddl t alter added m,d,p,ms',
                'insert t {"id":2,"m":"good","d":"5","p":"(1,\\"x y\\")","ms":"{good,bad}"}', 'ddl t alter removed m,d,p,ms',
                'insert t {"id":3}')


# ddl = "trigger".

def told(shop):
    """Each statement with its text at its place; the relation does not tell it again."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY, a int)", "CREATE TABLE hidden(id int PRIMARY KEY)")
    shop.start(ddl="trigger", exclude=["hidden"])
    shop.sql("INSERT INTO t VALUES(1, 1)", "ALTER TABLE t ADD COLUMN b int", "INSERT INTO t VALUES(2, 2, 2)", "ALTER TABLE hidden ADD x int",
             "ALTER TABLE t DROP COLUMN b", "ALTER TABLE t ADD c text", "INSERT INTO t VALUES(3, 3, 'c')",
             "BEGIN; INSERT INTO t VALUES(4, 4); ALTER TABLE t ALTER a TYPE bigint; INSERT INTO t VALUES(5, 5); COMMIT",
             "BEGIN; ALTER TABLE t ADD never int; ROLLBACK", "ALTER TABLE t RENAME TO u", "INSERT INTO u VALUES(6, 6)")
    want = ['insert t {"id":1,"a":1}', 'ddl t alter added b <ALTER TABLE t ADD COLUMN b int>', 'insert t {"id":2,"a":2,"b":2}',
            'ddl t alter removed b <ALTER TABLE t DROP COLUMN b>', 'ddl t alter added c <ALTER TABLE t ADD c text>',
            'insert t {"id":3,"a":3,"c":"c"}', 'insert t {"id":4,"a":4,"c":null}',
            'ddl t alter retyped a <BEGIN; INSERT INTO t VALUES(4, 4); ALTER TABLE t ALTER a TYPE bigint; INSERT INTO t VALUES(5, 5); COMMIT>',
            'insert t {"id":5,"a":5,"c":null}', 'ddl u rename <ALTER TABLE t RENAME TO u>', 'insert u {"id":6,"a":6,"c":null}']
    got = shop.wait_line('insert u {"id":6,"a":6,"c":null}')
    shop.check("events", [line(e) for e in got], want)
    shop.check_sound(got)
    shop.restart(kill=True)
    shop.sql("INSERT INTO u VALUES(7, 7)", "ALTER TABLE u ADD z int", "CREATE INDEX u_z ON u(z)", "INSERT INTO u VALUES(8, 8)")
    shop.wait_line('insert u {"id":8,"a":8,"c":null,"z":null}')
    shop.check("after a restart", [line(e) for e in shop.events()[len(got):]],
               ['insert u {"id":7,"a":7,"c":null}', 'ddl u alter added z <ALTER TABLE u ADD z int>',
                'insert u {"id":8,"a":8,"c":null,"z":null}'])


def told_tables(shop):
    """CREATE TABLE and DROP TABLE, partitions as their root."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY)")
    shop.start(ddl="trigger", messages=False)
    shop.sql("CREATE TABLE fresh(id int PRIMARY KEY, v text)", "CREATE TEMP TABLE temporary(id int)", "CREATE TABLE made AS SELECT 1 AS x",
             "SELECT 2 AS y INTO into_it", "CREATE SCHEMA s CREATE TABLE inner_one(id int)", "DROP TABLE fresh, made",
             "DROP SCHEMA s CASCADE", "INSERT INTO t VALUES(1)")
    got = shop.wait_line('insert t {"id":1}')
    shop.check("events", [line(e) for e in got], [
        'ddl fresh create added id,v <CREATE TABLE fresh(id int PRIMARY KEY, v text)>',
        'ddl made create added x <CREATE TABLE made AS SELECT 1 AS x>', 'ddl into_it create added y <SELECT 2 AS y INTO into_it>',
        'ddl s.inner_one create added id <CREATE SCHEMA s CREATE TABLE inner_one(id int)>', 'ddl fresh drop removed id,v <DROP TABLE fresh, made>',
        'ddl made drop removed x <DROP TABLE fresh, made>', 'ddl s.inner_one drop removed id <DROP SCHEMA s CASCADE>',
        'insert t {"id":1}'])
    shop.check_sound(got)


def told_never_fails(shop):
    """A user's DDL works, whoever runs it, and whatever is in its way; also when the daemon is gone for good."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY)", "CREATE SCHEMA mine", "CREATE ROLE plain LOGIN PASSWORD 'p'",
             "GRANT ALL ON SCHEMA mine TO plain")
    shop.start(ddl="trigger")
    with pq.connect(shop.server.conninfo("plain", "p", shop.name, host="127.0.0.1", sslmode="disable")) as db:
        db.execute("SET search_path = mine")
        db.execute("CREATE FUNCTION current_query() RETURNS text LANGUAGE sql AS 'SELECT (1/0)::text'")
        db.execute("SET search_path = mine, pg_catalog")
        db.execute("CREATE TABLE theirs(id int)")
        db.execute("ALTER TABLE theirs ADD v text DEFAULT $$it's \"\\ ü$$ || chr(10)")
        db.execute("DROP TABLE theirs")
        db.execute("CREATE TABLE long(v text DEFAULT '%s')" % ("x" * 300000))
    shop.sql("SET client_encoding = 'LATIN1'", "ALTER TABLE t ADD latin text DEFAULT '\udce9'")
    shop.workspace.kill()
    shop.sql("ALTER TABLE t ADD more int", "INSERT INTO t VALUES(1)")
    shop.workspace.start()
    got = shop.wait_line('insert t {"id":1,"latin":"é","more":null}')
    shop.check("ddl", [line(e)[:40] for e in got if e["op"] == "ddl" and e["table"] != "long"],
               ["ddl mine.theirs create added id <CREATE ", "ddl mine.theirs alter added v <ALTER TAB", "ddl mine.theirs drop removed id,v <DROP ",
                "ddl t alter <ALTER TABLE t ADD latin tex", "ddl t alter added more <ALTER TABLE t AD"])
    shop.check("a long one", [len(e["ddl"]["sql"]) for e in got if e["op"] == "ddl" and e["table"] == "long"], [65536])
    shop.check_sound(got)


def told_twice_installed(shop):
    """Two sources with triggers of their own, and one without: each tells of a statement once."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY)")
    other, third = shop.other("other"), shop.other("third")
    other.configure({"shop": shop.source(ddl="trigger")}, {})
    other.start()
    third.configure({"shop": shop.source()}, {})
    third.start()
    shop.start(ddl="trigger")
    shop.sql("INSERT INTO t VALUES(0)", "ALTER TABLE t ADD a int", "INSERT INTO t VALUES(1, 1)", "CREATE TABLE u(id int)", "DROP TABLE u", "INSERT INTO t VALUES(2, 2)")
    got = shop.wait_line('insert t {"id":2,"a":2}')
    want = ['insert t {"id":0}', 'ddl t alter added a <ALTER TABLE t ADD a int>', 'insert t {"id":1,"a":1}', 'ddl u create added id <CREATE TABLE u(id int)>',
            'ddl u drop removed id <DROP TABLE u>', 'insert t {"id":2,"a":2}']
    shop.check("events", [line(e) for e in got], want)
    shop.check("of the other", [line(e) for e in other.events()], want)
    shop.check("of the one without", [line(e) for e in third.events()],
               ['insert t {"id":0}', 'ddl t alter added a', 'insert t {"id":1,"a":1}', 'insert t {"id":2,"a":2}'])


def told_partitions(shop):
    """What is done to a partition is told of its root; a new partition is no new table."""
    shop.sql("CREATE TABLE p(id int PRIMARY KEY) PARTITION BY RANGE(id)", "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)")
    shop.start(ddl="trigger")
    shop.sql("INSERT INTO p VALUES(1)", "ALTER TABLE p ADD v int", "INSERT INTO p VALUES(2)", "ALTER TABLE p1 ALTER v SET DEFAULT 7",
             "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (9) TO (20)", "INSERT INTO p VALUES(10)")
    got = shop.wait_line('insert p {"id":10,"v":null}')
    shop.check("events", [line(e) for e in got if e["op"] != "gap" and "partitions" not in line(e)], [
        'insert p {"id":1}', 'ddl p alter added v <ALTER TABLE p ADD v int>', 'insert p {"id":2,"v":null}',
        'ddl p alter <ALTER TABLE p1 ALTER v SET DEFAULT 7>',
        'ddl p alter <CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (9) TO (20)>', 'insert p {"id":10,"v":null}'])


TYPES = ("smallint, bigint, numeric(10,2), numeric, real, double precision, money, varchar(5), varchar, char(3), text, bytea, boolean, date,"
         " time(3), timetz, timestamp(3), timestamptz, interval year to month, interval(2), uuid, json, jsonb, xml, inet, bit(3), bit varying(4),"
         " int[], numeric(5,1)[], varchar(3)[], int4range, point, tsvector, mood, posint, pair, mood[]")


def told_types(shop):
    """Types are named alike by statement and stream; excluded and generated columns are no news."""
    shop.sql("CREATE TYPE mood AS ENUM('good')", "CREATE DOMAIN posint AS int", "CREATE TYPE pair AS (a int)",
             "CREATE TABLE t(secret text, id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, %s)" % ", ".join(
                 "c%d %s" % pair for pair in enumerate(split_types(TYPES))))
    shop.start(ddl="trigger", exclude_columns=["t.secret"])
    shop.sql("INSERT INTO t(id) VALUES(1)", "ALTER TABLE t ADD x int", "INSERT INTO t(id) VALUES(2)", "ALTER TABLE t DROP secret",
             "ALTER TABLE t ALTER c2 TYPE numeric(11,2)", "INSERT INTO t(id) VALUES(3)")
    got = shop.wait_for(lambda events: [e["new"]["id"] for e in events if e["op"] == "insert"][-1:] == [3])
    shop.check("events", [e["op"] if e["op"] == "insert" else line(e) for e in got], [
        "insert", "ddl t alter added x <ALTER TABLE t ADD x int>", "insert", "ddl t alter <ALTER TABLE t DROP secret>",
        "ddl t alter retyped c2 <ALTER TABLE t ALTER c2 TYPE numeric(11,2)>", "insert"])


def split_types(text):
    """At the commas outside of parentheses."""
    out, depth = [""], 0
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            out.append("")
        else:
            out[-1] += c
    return [t.strip() for t in out]


def no_trigger_any_more(shop):
    """From ddl = "trigger" to "relation" and back, with the trigger in place all the time."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY)")
    shop.start(ddl="trigger")
    shop.sql("INSERT INTO t VALUES(1)", "ALTER TABLE t ADD a int", "INSERT INTO t VALUES(2)")
    want = ['insert t {"id":1}', 'ddl t alter added a <ALTER TABLE t ADD a int>', 'insert t {"id":2,"a":null}']
    shop.expect(*want)
    shop.restart(ddl="relation")
    shop.sql("ALTER TABLE t ADD b int", "INSERT INTO t VALUES(3)")
    events = shop.wait_line('insert t {"id":3,"a":null,"b":null}')
    told_of = [line(e) for e in events if e["op"] == "ddl"]
    shop.check("once", [t.partition(" <")[0] for t in told_of], ["ddl t alter added a", "ddl t alter added b"])
    shop.restart(ddl="trigger")
    shop.sql("ALTER TABLE t ADD c int", "INSERT INTO t VALUES(4)")
    events = shop.wait_line('insert t {"id":4,"a":null,"b":null,"c":null}')
    shop.check("and again", line(events[-2]), 'ddl t alter added c <ALTER TABLE t ADD c int>')
    shop.check("nothing more", len(events), 7)


def not_ours(shop):
    """What anybody may put into the log under our trigger's prefix harms nothing."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY)")
    shop.start(ddl="trigger")
    prefix = "tidegate.ddl." + shop.one("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tidegate%'")
    for content in ("no JSON", "[]", "{}", '{"kind":"ALTER TABLE","schema":"public","table":"t"}', '{"schema":"public","table":"t","oid":-5,'
                    '"columns":[["a"],7,["b",1],["a","x"],[]]}', '{"schema":"public","table":"t","oid":1e30,"columns":{}}',
                    '{"schema":7,"table":null}', "\xff"):
        shop.sql("SELECT pg_logical_emit_message(true, '%s', '%s'::bytea)" % (prefix, content),
                 "SELECT pg_logical_emit_message(false, '%s', '%s'::bytea)" % (prefix, content),
                 "SELECT pg_logical_emit_message(true, 'tidegate.ddl.another', '%s'::bytea)" % content)
    shop.sql("INSERT INTO t VALUES(1)")
    got = shop.wait_line('insert t {"id":1}')
    shop.check_sound(got)
    shop.check("ops", {e["op"] for e in got} <= {"insert", "ddl", "message"}, True)


run_cases([derived, inside, over_restarts, killed_between, generated, types_gone, told, told_tables, told_never_fails,
           told_twice_installed, told_partitions, told_types, no_trigger_any_more, not_ours])
