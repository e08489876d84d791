#!/usr/bin/env python3
"""Partitioned tables come under their root; what the log cannot tell of them is a gap."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.pgshop import line, run_cases  # noqa: E402

TREE = ("CREATE TABLE p(id int, region text, v text, PRIMARY KEY(id, region)) PARTITION BY LIST(region);"
        "CREATE TABLE eu PARTITION OF p FOR VALUES IN ('eu') PARTITION BY RANGE(id);"
        "CREATE TABLE eu1 PARTITION OF eu FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE eu2 PARTITION OF eu FOR VALUES FROM (10) TO (20);"
        "CREATE TABLE us PARTITION OF p FOR VALUES IN ('us')")
GAP = "the list of partitions changed: rows that were attached or detached with a partition are not in the log"


def two_levels(shop):
    """Rows of every leaf, also written by the leaf's own name, and with another order of columns."""
    shop.sql(TREE, "CREATE TABLE asia(v text, gone int, region text NOT NULL, id int NOT NULL);"
             " ALTER TABLE asia DROP COLUMN gone; ALTER TABLE p ATTACH PARTITION asia FOR VALUES IN ('asia')")
    shop.start(tables=["p"])
    shop.sql("INSERT INTO p VALUES(1, 'eu', 'a'), (11, 'eu', 'b'), (1, 'us', 'c')", "INSERT INTO eu2 VALUES(12, 'eu', 'd')",
             "INSERT INTO p VALUES(5, 'asia', 'e')", "INSERT INTO asia VALUES('f', 'asia', 6)",
             "UPDATE eu SET v = 'x' WHERE id > 10", "DELETE FROM us")
    events = shop.expect(
        'insert p {"id":1,"region":"eu","v":"a"}', 'insert p {"id":11,"region":"eu","v":"b"}',
        'insert p {"id":1,"region":"us","v":"c"}', 'insert p {"id":12,"region":"eu","v":"d"}',
        'insert p {"id":5,"region":"asia","v":"e"}', 'insert p {"id":6,"region":"asia","v":"f"}',
        'update p {"id":11,"region":"eu","v":"x"}', 'update p {"id":12,"region":"eu","v":"x"}',
        'delete p old {"id":1,"region":"us"}')
    shop.check("key", events[0]["key"], {"id": 1, "region": "eu"})


def moved(shop):
    """A row that changes its partition is a delete and an insert, in one transaction."""
    shop.sql(TREE)
    shop.start(tables=["p"])
    shop.sql("INSERT INTO p VALUES(1, 'eu', 'a')", "UPDATE p SET id = 15", "UPDATE p SET region = 'us', v = 'b'", "UPDATE p SET id = 16")
    events = shop.expect(
        'insert p {"id":1,"region":"eu","v":"a"}',
        'delete p old {"id":1,"region":"eu"}', 'insert p {"id":15,"region":"eu","v":"a"}',
        'delete p old {"id":15,"region":"eu"}', 'insert p {"id":15,"region":"us","v":"b"}',
        'update p {"id":16,"region":"us","v":"b"} old {"id":15,"region":"us"}')
    shop.check("one transaction each", [(e["tx"]["index"], e["tx"]["last"]) for e in events],
               [(0, True), (0, False), (1, True), (0, False), (1, True), (0, True)])


def truncated(shop):
    """TRUNCATE of the root is one event; of a leaf there is none in the log."""
    shop.sql(TREE)
    shop.start(tables=["p"])
    shop.sql("INSERT INTO p VALUES(1, 'eu', 'a')", "TRUNCATE p", "INSERT INTO p VALUES(1, 'eu', 'b')", "TRUNCATE eu1", "TRUNCATE eu",
             "INSERT INTO p VALUES(1, 'us', 'c')")
    shop.expect('insert p {"id":1,"region":"eu","v":"a"}', 'truncate p', 'insert p {"id":1,"region":"eu","v":"b"}',
                'insert p {"id":1,"region":"us","v":"c"}')


def attached(shop):
    """Each change of the list is a ddl and a gap of the root, once; rows of the newcomer follow."""
    shop.sql(TREE, "CREATE TABLE asia(id int NOT NULL, region text NOT NULL, v text, PRIMARY KEY(id, region));"
             " INSERT INTO asia VALUES(1, 'asia', 'old')")
    shop.start(tables=["p"])
    told = ["ddl p partitions", "gap p"]
    shop.sql("INSERT INTO p VALUES(1, 'eu', 'a')", "ALTER TABLE p ATTACH PARTITION asia FOR VALUES IN ('asia')")
    first = ['insert p {"id":1,"region":"eu","v":"a"}'] + told
    events = shop.expect(*first)
    shop.check("reason", events[2]["gap"]["reason"], GAP)
    shop.sql("INSERT INTO p VALUES(2, 'asia', 'new')", "UPDATE p SET v = 'b' WHERE id = 1 AND region = 'asia'")
    second = first + ['insert p {"id":2,"region":"asia","v":"new"}', 'update p {"id":1,"region":"asia","v":"b"}']
    shop.expect(*second)
    shop.sql("ALTER TABLE p DETACH PARTITION eu")
    shop.expect(*(second + told))
    shop.sql("INSERT INTO eu VALUES(2, 'eu', 'apart')", "INSERT INTO p VALUES(3, 'us', 'z')")
    third = second + told + ['insert p {"id":3,"region":"us","v":"z"}']
    shop.expect(*third)
    shop.restart()
    shop.sql("INSERT INTO p VALUES(4, 'us', 'z')")
    fourth = third + ['insert p {"id":4,"region":"us","v":"z"}']
    shop.expect(*fourth)
    shop.workspace.stop()
    shop.sql("DROP TABLE us", "CREATE TABLE us PARTITION OF p FOR VALUES IN ('us')", "INSERT INTO us VALUES(5, 'us', 'z')")
    shop.workspace.start()
    events = shop.wait_for(lambda found: len(found) == len(fourth) + 3)
    shop.check("changed while stopped", sorted(map(line, events[len(fourth):])),
               ["ddl p partitions", "gap p", 'insert p {"id":5,"region":"us","v":"z"}'])


def appeared(shop):
    """A partitioned table that appears later is told of once, and its list is no change."""
    shop.sql("CREATE TABLE busy(id int PRIMARY KEY)")
    shop.start()
    shop.sql(TREE)
    number = [0]

    def seen(events):
        number[0] += 1
        shop.sql("INSERT INTO p VALUES(%d, 'us', 'row')" % number[0])
        return len([e for e in events if e["op"] == "insert"]) > 3
    shop.wait_for(seen)
    shop.sql("CREATE TABLE last(id int PRIMARY KEY)")
    events = shop.wait_line("ddl last create added id")
    shop.check("first", line(events[0]), "ddl p create added id,region,v")
    shop.check("all else", {line(e)[:9] for e in events[1:-1]}, {"insert p "})


def leaf_by_name(shop):
    """A leaf's name in `tables` is not the root's: nothing comes under a wrong name."""
    shop.sql(TREE, "CREATE TABLE t(id int PRIMARY KEY)")
    shop.start(tables=["t", "us"])
    shop.sql("INSERT INTO p VALUES(1, 'us', 'a')", "INSERT INTO t VALUES(1)")
    shop.expect('insert t {"id":1}')


def keyless_leaf(shop):
    """One leaf without a key makes the root keyless: its owner's UPDATE works."""
    shop.sql("CREATE TABLE p(id int NOT NULL, v int) PARTITION BY RANGE(id);"
             "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
             "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);"
             "ALTER TABLE p1 ADD PRIMARY KEY(id)")
    shop.start()
    shop.sql("INSERT INTO p VALUES(1, 1), (11, 1)", "UPDATE p SET v = 2", "DELETE FROM p WHERE id = 11", "INSERT INTO p VALUES(2, 2)")
    shop.expect('insert p {"id":1,"v":1}', 'insert p {"id":11,"v":1}', 'insert p {"id":2,"v":2}')


run_cases([attached, appeared, two_levels, moved, truncated, leaf_by_name, keyless_leaf])
