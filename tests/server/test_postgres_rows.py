#!/usr/bin/env python3
"""Rows of PostgreSQL: what each replica identity leaves of the old one and of the key, values that the
log leaves out, columns that stay out, rows that are too big."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.daemon import wait_until  # noqa: E402
from harness.pgshop import line, run_cases  # noqa: E402

BIG = "0123456789" * 400  # above the size from which a value is stored by itself


def identity_default(shop):
    """The log has the key alone, and of the old row only a key that changed."""
    shop.sql("CREATE TABLE t(v text, b int, a int, PRIMARY KEY(a, b))")
    shop.start()
    shop.sql("INSERT INTO t VALUES('x', 2, 1), (NULL, 4, 3)", "UPDATE t SET v = 'y' WHERE a = 1", "UPDATE t SET b = 5 WHERE a = 1",
             "DELETE FROM t WHERE a = 1")
    events = shop.expect(
        'insert t {"v":"x","b":2,"a":1}', 'insert t {"v":null,"b":4,"a":3}', 'update t {"v":"y","b":2,"a":1}',
        'update t {"v":"y","b":5,"a":1} old {"b":2,"a":1}', 'delete t old {"b":5,"a":1}')
    shop.check("keys", [list(e["key"].items()) for e in events],
               [[("a", 1), ("b", 2)], [("a", 3), ("b", 4)], [("a", 1), ("b", 2)], [("a", 1), ("b", 5)], [("a", 1), ("b", 5)]])
    shop.check("changed", [e.get("changed", "none") for e in events], ["none", "none", None, None, "none"])


def identity_full(shop):
    """Old rows are whole; the key is the primary key all the same."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY, v text); ALTER TABLE t REPLICA IDENTITY FULL",
             "CREATE TABLE bare(a int, b int); ALTER TABLE bare REPLICA IDENTITY FULL")
    shop.start()
    shop.sql("INSERT INTO t VALUES(1, 'a')", "UPDATE t SET v = 'b'", "UPDATE t SET v = 'b'", "UPDATE t SET id = 2, v = NULL",
             "DELETE FROM t", "INSERT INTO bare VALUES(1, NULL)", "UPDATE bare SET b = 2", "DELETE FROM bare")
    events = shop.expect(
        'insert t {"id":1,"v":"a"}', 'update t {"id":1,"v":"b"} old {"id":1,"v":"a"}',
        'update t {"id":1,"v":"b"} old {"id":1,"v":"b"}', 'update t {"id":2,"v":null} old {"id":1,"v":"b"}',
        'delete t old {"id":2,"v":null}', 'insert bare {"a":1,"b":null}', 'update bare {"a":1,"b":2} old {"a":1,"b":null}',
        'delete bare old {"a":1,"b":2}')
    shop.check("keys", [e["key"] for e in events], [{"id": 1}, {"id": 1}, {"id": 1}, {"id": 2}, {"id": 2}, None, None, None])
    shop.check("changed", [e.get("changed", "none") for e in events],
               ["none", ["v"], "none", ["id", "v"], "none", "none", ["b"], "none"])


def identity_index(shop):
    """Another unique index than the primary key names the rows."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY, code text NOT NULL, v int); CREATE UNIQUE INDEX t_code ON t(code);"
             " ALTER TABLE t REPLICA IDENTITY USING INDEX t_code")
    shop.start()
    shop.sql("INSERT INTO t VALUES(1, 'a', 0)", "UPDATE t SET id = 2", "UPDATE t SET code = 'b'", "DELETE FROM t")
    events = shop.expect(
        'insert t {"id":1,"code":"a","v":0}', 'update t {"id":2,"code":"a","v":0}',
        'update t {"id":2,"code":"b","v":0} old {"code":"a"}', 'delete t old {"code":"b"}')
    shop.check("keys", [e["key"] for e in events], [{"code": "a"}, {"code": "a"}, {"code": "b"}, {"code": "b"}])


def keyless(shop):
    """Nothing names the rows: inserts and truncates come, and the owner's UPDATE and DELETE work."""
    shop.sql("CREATE TABLE bare(a int, b int)",
             "CREATE TABLE nothing(id int PRIMARY KEY, v int); ALTER TABLE nothing REPLICA IDENTITY NOTHING",
             "CREATE TABLE lazy(id int PRIMARY KEY DEFERRABLE, v int)")
    shop.start()
    for table in ("bare", "nothing", "lazy"):
        shop.sql("INSERT INTO %s VALUES(1, 2), (3, 4)" % table, "UPDATE %s SET %s = 7" % (table, "b" if table == "bare" else "v"),
                 "DELETE FROM %s" % table, "INSERT INTO %s VALUES(5, 6)" % table, "TRUNCATE %s" % table)
    events = shop.expect(
        'insert bare {"a":1,"b":2}', 'insert bare {"a":3,"b":4}', 'insert bare {"a":5,"b":6}', 'truncate bare',
        'insert nothing {"id":1,"v":2}', 'insert nothing {"id":3,"v":4}', 'insert nothing {"id":5,"v":6}', 'truncate nothing',
        'insert lazy {"id":1,"v":2}', 'insert lazy {"id":3,"v":4}', 'insert lazy {"id":5,"v":6}', 'truncate lazy')
    shop.check("keys", [e["key"] for e in events if e["op"] == "insert"],
               [None] * 3 + [{"id": 1}, {"id": 3}, {"id": 5}] + [None] * 3)


def key_comes_and_goes(shop):
    """Within one look at the catalog the table goes from one publication to the other."""
    shop.sql("CREATE TABLE t(id int, v int)")
    shop.start()
    shop.sql("ALTER TABLE t ADD PRIMARY KEY(id)", "INSERT INTO t VALUES(1, 1)")

    def published(how):
        return shop.one("SELECT count(*) FROM pg_publication_tables t JOIN pg_publication p USING (pubname)"
                        " WHERE t.tablename = 't' AND pubupdate = %s", how) == "1"
    shop.check("it is among the keyed ones", bool(wait_until(lambda: published(True), 13, 0.1)), True)
    shop.sql("UPDATE t SET v = 2", "ALTER TABLE t DROP CONSTRAINT t_pkey")
    shop.check("it is among the keyless ones", bool(wait_until(lambda: published(False) and not published(True), 13, 0.1)), True)
    shop.sql("UPDATE t SET v = 3", "INSERT INTO t VALUES(2, 2)")
    events = shop.wait_line('insert t {"id":2,"v":2}')
    shop.check("rows", [(e["op"], e["new"]) for e in events if e["op"] != "ddl"],
               [("insert", {"id": 1, "v": 1}), ("update", {"id": 1, "v": 2}), ("insert", {"id": 2, "v": 2})])
    shop.check_sound(events)


def old_values(shop):
    """With old_values = "full" the tables are altered, later ones and partitions too."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY, v int)", "CREATE TABLE bare(a int)",
             "CREATE TABLE p(id int PRIMARY KEY, v int) PARTITION BY RANGE(id);"
             " CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
             " CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)")
    shop.start(old_values="full")

    def full(*tables):
        return int(shop.one("SELECT count(*) FROM pg_class WHERE relreplident = 'f' AND relkind IN ('r', 'p') AND"
                            " relname IN (%s)" % ",".join("'%s'" % t for t in tables))) == len(tables)
    shop.check("altered at the start", full("t", "bare", "p1", "p2"), True)
    shop.sql("INSERT INTO t VALUES(1, 1)", "UPDATE t SET v = 2", "DELETE FROM t", "INSERT INTO bare VALUES(1)",
             "UPDATE bare SET a = 2", "DELETE FROM bare", "INSERT INTO p VALUES(1, 1), (11, 1)", "UPDATE p SET v = 2", "DELETE FROM p")
    want = ['insert t {"id":1,"v":1}', 'update t {"id":1,"v":2} old {"id":1,"v":1}', 'delete t old {"id":1,"v":2}',
            'insert bare {"a":1}', 'update bare {"a":2} old {"a":1}', 'delete bare old {"a":2}',
            'insert p {"id":1,"v":1}', 'insert p {"id":11,"v":1}', 'update p {"id":1,"v":2} old {"id":1,"v":1}',
            'update p {"id":11,"v":2} old {"id":11,"v":1}', 'delete p old {"id":1,"v":2}', 'delete p old {"id":11,"v":2}']
    shop.expect(*want)
    shop.sql("CREATE TABLE later(id int PRIMARY KEY, v int)", "CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (30)")
    shop.wait_line("ddl later create added id,v")
    shop.check("altered later", bool(wait_until(lambda: full("later", "p3"), 13, 0.1)), True)
    events = shop.wait_for(lambda found: {e["op"] for e in found[len(want):]} == {"ddl", "gap"} and len(found) == len(want) + 3)
    shop.sql("INSERT INTO later VALUES(1, 1)", "UPDATE later SET v = 2", "INSERT INTO p VALUES(21, 1)", "UPDATE p SET v = 2")
    events = shop.wait_line('update p {"id":21,"v":2} old {"id":21,"v":1}')
    shop.check("rows", [(e["table"], e["new"], e["old"]) for e in events[len(want) + 3:]],
               [("later", {"id": 1, "v": 1}, None), ("later", {"id": 1, "v": 2}, {"id": 1, "v": 1}),
                ("p", {"id": 21, "v": 1}, None), ("p", {"id": 21, "v": 2}, {"id": 21, "v": 1})])


def toast(shop):
    """A big value that did not change is not in the log: "unchanged", or the old row's."""
    shop.sql("CREATE TABLE d(id int PRIMARY KEY, v int, big text, more text);"
             " ALTER TABLE d ALTER big SET STORAGE EXTERNAL; ALTER TABLE d ALTER more SET STORAGE EXTERNAL",
             "CREATE TABLE f(LIKE d INCLUDING ALL); ALTER TABLE f REPLICA IDENTITY FULL")
    shop.start()
    for table in "df":
        shop.sql("INSERT INTO %s VALUES(1, 1, '%s', '%s')" % (table, BIG, BIG), "UPDATE %s SET v = 2" % table,
                 "UPDATE %s SET more = 'm'" % table, "UPDATE %s SET id = 2" % table, "UPDATE %s SET big = NULL" % table,
                 "DELETE FROM %s" % table)
    big = '"%s"' % BIG
    events = shop.expect(
        'insert d {"id":1,"v":1,"big":%s,"more":%s}' % (big, big), 'update d {"id":1,"v":2} unchanged big,more',
        'update d {"id":1,"v":2,"more":"m"} unchanged big', 'update d {"id":2,"v":2,"more":"m"} old {"id":1} unchanged big',
        'update d {"id":2,"v":2,"big":null,"more":"m"}', 'delete d old {"id":2}',
        'insert f {"id":1,"v":1,"big":%s,"more":%s}' % (big, big),
        'update f {"id":1,"v":2,"big":%s,"more":%s} old {"id":1,"v":1,"big":%s,"more":%s}' % (big, big, big, big),
        'update f {"id":1,"v":2,"big":%s,"more":"m"} old {"id":1,"v":2,"big":%s,"more":%s}' % (big, big, big),
        'update f {"id":2,"v":2,"big":%s,"more":"m"} old {"id":1,"v":2,"big":%s,"more":"m"}' % (big, big),
        'update f {"id":2,"v":2,"big":null,"more":"m"} old {"id":2,"v":2,"big":%s,"more":"m"}' % big,
        'delete f old {"id":2,"v":2,"big":null,"more":"m"}')
    shop.check("changed", [e.get("changed", "none") for e in events if e["op"] == "update" and e["table"] == "f"],
               [["v"], ["more"], ["id"], ["big"]])


def excluded(shop):
    """Excluded columns are nowhere, be they of the key or not, in both images."""
    shop.sql("CREATE TABLE t(a int, b int, secret text, PRIMARY KEY(a, b)); ALTER TABLE t REPLICA IDENTITY FULL",
             "CREATE TABLE other(id int PRIMARY KEY, secret text, password text)",
             "CREATE TABLE allof(password text)")
    shop.start(exclude_columns=["t.secret", "t.b", "*.password"])
    shop.sql("INSERT INTO t VALUES(1, 2, 'no')", "UPDATE t SET secret = 'never'", "UPDATE t SET a = 3", "DELETE FROM t",
             "INSERT INTO other VALUES(1, 'yes', 'no')", "INSERT INTO allof VALUES('no')")
    events = shop.expect(
        'insert t {"a":1}', 'update t {"a":1} old {"a":1}', 'update t {"a":3} old {"a":1}', 'delete t old {"a":3}',
        'insert other {"id":1,"secret":"yes"}', 'insert allof {}')
    shop.check("keys", [e["key"] for e in events], [{"a": 1}, {"a": 1}, {"a": 3}, {"a": 3}, {"id": 1}, None])
    shop.workspace.stop()
    for folder, _, files in os.walk(shop.workspace.path("data")):
        for name in files:
            with open(os.path.join(folder, name), "rb") as found:
                shop.check("a secret in " + name, b"never" in found.read(), False)


def max_row(shop):
    """The big cells of a row above max_row are unknown, its small ones are there."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY, v text, big text, huge text)", "ALTER TABLE t REPLICA IDENTITY FULL")
    shop.start(max_row=1 << 20)
    shop.sql("INSERT INTO t VALUES(1, 'a', 'b', repeat('c', 2000000))", "UPDATE t SET v = 'b'", "UPDATE t SET huge = 'd'",
             "DELETE FROM t")
    events = shop.expect(
        'insert t {"id":1,"v":"a","big":"b"} unknown huge',
        'update t {"id":1,"v":"b","big":"b"} old {"id":1,"v":"a","big":"b"} unchanged huge unknown huge',
        'update t {"id":1,"v":"b","big":"b","huge":"d"} old {"id":1,"v":"b","big":"b"} unknown huge',
        'delete t old {"id":1,"v":"b","big":"b","huge":"d"}')
    shop.check("changed", [e.get("changed", "none") for e in events], ["none", ["v"], None, "none"])
    shop.check("the log says it", shop.logged("max_row is 1048576: its big cells are unknown"), True)


def identity_changes(shop):
    """From one replica identity to another: each row with what the log has of it then."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY, b int NOT NULL UNIQUE, v int)")
    shop.start()
    shop.sql("INSERT INTO t VALUES(1, 1, 1)", "ALTER TABLE t REPLICA IDENTITY FULL", "UPDATE t SET v = 2",
             "ALTER TABLE t REPLICA IDENTITY USING INDEX t_b_key", "UPDATE t SET v = 3", "UPDATE t SET b = 3",
             "ALTER TABLE t REPLICA IDENTITY DEFAULT", "UPDATE t SET id = 2", "DELETE FROM t")
    events = shop.expect(
        'insert t {"id":1,"b":1,"v":1}', 'update t {"id":1,"b":1,"v":2} old {"id":1,"b":1,"v":1}', 'ddl t alter retyped id,b',
        'update t {"id":1,"b":1,"v":3}', 'update t {"id":1,"b":3,"v":3} old {"b":1}', 'ddl t alter retyped id,b',
        'update t {"id":2,"b":3,"v":3} old {"id":1}', 'delete t old {"id":2}')
    shop.check("keys", [e["key"] for e in events],
               [{"id": 1}, {"id": 1}, None, {"b": 1}, {"b": 3}, None, {"id": 2}, {"id": 2}])


def encodings(shop):
    """Databases that are not in UTF-8: text and names are converted; what can't be is bytes."""
    for encoding in ("LATIN1", "SQL_ASCII"):
        name = "db_" + encoding.lower()
        with shop.server.admin() as db:
            db.execute("CREATE DATABASE %s ENCODING '%s' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'" % (name, encoding))
    shop.name = "db_latin1"
    shop.sql('CREATE TABLE "tàble"(id int PRIMARY KEY, "ñame" text, raw bytea, list text[])')
    sources = {"latin": shop.source()}
    shop.name = "db_sql_ascii"
    shop.sql('CREATE TABLE "tàble"(id int PRIMARY KEY, "ñame" text, list text[])')
    sources["ascii"] = shop.source()
    shop.workspace.configure(sources, {})
    shop.workspace.start()
    shop.sql("INSERT INTO \"tàble\" VALUES(1, 'é', '{é}')", "SET client_encoding = 'SQL_ASCII'", "INSERT INTO \"tàble\" VALUES(2, E'a\\xe9', '{a}')",
             "UPDATE \"tàble\" SET \"ñame\" = 'u'")
    shop.name = "db_latin1"
    shop.sql("INSERT INTO \"tàble\" VALUES(1, 'é', '\\xe9', '{é,\"ü\"}')", "SELECT pg_logical_emit_message(true, 'p', 'é')",
             "SELECT pg_logical_emit_message(true, 'tidegate', '{\"by\":\"é\"}'); DELETE FROM \"tàble\"", "INSERT INTO \"tàble\" VALUES(2)")
    events = shop.wait_for(lambda events: len(events) >= 9)
    for source, want in (
            ("ascii", ['insert tàble {"id":1,"ñame":"é","list":["é"]}', 'insert tàble {"id":2,"ñame":"Yek=","list":["a"]}',
                       'update tàble {"id":1,"ñame":"u","list":["é"]}', 'update tàble {"id":2,"ñame":"u","list":["a"]}']),
            ("latin", ['insert tàble {"id":1,"ñame":"é","raw":"6Q==","list":["é","ü"]}', 'message p "6Q=="'])):
        got = [line(e) for e in events if e["source"] == source]
        shop.check(source, got[:len(want)], want)
    shop.check("latin goes on", line([e for e in events if e["source"] == "latin"][-1]),
               'insert tàble {"id":2,"ñame":null,"raw":null,"list":null}')


def key_moves(shop):
    """Another primary key: rows have it from the first one on that was written under it, whatever was read before."""
    for table in ("f", "first"):
        shop.sql("CREATE TABLE %s(a int PRIMARY KEY, b int NOT NULL)" % table, "ALTER TABLE %s REPLICA IDENTITY FULL" % table)
    shop.sql("CREATE TABLE d(a int PRIMARY KEY, b int NOT NULL)", "CREATE TABLE pair(a int, b int, PRIMARY KEY(a, b))",
             "CREATE TABLE same(a int, b int, PRIMARY KEY(a, b)); ALTER TABLE same REPLICA IDENTITY FULL")
    shop.start()
    captured = ("f", "d", "pair", "same")
    shop.sql(*["INSERT INTO %s VALUES(1, 10)" % t for t in captured])
    shop.wait_line('insert same {"a":1,"b":10}')
    for table, key in (("f", "b"), ("d", "b"), ("pair", "b, a"), ("same", "b, a"), ("first", "b")):
        shop.sql("ALTER TABLE %s DROP CONSTRAINT %s_pkey, ADD PRIMARY KEY (%s)" % (table, table, key), "INSERT INTO %s VALUES(2, 20)" % table)
    shop.sql("UPDATE f SET a = 3 WHERE b = 20", "UPDATE f SET b = 30 WHERE b = 20")
    shop.wait_for(lambda events: any(e["new"] == {"a": 3, "b": 30} for e in events))  # the key is that of the present
    shop.sql("ALTER TABLE f DROP CONSTRAINT f_pkey", "INSERT INTO f VALUES(4, 40)")
    shop.wait_line('insert f {"a":4,"b":40}')
    shop.sql("ALTER TABLE f ADD PRIMARY KEY (a, b)", "INSERT INTO f VALUES(5, 50)")
    events = shop.wait_line('insert f {"a":5,"b":50}')
    want = {"f": [{"a": 1}, {"b": 20}, {"b": 20}, {"b": 30}, None, {"a": 5, "b": 50}], "d": [{"a": 1}, {"b": 20}], "first": [{"b": 20}],
            "pair": [{"a": 1, "b": 10}, {"b": 20, "a": 2}], "same": [{"a": 1, "b": 10}, {"b": 20, "a": 2}]}
    for table, keys in want.items():
        got = [e["key"] for e in events if e["table"] == table and e["op"] != "ddl"]
        shop.check("keys of " + table, [k and list(k.items()) for k in got], [k and list(k.items()) for k in keys])
    shop.check_sound(events)


run_cases([key_moves, key_comes_and_goes, old_values, identity_default, identity_full, identity_index, keyless, toast, excluded, max_row, identity_changes, encodings])
