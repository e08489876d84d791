#!/usr/bin/env python3
"""What somebody did to the publications of a PostgreSQL source: Tidegate puts it right, and never without a
gap for each table whose changes may be missing; a publication that was missing altogether is a loss."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.pgshop import line, run_cases  # noqa: E402

OUT = "taken out of the publication"


def publication(shop, keyless=False):
    names = [row[0] for row in shop.sql("SELECT pubname FROM pg_publication ORDER BY length(pubname)")]
    return '"%s"' % names[keyless]


def tables(shop, *names):
    """With one row each, and read."""
    for name in names:
        shop.sql("CREATE TABLE %s(id int PRIMARY KEY, v int)" % name)
    shop.start()
    for name in names:
        shop.sql("INSERT INTO %s VALUES(1, 1)" % name)
    shop.wait_line(row(names[-1], 1, 1))


def row(table, number, v, op="insert"):
    return '%s %s {"id":%d,"v":%d}' % (op, table, number, v)


def of(events, table):
    return [line(e) for e in events if e["table"] == table]


def back(table):
    """What is told of a table that was out."""
    return ["gap " + table, "ddl %s create added id,v" % table]


def check_told(shop, told, unbroken=()):
    """`told`: all lines of each table that has a gap; `unbroken`: those without one, by their lines."""
    events = shop.events()
    for table, lines in dict(told, **dict(unbroken)).items():
        shop.check("of " + table, of(events, table), lines)
    gaps = [e for e in events if e["op"] == "gap"]
    shop.check("gaps", sorted(e["table"] or "" for e in gaps), sorted(told))
    shop.check("reasons", [e["gap"] for e in gaps if OUT not in e["gap"]["reason"]], [])
    shop.check("epoch", shop.state()["epoch"], 1)
    shop.check("state", shop.state()["state"], "streaming")
    shop.check_sound(events)


def cut(shop):
    shop.sql("SELECT pg_terminate_backend(%d)" % int(shop.slot()["active_pid"]))


def out_while_stopped(shop):
    """A table is taken out, and changed, while nobody reads; the gap stands before its next row."""
    tables(shop, "a", "b")
    shop.workspace.stop()
    shop.sql("ALTER PUBLICATION %s DROP TABLE b" % publication(shop), "INSERT INTO b VALUES(2, 2)", "INSERT INTO a VALUES(2, 2)")
    shop.workspace.start()
    shop.wait_line(back("b")[1])
    shop.sql("INSERT INTO b VALUES(3, 3)")
    want = [row("b", 1, 1), *back("b"), row("b", 3, 3)]
    shop.wait_line(want[-1])
    check_told(shop, {"b": want}, {"a": [row("a", 1, 1), row("a", 2, 2)]})
    shop.restart()
    shop.sql("INSERT INTO b VALUES(4, 4)")
    shop.wait_line(row("b", 4, 4))
    check_told(shop, {"b": want + [row("b", 4, 4)]})


def out_while_cut(shop):
    """The same while it runs, with the stream cut before anybody looked; and once more before the gap is told."""
    tables(shop, "a", "b")
    shop.sql("ALTER PUBLICATION %s DROP TABLE b" % publication(shop), "INSERT INTO b VALUES(2, 2)")
    cut(shop)
    shop.wait_line(back("b")[1])
    shop.sql("INSERT INTO b VALUES(3, 3)", "INSERT INTO a VALUES(3, 3)")
    want = [row("b", 1, 1), *back("b"), row("b", 3, 3)]
    shop.wait_line(row("a", 3, 3))
    check_told(shop, {"b": want}, {"a": [row("a", 1, 1), row("a", 3, 3)]})


def out_and_killed(shop):
    """Killed while the gap is told: it is there all the same, once."""
    tables(shop, "a", "b")
    want = [row("b", 1, 1)]
    for at, point in enumerate(("source.before_give:1", "journal.before_sync:1", "journal.after_sync:1", "source.before_confirm:1"), 2):
        shop.workspace.stop()
        shop.sql("ALTER PUBLICATION %s DROP TABLE b" % publication(shop), "INSERT INTO b VALUES(%d, 0)" % at)
        shop.start(fault=point, wait=False)
        shop.check("killed at " + point, shop.workspace.wait_end(10), True)
        shop.start()
        shop.wait_line(back("b")[1], count=at - 1)
        shop.sql("INSERT INTO b VALUES(%d, 1)" % -at)
        want += [*back("b"), row("b", -at, 1)]
        shop.wait_line(want[-1])
        if not shop.check("of b after " + point, of(shop.events(), "b"), want):
            return
    shop.check_sound(shop.events())


def operations(shop):
    """Some operations are left out for a while: of tables with a key and of those without."""
    shop.sql("CREATE TABLE keyless(v int)")
    tables(shop, "a")
    shop.sql("INSERT INTO keyless VALUES(1)")
    shop.sql("ALTER PUBLICATION %s SET (publish = 'insert')" % publication(shop),
             "ALTER PUBLICATION %s SET (publish = 'insert')" % publication(shop, keyless=True), "UPDATE a SET v = 2", "TRUNCATE keyless")
    shop.wait_line(back("a")[1])
    shop.wait_line("ddl keyless create added v")
    shop.sql("UPDATE a SET v = 3", "TRUNCATE keyless", "INSERT INTO a VALUES(2, 2)")
    shop.wait_line(row("a", 2, 2))
    check_told(shop, {"a": [row("a", 1, 1), *back("a"), row("a", 1, 3, "update"), row("a", 2, 2)],
                      "keyless": ['insert keyless {"v":1}', "gap keyless", "ddl keyless create added v", "truncate keyless"]})


def some_rows(shop):
    """A row filter leaves rows out; a table beside it has no gap."""
    tables(shop, "a", "b")
    shop.sql("ALTER PUBLICATION %s SET TABLE ONLY a WHERE (id > 5), ONLY b" % publication(shop), "INSERT INTO a VALUES(2, 2)")
    shop.wait_line(back("a")[1])
    shop.sql("INSERT INTO a VALUES(3, 3)", "INSERT INTO b VALUES(3, 3)")
    shop.wait_line(row("b", 3, 3))
    check_told(shop, {"a": [row("a", 1, 1), *back("a"), row("a", 3, 3)]}, {"b": [row("b", 1, 1), row("b", 3, 3)]})


def some_columns(shop):
    """A list of columns leaves cells out: first while it runs, then while nobody reads."""
    tables(shop, "a")
    want = [row("a", 1, 1)]
    shop.sql("ALTER PUBLICATION %s SET TABLE ONLY a (id)" % publication(shop))
    shop.wait_line(back("a")[1])
    shop.sql("INSERT INTO a VALUES(2, 2)")
    want += [*back("a"), row("a", 2, 2)]
    shop.wait_line(want[-1])
    check_told(shop, {"a": want})
    shop.workspace.stop()
    shop.sql("ALTER PUBLICATION %s SET TABLE ONLY a (id)" % publication(shop))
    shop.workspace.start()
    shop.wait_line(back("a")[1], count=2)
    shop.sql("INSERT INTO a VALUES(3, 3)")
    shop.wait_line(row("a", 3, 3))
    shop.check("of a", of(shop.events(), "a"), want + [*back("a"), row("a", 3, 3)])


def by_partition(shop):
    """Rows come under the partitions' names for a while, which nobody wants."""
    shop.sql("CREATE TABLE p(id int PRIMARY KEY, v int) PARTITION BY RANGE(id)", "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100)")
    shop.start(tables=["p"])
    shop.sql("INSERT INTO p VALUES(1, 1)")
    shop.expect(row("p", 1, 1))
    shop.sql("ALTER PUBLICATION %s SET (publish_via_partition_root = false)" % publication(shop), "INSERT INTO p VALUES(2, 2)")
    shop.wait_line("gap p")
    shop.wait_line(back("p")[1])
    shop.sql("INSERT INTO p VALUES(3, 3)")
    shop.wait_line(row("p", 3, 3))
    check_told(shop, {"p": [row("p", 1, 1), *back("p"), row("p", 3, 3)]})


def quiet(shop):
    """A publication that was missing for a while is a loss, also where the server's warning of it is turned off."""
    role = shop.one("SELECT current_user")
    shop.sql("ALTER DATABASE %s SET client_min_messages = error" % shop.name,
             "ALTER ROLE %s IN DATABASE %s SET client_min_messages = error" % (role, shop.name))
    tables(shop, "a")
    shop.workspace.stop()
    name = publication(shop)
    shop.sql("DROP PUBLICATION %s" % name, "INSERT INTO a VALUES(2, 2)", "CREATE PUBLICATION %s FOR TABLE ONLY a"
             " WITH (publish_via_partition_root = true)" % name, "INSERT INTO a VALUES(3, 3)")
    shop.start(wait=False)
    shop.workspace.wait_alive()
    shop.wait_state("lost")
    shop.check("says it", "publication" in str(shop.state()["error"]), True)
    shop.check("events", [line(e) for e in shop.events()], [row("a", 1, 1)])
    shop.workspace.stop()
    shop.start(on_lost="accept", wait=False)
    shop.workspace.wait_alive()  # `events` would be in its way
    shop.wait_line("gap")
    shop.wait_state("streaming")
    shop.sql("INSERT INTO a VALUES(4, 4)")
    events = shop.wait_line(row("a", 4, 4))
    gaps = [e for e in events if e["op"] == "gap"]
    shop.check("gaps", len(gaps), 1)
    shop.check("reason", "publication" in str(gaps[:1]), True)
    shop.check("rows", [line(e) for e in events if e["op"] == "insert"][-1], row("a", 4, 4))
    shop.check("epoch", shop.state()["epoch"], 2)


run_cases([out_and_killed, some_columns, operations, some_rows, by_partition, out_while_stopped, out_while_cut, quiet], at_once=4)
