#!/usr/bin/env python3
"""Transactions and logical messages of PostgreSQL: each event once, at its place, with what it has from
its transaction; also after a kill in the middle of one, and when the options are other ones then."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.daemon import Failed, wait_until  # noqa: E402
from harness.pgshop import line, run_cases  # noqa: E402


def places(events):
    """Index and last of each event, and its position behind the LSN."""
    return [(e["tx"]["index"], e["tx"]["last"], e["position"].partition("-")[2]) for e in events]


def truncates(shop):
    """One event for each table of the statement, each with a place of its own."""
    shop.sql("CREATE TABLE a(id serial PRIMARY KEY, v int)", "CREATE TABLE b(id int PRIMARY KEY, a int REFERENCES a)",
             "CREATE TABLE c(v int)", "CREATE TABLE hidden(id int PRIMARY KEY, a int REFERENCES a)")
    shop.start(exclude=["hidden"])
    shop.sql("INSERT INTO a(v) VALUES(1); TRUNCATE a, b, c, hidden; INSERT INTO c VALUES(1)")
    events = shop.expect('insert a {"id":1,"v":1}', 'truncate a', 'truncate b', 'truncate c', 'insert c {"v":1}')
    shop.check("places", places(events), [(0, False, "0"), (1, False, "1"), (2, False, "1.1"), (3, False, "1.2"), (4, True, "2")])
    shop.check("times", {e["ts"] for e in events}, {events[0]["ts"]})
    shop.sql("TRUNCATE a RESTART IDENTITY CASCADE", "INSERT INTO a(v) VALUES(2)", "TRUNCATE hidden", "TRUNCATE c")
    events = shop.expect(*map(line, events), 'truncate a', 'truncate b', 'insert a {"id":1,"v":2}', 'truncate c')
    shop.check("places", places(events[5:]), [(0, False, "0"), (1, True, "0.1"), (0, True, "0"), (0, True, "0")])


def savepoints(shop):
    """What was rolled back has neither events nor places; nor have transactions of nothing."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY)", "CREATE TABLE hidden(id int PRIMARY KEY)")
    shop.start(exclude=["hidden"])
    shop.sql("BEGIN; INSERT INTO t VALUES(1); SAVEPOINT s; INSERT INTO t VALUES(2); SELECT pg_logical_emit_message(true, 'p', 'no');"
             " TRUNCATE t; ROLLBACK TO s; INSERT INTO t VALUES(3); SAVEPOINT r; INSERT INTO t VALUES(4); RELEASE r; COMMIT",
             "BEGIN; INSERT INTO t VALUES(5); ROLLBACK", "INSERT INTO hidden VALUES(1)", "BEGIN; COMMIT", "CREATE TEMP TABLE x(i int)",
             "BEGIN; SAVEPOINT s; INSERT INTO t VALUES(6); ROLLBACK TO s; COMMIT",
             "BEGIN; INSERT INTO hidden VALUES(2); INSERT INTO t VALUES(7); INSERT INTO hidden VALUES(3); COMMIT",
             "DO $$ BEGIN INSERT INTO t VALUES(8); BEGIN INSERT INTO t VALUES(8); EXCEPTION WHEN OTHERS THEN NULL; END;"
             " INSERT INTO t VALUES(9); END $$",
             "BEGIN; INSERT INTO t VALUES(10); PREPARE TRANSACTION 'two'", "INSERT INTO t VALUES(11)", "COMMIT PREPARED 'two'")
    events = shop.expect(*['insert t {"id":%d}' % i for i in (1, 3, 4, 7, 8, 9, 11, 10)])
    shop.check("places", places(events), [(0, False, "0"), (1, False, "1"), (2, True, "2"), (0, True, "0"), (0, False, "0"),
                                          (1, True, "1"), (0, True, "0"), (0, True, "0")])


def large(shop):
    """50,000 rows of two tables in one transaction, between small ones."""
    shop.sql("CREATE TABLE a(id int PRIMARY KEY)", "CREATE TABLE b(id int PRIMARY KEY)")
    shop.start()
    shop.sql("INSERT INTO a VALUES(-1)",
             "DO $$ BEGIN FOR i IN 1..25000 LOOP INSERT INTO a VALUES(i); INSERT INTO b VALUES(i); END LOOP; END $$",
             "INSERT INTO a VALUES(-2)")
    wait_until(lambda: shop.state()["events"] >= 50002, 30, 0.2)
    events = shop.events()
    shop.check("rows", [(e["table"], e["new"]["id"]) for e in events],
               [("a", -1)] + [(t, i) for i in range(1, 25001) for t in "ab"] + [("a", -2)])
    shop.check("index", [e["tx"]["index"] for e in events], [0] + list(range(50000)) + [0])
    shop.check("last", [i for i, e in enumerate(events) if e["tx"]["last"]], [0, 50000, 50001])
    shop.check("tx", len({e["tx"]["id"] for e in events}), 3)
    shop.check("time of commit", len({e["ts"] for e in events}), 3)
    shop.check_sound(events)


def messages(shop):
    """In a transaction at its place; outside of any at once; content as it is."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY)")
    shop.start()
    shop.sql("INSERT INTO t VALUES(1); SELECT pg_logical_emit_message(true, 'app', 'one'); SELECT pg_logical_emit_message(true, 'app', '');"
             " INSERT INTO t VALUES(2); SELECT pg_logical_emit_message(true, 'ü', '{\"a\": 1}')",
             "SELECT pg_logical_emit_message(false, 'app', 'alone')",
             "BEGIN; INSERT INTO t VALUES(3); SELECT pg_logical_emit_message(false, 'app', 'from within');"
             " SELECT pg_logical_emit_message(true, 'app', 'gone'); ROLLBACK",
             "SELECT pg_logical_emit_message(true, 'app', 'by itself')",
             "SELECT pg_logical_emit_message(true, 'app', '\\xff0041'::bytea)",
             "SELECT pg_logical_emit_message(false, 'app', 'a' || chr(10) || chr(8364)), pg_logical_emit_message(false, 'app', 'b')",
             "INSERT INTO t VALUES(4)")
    events = shop.expect(
        'insert t {"id":1}', 'message app "one"', 'message app ""', 'insert t {"id":2}', 'message ü "{\\"a\\": 1}"',
        'message app "alone"', 'message app "from within"', 'message app "by itself"', 'message app "/wBB"',
        'message app "a\\n€"', 'message app "b"', 'insert t {"id":4}')
    shop.check("places", places(events[:5]), [(0, False, "0"), (1, False, "1"), (2, False, "1.1"), (3, False, "1.2"), (4, True, "2")])
    shop.check("without a transaction", [i for i, e in enumerate(events) if not e.get("tx")], [5, 6, 9, 10])
    shop.check("their places", {e["position"].partition("-")[2] for e in events if not e.get("tx")}, {"m"})
    shop.restart()
    shop.sql("INSERT INTO t VALUES(5)")
    shop.expect(*map(line, events), 'insert t {"id":5}')


def no_messages(shop):
    """With messages = false there are none, but what a writer attaches to its rows counts."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY)")
    shop.start(messages=False)
    shop.sql("INSERT INTO t VALUES(1); SELECT pg_logical_emit_message(true, 'app', 'one'); INSERT INTO t VALUES(2)",
             "SELECT pg_logical_emit_message(false, 'app', 'alone')", "SELECT pg_logical_emit_message(true, 'app', 'alone')",
             "SELECT pg_logical_emit_message(true, 'tidegate', '{\"by\":\"me\"}'); INSERT INTO t VALUES(3)",
             "SELECT pg_logical_emit_message(true, 'tidegate', 'no JSON'); INSERT INTO t VALUES(4)",
             "SELECT pg_logical_emit_message(false, 'tidegate', '{}')", "INSERT INTO t VALUES(5)")
    events = shop.expect('insert t {"id":1}', 'insert t {"id":2}', 'insert t {"id":3} meta {"by":"me"}', 'insert t {"id":4}',
                         'insert t {"id":5}')
    shop.check("places", places(events[:2]), [(0, False, "0"), (2, True, "1.1")])


def meta(shop):
    """Attached to the rows after it, up to the next one or the transaction's end."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY)")
    shop.start()
    say = "SELECT pg_logical_emit_message(true, 'tidegate', '%s');"
    shop.sql("INSERT INTO t VALUES(1);" + say % '{"user": "a\\u0041",  "n": 1.50}' + "INSERT INTO t VALUES(2); INSERT INTO t VALUES(3);"
             + say % "[1]" + "INSERT INTO t VALUES(4); SELECT pg_logical_emit_message(true, 'app', 'x');" + say % '{"broken' +
             "INSERT INTO t VALUES(5)",
             "INSERT INTO t VALUES(6)", "SELECT pg_logical_emit_message(false, 'tidegate', '{\"a\":1}')", "INSERT INTO t VALUES(7)",
             "BEGIN;" + say % '{"cut":1}' + "SAVEPOINT s;" + say % '{"back":1}' + "ROLLBACK TO s; INSERT INTO t VALUES(8); COMMIT",
             say % '{"only":"meta"}', say % '"\\\\u0000"' + "TRUNCATE t")
    events = shop.expect(
        'insert t {"id":1}', 'insert t {"id":2} meta {"user":"aA","n":1.5}', 'insert t {"id":3} meta {"user":"aA","n":1.5}',
        'insert t {"id":4} meta [1]', 'message app "x" meta [1]', 'message tidegate "{\\"broken"', 'insert t {"id":5}',
        'insert t {"id":6}', 'message tidegate "{\\"a\\":1}"', 'insert t {"id":7}', 'insert t {"id":8} meta {"cut":1}',
        'truncate t meta "\\\\u0000"')
    shop.check("the log says it", shop.logged('prefix \\"tidegate\\" is not JSON'), True)
    shop.check("places", places(events[:6]), [(0, False, "0"), (2, False, "1.1"), (3, False, "2"), (5, False, "3.1"), (6, False, "4"),
                                              (7, False, "4.1")])


def named_publication(shop):
    """Somebody else's publication, for all tables: what is not wanted leaves no event, but keeps its place."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY, v int)", "CREATE TABLE hidden(id int PRIMARY KEY)",
             "CREATE PUBLICATION theirs FOR ALL TABLES")
    shop.start(publication="theirs", tables=["t"])
    shop.sql("INSERT INTO t VALUES(1, 1); INSERT INTO hidden VALUES(1); UPDATE t SET v = 2; TRUNCATE hidden, t; TRUNCATE hidden;"
             " INSERT INTO t VALUES(2, 2)", "INSERT INTO hidden VALUES(2)", "INSERT INTO t VALUES(3, 3)")
    events = shop.expect('insert t {"id":1,"v":1}', 'update t {"id":1,"v":2}', 'truncate t', 'insert t {"id":2,"v":2}',
                         'insert t {"id":3,"v":3}')
    shop.check("transactions", [(e["tx"]["last"]) for e in events], [False, False, False, True, True])
    shop.check("nothing was made", shop.one("SELECT count(*) FROM pg_publication"), "1")


# A kill in the middle of a transaction, and other options after it.

ROWS = 10000
PAIRS = ("DO $$ BEGIN FOR i IN 1..%d LOOP INSERT INTO a VALUES(i, repeat('x', 400)); INSERT INTO b VALUES(i); END LOOP; END $$"
         % ROWS)
WHOLE = [("a", 0)] + [(t, i) for i in range(1, ROWS + 1) for t in "ab"]


def rows(events):
    return [(e["table"], e["new"]["id"]) for e in events if e["op"] == "insert"]


def cut(shop, passage=12000, **options):
    """Killed when the first part of the large transaction is durable, and nothing of it is confirmed."""
    shop.sql("CREATE TABLE a(id int PRIMARY KEY, v text)", "CREATE TABLE b(id int PRIMARY KEY)", "CREATE TABLE c(id int PRIMARY KEY)",
             "CREATE PUBLICATION theirs FOR TABLE a, b WITH (publish_via_partition_root)",
             "CREATE PUBLICATION wider FOR ALL TABLES WITH (publish_via_partition_root)")
    shop.start(fault="source.mid_batch:%d:late" % passage, **options)
    shop.sql("INSERT INTO a VALUES(0)")
    shop.wait_for(len)
    shop.sql(PAIRS)
    if not shop.workspace.wait_end(20):
        raise Failed("the fault point was not met: %s" % shop.state())
    read = len(shop.events())
    if not 1 < read < 2 * ROWS:
        raise Failed("%d events before the kill: not in the middle" % read)


def after_cut(shop, want=None, **options):
    shop.start(**options)
    shop.sql("INSERT INTO a VALUES(-1)")
    events = shop.wait_for(lambda events: rows(events)[-1:] == [("a", -1)], seconds=30)
    shop.check("rows", rows(events), (want or WHOLE) + [("a", -1)])
    shop.check("nothing else", {e["op"] for e in events}, {"insert"})
    shop.check("epoch", shop.state()["epoch"], 1)
    shop.check("tx", [(e["tx"]["index"], e["tx"]["last"]) for e in events][1:-1],
               [(i, i == 2 * ROWS - 1) for i in range(2 * ROWS)])
    shop.check_sound(events)
    return events


def cut_same(shop):
    cut(shop)
    after_cut(shop)


def cut_twice(shop):
    """Killed again while what was journalled is read again, and behind it."""
    cut(shop, passage=6000)
    for passage in (3000, 7000):
        shop.start(fault="source.mid_batch:%d:late" % passage, wait=False)
        shop.check("killed again", shop.workspace.wait_end(20), True)
    after_cut(shop)


def cut_publication(shop):
    """From our own publications to somebody else's: from the transaction's end on."""
    cut(shop, tables=["a", "b"])
    after_cut(shop, publication="theirs")
    shop.sql("INSERT INTO b VALUES(-2)")
    shop.wait_line('insert b {"id":-2}')


def cut_back(shop):
    """From somebody else's publication to our own, which is younger than the place where the log goes
    on: read with theirs to the present, then with ours."""
    cut(shop, publication="wider", tables=["a", "b"])
    after_cut(shop, publication=None)
    shop.sql("INSERT INTO b VALUES(-2)")
    shop.wait_line('insert b {"id":-2}')
    shop.check("gaps", [line(e) for e in shop.events() if e["op"] == "gap"], [])
    shop.sql("DROP PUBLICATION wider")
    shop.restart(publication=None)
    shop.sql("INSERT INTO b VALUES(-3)")
    shop.wait_line('insert b {"id":-3}')


def cut_messages(shop):
    cut(shop, messages=False)
    after_cut(shop, messages=True)
    shop.sql("SELECT pg_logical_emit_message(true, 'app', 'x')")
    shop.wait_line('message app "x"')


def cut_more_tables(shop):
    """A table more: from the transaction's end on."""
    cut(shop, tables=["a", "b"])
    shop.start(tables=["a", "b", "c"])
    shop.sql("INSERT INTO c VALUES(1)")
    events = shop.wait_line('insert c {"id":1}', seconds=30)
    shop.check("rows", rows(events), WHOLE + [("c", 1)])
    shop.check("told of", [line(e) for e in events if e["op"] != "insert"], ["ddl c create added id"])
    shop.check_sound(events)


def cut_fewer_tables(shop):
    """A table less: the transaction that was begun with it is ended with it."""
    cut(shop, tables=["a", "b"])
    after_cut(shop, tables=["a"])
    shop.sql("INSERT INTO b VALUES(-2)", "INSERT INTO a VALUES(-3)")
    events = shop.wait_for(lambda events: rows(events)[-1:] == [("a", -3)])
    shop.check("rows after it", rows(events)[-2:], [("a", -1), ("a", -3)])


def cut_among_messages(shop):
    """Messages outside of transactions that were written while the large one was open came before it, once."""
    shop.sql("CREATE TABLE a(id int PRIMARY KEY, v text)")
    shop.start(fault="source.mid_batch:12000:late")
    with shop.db() as db:
        db.execute("BEGIN; INSERT INTO a SELECT i, repeat('x', 400) FROM generate_series(1, 10000) i")
        db.execute("SELECT pg_logical_emit_message(false, 'app', 'one'), pg_logical_emit_message(true, 'app', 'inside')")
        shop.sql("SELECT pg_logical_emit_message(false, 'app', 'two')")
        shop.wait_line('message app "two"')
        db.execute("INSERT INTO a SELECT i, repeat('x', 400) FROM generate_series(10001, 20000) i")
        shop.sql("SELECT pg_logical_emit_message(false, 'app', 'three')")
        db.execute("COMMIT")
    shop.sql("SELECT pg_logical_emit_message(false, 'app', 'four')")
    if not shop.workspace.wait_end(20) or len(shop.events()) < 4:
        raise Failed("not killed in the middle: %d events" % len(shop.events()))
    shop.start(messages=True)
    shop.sql("SELECT pg_logical_emit_message(false, 'app', 'five')")
    events = shop.wait_line('message app "five"', seconds=30)
    shop.check("events", [e["new"]["id"] if e["op"] == "insert" else line(e) for e in events],
               ['message app "one"', 'message app "two"', 'message app "three"'] + list(range(1, 10001)) + ['message app "inside"']
               + list(range(10001, 20001)) + ['message app "four"', 'message app "five"'])
    shop.check_sound(events)


def cut_full(shop):
    """Tables with identity FULL that the new list leaves out: the transaction's rows have their keys all the same."""
    shop.sql("CREATE TABLE a(id int PRIMARY KEY, v text)", "CREATE TABLE seen(x text, id int PRIMARY KEY)",
             "CREATE TABLE unseen(b int, a int, PRIMARY KEY(a, b))", "CREATE TABLE gone(b int, a int, PRIMARY KEY(a, b))",
             "ALTER TABLE seen REPLICA IDENTITY FULL", "ALTER TABLE unseen REPLICA IDENTITY FULL", "ALTER TABLE gone REPLICA IDENTITY FULL")
    shop.start(fault="source.mid_batch:12000:late", tables=["a", "seen", "unseen", "gone"])
    shop.sql("INSERT INTO seen VALUES('x', 1)", "INSERT INTO gone VALUES(1, 1)",
             "INSERT INTO a SELECT i, repeat('x', 400) FROM generate_series(1, 20000) i; INSERT INTO seen VALUES('x', 2);"
             " INSERT INTO unseen VALUES(2, 1); INSERT INTO gone VALUES(2, 1); DELETE FROM seen WHERE id = 1")
    if not shop.workspace.wait_end(20) or len(shop.events()) < 3:
        raise Failed("not killed in the middle: %d events" % len(shop.events()))
    shop.sql("DROP TABLE gone")
    shop.start(tables=["a"])
    shop.sql("INSERT INTO a VALUES(-1)")
    events = shop.wait_for(lambda events: (events[-1]["new"] or {}).get("id") == -1, seconds=30)
    shop.check("keys", [(e["table"], list((e["key"] or {}).items())) for e in events[20002:]],
               [("seen", [("id", 2)]), ("unseen", [("a", 1), ("b", 2)]), ("gone", [("a", 1), ("b", 2)]), ("seen", [("id", 1)]),
                ("a", [("id", -1)])])
    shop.check_sound(events)


run_cases([large, truncates, savepoints, messages, no_messages, meta, named_publication, cut_same, cut_twice, cut_publication, cut_back,
           cut_messages, cut_more_tables, cut_fewer_tables, cut_full, cut_among_messages])
