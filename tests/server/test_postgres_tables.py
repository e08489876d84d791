#!/usr/bin/env python3
"""Which tables of a PostgreSQL database are captured, under whatever names, and from when on."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.daemon import wait_until  # noqa: E402
from harness.pgshop import line, run_cases  # noqa: E402

ODD = ['o"rders', "Two Words", "UPPER", "x; DROP TABLE t; --", "<script>", "ünïcödé", "50%", "a'b", "a.b", "back\\slash", "$1", "tab\there"]


def quoted(name):
    return '"%s"' % name.replace('"', '""')


def published(shop):
    return sorted(".".join(row) for row in shop.sql("SELECT DISTINCT schemaname, tablename FROM pg_publication_tables"))


def by_list(shop):
    """By name, by glob, with and without the schema; what is excluded wins."""
    shop.sql("CREATE SCHEMA s", "CREATE SCHEMA log")
    for table in ("orders", "customers", "cache", "s.orders", "s.cats", "s.cache", "log.a", "log.b"):
        shop.sql("CREATE TABLE %s(id int PRIMARY KEY)" % table)
    shop.sql("CREATE UNLOGGED TABLE cunlogged(id int PRIMARY KEY)", "CREATE VIEW cview AS SELECT * FROM orders",
             "CREATE MATERIALIZED VIEW cmat AS SELECT * FROM orders")
    shop.start(tables=["orders", "s.c*", "log.*"], exclude=["s.cache", "log.b"])
    shop.check("published", published(shop), ["log.a", "public.orders", "s.cats"])
    for table in ("orders", "customers", "cache", "s.orders", "s.cats", "s.cache", "log.a", "log.b", "cunlogged"):
        shop.sql("INSERT INTO %s VALUES(1)" % table)
    shop.sql("INSERT INTO orders VALUES(2)")
    shop.expect('insert orders {"id":1}', 'insert s.cats {"id":1}', 'insert log.a {"id":1}', 'insert orders {"id":2}')


def by_rules(shop):
    """Without `tables` what the rules name; another script means other tables, from then on."""
    shop.sql("CREATE TABLE a(id int PRIMARY KEY)", "CREATE TABLE b(id int PRIMARY KEY)", "CREATE TABLE c(id int PRIMARY KEY)")
    shop.workspace.write("scripts/a.lua", 'on("shop:public.a", "insert", function(e) end)')
    shop.start(tables=None)
    shop.check("published", published(shop), ["public.a"])
    shop.sql("INSERT INTO a VALUES(1)", "INSERT INTO b VALUES(1)", "INSERT INTO a VALUES(2)")
    shop.expect('insert a {"id":1}', 'insert a {"id":2}')
    shop.workspace.stop()
    shop.workspace.write("scripts/a.lua", 'on({"shop:b", "shop:*.c"}, "insert", function(e) end)')
    shop.workspace.start()
    shop.check("published", published(shop), ["public.b", "public.c"])
    shop.sql("INSERT INTO a VALUES(3)", "INSERT INTO b VALUES(2)", "INSERT INTO c VALUES(1)")
    events = shop.wait_line('insert c {"id":1}')
    shop.check("rows", [line(e) for e in events if e["op"] == "insert"],
               ['insert a {"id":1}', 'insert a {"id":2}', 'insert b {"id":2}', 'insert c {"id":1}'])
    shop.check("told of", sorted(line(e) for e in events if e["op"] != "insert"),
               ["ddl b create added id", "ddl c create added id"])


def other_list(shop):
    """A table leaves the list, and comes back: that is told, and its rows come from there on."""
    shop.sql("CREATE TABLE a(id int PRIMARY KEY)", "CREATE TABLE b(id int PRIMARY KEY)")
    shop.start(tables=["a", "b"])
    shop.sql("INSERT INTO a VALUES(1)", "INSERT INTO b VALUES(1)")
    shop.expect('insert a {"id":1}', 'insert b {"id":1}')
    shop.restart(tables=["a"])
    shop.sql("INSERT INTO b VALUES(2)", "INSERT INTO a VALUES(2)")
    shop.expect('insert a {"id":1}', 'insert b {"id":1}', 'insert a {"id":2}')
    shop.restart(tables=["a", "b"])
    shop.sql("INSERT INTO b VALUES(3)", "INSERT INTO a VALUES(3)")
    shop.expect('insert a {"id":1}', 'insert b {"id":1}', 'insert a {"id":2}', "ddl b create added id", 'insert b {"id":3}',
                'insert a {"id":3}')


def later(shop):
    """A table that appears is captured within ten seconds; told of once, before its rows, also over a restart."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY)")
    shop.start(tables=["*"], exclude=["hidden"])
    shop.sql("CREATE TABLE fresh(id int PRIMARY KEY, v text)", "CREATE TABLE hidden(id int PRIMARY KEY)", "INSERT INTO fresh VALUES(1, 'lost')",
             "CREATE TABLE bare(v int)")
    events = shop.wait_for(lambda events: len(events) == 2, seconds=14)
    told = ["ddl bare create added v", "ddl fresh create added id,v"]
    shop.check("told of", sorted(map(line, events)), told)
    shop.sql("INSERT INTO fresh VALUES(2, 'a')", "UPDATE fresh SET v = 'b' WHERE id = 2", "INSERT INTO hidden VALUES(1)",
             "INSERT INTO bare VALUES(1)", "UPDATE bare SET v = 2", "INSERT INTO t VALUES(1)")
    want = list(map(line, events)) + ['insert fresh {"id":2,"v":"a"}', 'update fresh {"id":2,"v":"b"}', 'insert bare {"v":1}',
                                      'insert t {"id":1}']
    shop.expect(*want)
    shop.restart()
    shop.sql("INSERT INTO fresh VALUES(3, 'c')")
    shop.expect(*want, 'insert fresh {"id":3,"v":"c"}')
    shop.restart(kill=True)
    shop.sql("INSERT INTO fresh VALUES(4, 'd')")
    shop.expect(*want, 'insert fresh {"id":3,"v":"c"}', 'insert fresh {"id":4,"v":"d"}')


def busy_newcomer(shop):
    """Rows are written all the time while the table is added: none between the first and the last is missing."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY)")
    shop.start()
    shop.sql("CREATE TABLE fresh(id int PRIMARY KEY)")
    for number in range(1, 2000):
        shop.sql("INSERT INTO fresh VALUES(%d)" % number)
        if number % 20 == 0 and sum(e["op"] == "insert" for e in shop.events()) > 10:
            break
    events = shop.wait_line('insert fresh {"id":%d}' % number)
    shop.check("told of first", line(events[0]), "ddl fresh create added id")
    shop.check("rows", [line(e) for e in events[1:]], ['insert fresh {"id":%d}' % i for i in range(number - len(events) + 2, number + 1)])
    shop.check_sound(events)


def renamed(shop):
    """Under its new name from the rename on; to a name that is not wanted, no longer, which is a gap once it is back."""
    shop.sql("CREATE TABLE orders(id int PRIMARY KEY)", "CREATE SCHEMA s")
    shop.start(tables=["orders*", "s.*"])
    shop.sql("INSERT INTO orders VALUES(1)", "ALTER TABLE orders RENAME TO orders_old", "INSERT INTO orders_old VALUES(2)",
             "ALTER TABLE orders_old SET SCHEMA s", "INSERT INTO s.orders_old VALUES(3)")
    want = ['insert orders {"id":1}', 'ddl orders_old rename', 'insert orders_old {"id":2}', 'ddl s.orders_old rename',
            'insert s.orders_old {"id":3}']
    shop.expect(*want)
    shop.sql("ALTER TABLE s.orders_old SET SCHEMA public; ALTER TABLE orders_old RENAME TO papers", "INSERT INTO papers VALUES(4)")
    shop.check("it leaves the publication", bool(wait_until(lambda: published(shop) == [], 13, 0.1)), True)
    shop.sql("ALTER TABLE papers RENAME TO orders", "CREATE TABLE s.last(id int PRIMARY KEY)")
    events = shop.wait_line("ddl s.last create added id")
    shop.sql("INSERT INTO orders VALUES(5)")
    events = shop.wait_line('insert orders {"id":5}')
    shop.check("rows", [line(e) for e in events if e["op"] != "ddl"],
               ['insert orders {"id":1}', 'insert orders_old {"id":2}', 'insert s.orders_old {"id":3}', "gap orders", 'insert orders {"id":5}'])
    shop.check_sound(events)


def made_again(shop):
    """Dropped and made again under its name: another table, told of once it is captured."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY)", "CREATE TABLE u(id int PRIMARY KEY)")
    shop.start()
    shop.sql("INSERT INTO t VALUES(1)", "DROP TABLE t", "CREATE TABLE t(code text PRIMARY KEY, v int)")
    shop.wait_line("ddl t create added code,v")
    shop.sql("INSERT INTO t VALUES('a', 1)", "UPDATE t SET code = 'b'")
    shop.expect('insert t {"id":1}', "ddl t create added code,v", 'insert t {"code":"a","v":1}',
                'update t {"code":"b","v":1} old {"code":"a"}')
    shop.restart(kill=True)
    shop.sql("DROP TABLE t", "INSERT INTO u VALUES(1)")
    shop.wait_line('insert u {"id":1}')


def dropped_while_stopped(shop):
    """Rows of a table that is gone are in the log all the same."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY, b int, UNIQUE(b))", "CREATE TABLE u(a int, b int, PRIMARY KEY(b, a))")
    shop.start()
    shop.sql("INSERT INTO u VALUES(1, 1)")
    shop.expect('insert u {"a":1,"b":1}')
    shop.workspace.stop()
    shop.sql("INSERT INTO t VALUES(1, 2)", "INSERT INTO u VALUES(2, 2)", "DROP TABLE t, u", "CREATE TABLE u(id int PRIMARY KEY)")
    shop.workspace.start()
    events = shop.wait_for(lambda events: len(events) >= 4)
    shop.check("events", sorted(map(line, events)), ["ddl u create added id", 'insert t {"id":1,"b":2}', 'insert u {"a":1,"b":1}',
                                                     'insert u {"a":2,"b":2}'])


def odd_names(shop):
    """Names are quoted wherever they go, and come out as they are."""
    for schema in ("public", 'sch"e; ma'):
        if schema != "public":
            shop.sql("CREATE SCHEMA " + quoted(schema))
        for name in ODD:
            shop.sql("CREATE TABLE %s.%s(%s int PRIMARY KEY, %s text)" % (quoted(schema), quoted(name), quoted(name), quoted(name + "2")))
    shop.start(tables=["*"], old_values="full")
    for schema in ("public", 'sch"e; ma'):
        for name in ODD:
            shop.sql("INSERT INTO %s.%s VALUES(1, $$%s$$)" % (quoted(schema), quoted(name), name),
                     "ALTER TABLE %s.%s RENAME %s TO other" % (quoted(schema), quoted(name), quoted(name + "2")),
                     "DELETE FROM %s.%s" % (quoted(schema), quoted(name)))
    count = 6 * len(ODD)
    events = shop.wait_for(lambda events: len(events) >= count)
    shop.check("tables", [(e["schema"], e["table"]) for e in events],
               [(s, n) for s in ("public", 'sch"e; ma') for n in ODD for _ in range(3)])
    shop.check("inserts", [e["new"] for e in events[::3]], [{n: 1, n + "2": n} for n in ODD] * 2)
    shop.check("ddl", [(e["ddl"]["removed"], e["ddl"]["added"]) for e in events[1::3]], [([n + "2"], ["other"]) for n in ODD] * 2)
    shop.check("deletes", [e["old"] for e in events[2::3]], [{n: 1, "other": n} for n in ODD] * 2)
    shop.check_sound(events)
    shop.check("nothing was dropped", shop.one("SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'sch\"e; ma')"),
               str(2 * len(ODD)))


def odd_source(shop):
    """Sources and a database with names that no slot can have."""
    name = shop.name = 'Odd "db"; drop'
    with shop.server.admin() as db:
        db.execute("CREATE DATABASE %s" % db.identifier(name))
    shop.sql("CREATE TABLE t(id int PRIMARY KEY)")
    names = ["Shop-1", "shop_1", "SHOP_1", "long" * 12]
    shop.workspace.configure({n: shop.source() for n in names}, {})
    shop.workspace.start()
    shop.sql("INSERT INTO t VALUES(1)")
    events = shop.wait_for(lambda events: len(events) >= len(names))
    shop.check("one each", sorted(e["source"] for e in events), sorted(names))
    slots = [row[0] for row in shop.sql("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()")]
    shop.check("slots", len(slots), len(names))


def two_sources(shop):
    """Two sources and another workspace on one database know nothing of each other."""
    shop.sql("CREATE TABLE a(id int PRIMARY KEY)", "CREATE TABLE b(id int PRIMARY KEY)")
    other = shop.other("other")
    other.configure({"shop": shop.source(tables=["b"])}, {})
    shop.workspace.configure({"shop": shop.source(tables=["a"]), "second": shop.source(tables=["*"])}, {})
    other.start()
    shop.workspace.start()
    shop.check("slots", shop.one("SELECT count(*) FROM pg_replication_slots WHERE database = current_database() AND active"), "3")
    shop.sql("INSERT INTO a VALUES(1); INSERT INTO b VALUES(1)", "CREATE TABLE c(id int PRIMARY KEY)")
    events = shop.wait_for(lambda events: len(events) == 4, seconds=14)
    shop.check("of each", sorted(e["source"] + " " + line(e) for e in events),
               ["second ddl c create added id", 'second insert a {"id":1}', 'second insert b {"id":1}', 'shop insert a {"id":1}'])
    shop.check("of the other workspace", [line(e) for e in other.events()], ['insert b {"id":1}'])
    shop.workspace.stop()
    shop.sql("INSERT INTO b VALUES(2)")
    shop.check("it goes on", bool(wait_until(lambda: len(other.events()) == 2, 10)), True)
    shop.workspace.start()
    events = shop.wait_for(lambda events: len(events) == 5)
    shop.check("and this one", events[4]["source"] + " " + line(events[4]), 'second insert b {"id":2}')
    shop.check("quiet", other.events()[1]["new"], {"id": 2})


def taken_out(shop):
    """Somebody takes a table out of our publication: Tidegate puts it back, and says what is missing."""
    shop.sql("CREATE TABLE a(id int PRIMARY KEY)", "CREATE TABLE b(id int PRIMARY KEY)")
    shop.start()
    shop.sql("INSERT INTO a VALUES(1)", "INSERT INTO b VALUES(1)")
    shop.wait_line('insert b {"id":1}')
    shop.sql('ALTER PUBLICATION "%s" DROP TABLE b' % shop.sql("SELECT pubname FROM pg_publication WHERE pubname NOT LIKE '%keyless'")[0][0])
    shop.sql("INSERT INTO b VALUES(2)", "INSERT INTO a VALUES(2)")
    shop.wait_line("gap b", seconds=20)
    shop.wait_line("ddl b create added id", seconds=20)
    shop.sql("INSERT INTO b VALUES(3)")
    shop.wait_line('insert b {"id":3}')
    shop.check("events", [line(e) for e in shop.events()],
               ['insert a {"id":1}', 'insert b {"id":1}', 'insert a {"id":2}', "gap b", "ddl b create added id", 'insert b {"id":3}'])


def inherited(shop):
    """A table that inherits is a table of its own: its keyless rows can be changed, and it comes only if wanted."""
    shop.sql("CREATE TABLE parent(id int PRIMARY KEY, v int)", "CREATE TABLE keyless(w int) INHERITS(parent)",
             "CREATE TABLE keyed(x int, PRIMARY KEY(id)) INHERITS(parent)")
    shop.start(exclude=["hidden"])
    shop.sql("CREATE TABLE hidden() INHERITS(parent)", "INSERT INTO parent VALUES(1, 1)", "INSERT INTO keyless VALUES(2, 2, 2)",
             "INSERT INTO keyed VALUES(3, 3, 3)", "INSERT INTO hidden VALUES(4, 4)", "UPDATE parent SET v = 5", "DELETE FROM parent WHERE id < 3",
             "TRUNCATE ONLY parent", "TRUNCATE parent", "INSERT INTO parent VALUES(9, 9)")
    want = ['insert parent {"id":1,"v":1}', 'insert keyless {"id":2,"v":2,"w":2}', 'insert keyed {"id":3,"v":3,"x":3}',
            'update parent {"id":1,"v":5}', 'update keyed {"id":3,"v":5,"x":3}', 'delete parent old {"id":1}', 'truncate parent',
            'truncate parent', 'truncate keyless', 'truncate keyed', 'insert parent {"id":9,"v":9}']
    events = shop.wait_line(want[-1])
    shop.check("events", [line(e) for e in events], want)
    shop.check_sound(events)
    shop.sql("CREATE TABLE late(id int PRIMARY KEY)", "CREATE TABLE later() INHERITS(late)")
    shop.wait_for(lambda events: len(events) == len(want) + 2)
    shop.sql("INSERT INTO later VALUES(1)", "UPDATE late SET id = 2", "INSERT INTO late VALUES(3)")
    events = shop.wait_line('insert late {"id":3}')
    shop.check("later ones", [line(e) for e in events[-2:]], ['insert later {"id":1}', 'insert late {"id":3}'])


def killed_while_told(shop):
    """Tables that appeared while nobody looked are told of once each, whatever is killed meanwhile."""
    shop.sql("CREATE TABLE t(id int PRIMARY KEY)")
    shop.start()
    shop.sql("INSERT INTO t VALUES(1)")
    shop.expect('insert t {"id":1}')
    want = []
    for at, point in enumerate(("source.mid_batch:1", "source.mid_batch:2:late", "source.before_give:1", "journal.before_sync:1",
                                "journal.after_sync:1", "source.before_confirm:1")):
        shop.workspace.stop()
        names = ["n%d%s" % (at, c) for c in "abc"]
        shop.sql(*["CREATE TABLE %s(id int PRIMARY KEY)" % n for n in names])
        shop.start(fault=point, wait=False)
        shop.check("killed at " + point, shop.workspace.wait_end(10), True)
        shop.start()
        want += ["ddl %s create added id" % n for n in names]
        shop.sql("INSERT INTO t VALUES(%d)" % -at)
        shop.sql(*["INSERT INTO %s VALUES(%d)" % (n, at) for n in names])
        events = shop.wait_line('insert %s {"id":%d}' % (names[-1], at))
        shop.check("told of", sorted(line(e) for e in events if e["op"] == "ddl"), want)
        shop.check("rows", sum(e["op"] == "insert" for e in events), 1 + 4 * (at + 1))
        shop.check_sound(events)


run_cases([inherited, killed_while_told, later, taken_out, renamed, made_again, two_sources, busy_newcomer, by_list, by_rules, other_list, dropped_while_stopped, odd_names,
           odd_source], at_once=4)
