#!/usr/bin/env python3
"""Every type of PostgreSQL and its edges, from a real server through the daemon to JSON. What must come
out is made of the server's own text by a second reader, written here in another way than the daemon's,
and said outright where the text alone proves little."""
import base64
import functools
import hashlib
import json
import os
import re
import sqlite3
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import pq  # noqa: E402
from harness.daemon import Failed, Workspace, wait_until  # noqa: E402
from harness.flow import expect, run_cases  # noqa: E402
from harness.servers import Unavailable  # noqa: E402
from harness.servers.postgres import Postgres  # noqa: E402

sys.setrecursionlimit(5000)  # documents nest deep
VERSIONS = (None, 17, 18)  # None: the installed one
# What the daemon's own sessions say, since a value's text depends on it.
SETTINGS = {"DateStyle": "ISO", "IntervalStyle": "iso_8601", "TimeZone": "UTC", "extra_float_digits": "3",
            "bytea_output": "hex", "lc_monetary": "C", "search_path": "pg_catalog"}
SCRIPTS = ["", "plain", "naïve ☃ 𝄞", "Ελληνικά", "кириллица", "עברית", "العربية", "हिन्दी", "ไทย", "日本語",
           "한국어", "👩‍👩‍👧 🏴󠁧󠁢󠁳󠁣󠁴󠁿", "e\u0301 combining", "\u202egnp.exe", "\U0010ffff", "line\nfeed\ttab\r\x01\x7f",
           "\x1b[2J<script>alert(1)</script>'; drop table vals; --", "NULL", "null", "{a,b}", "\\x00", "\\", '"', "a\\\"b",
           " padded ", "long " * 4000]
DIGITS = "-" + "1234567890" * 50 + "." + "0987654321" * 50

MORE_TYPES = """
CREATE TYPE mood AS ENUM('sad', 'ok', 'it''s, "fine"');
CREATE TYPE pair AS (a integer, b text, c timestamptz);
CREATE DOMAIN email AS text CHECK(VALUE ~ '@');
CREATE DOMAIN small AS integer CHECK(VALUE < 100);
CREATE DOMAIN tiny AS small;
CREATE DOMAIN price AS numeric(10, 2);
CREATE DOMAIN scores AS integer[];
CREATE DOMAIN area AS box;
CREATE TYPE span AS RANGE(subtype = float8, subtype_diff = float8mi);
CREATE SCHEMA "odd ""schema";
CREATE TYPE "odd ""schema"."odd type, {x}" AS ENUM('a', 'b');
CREATE TYPE nest AS (p pair, l integer[]);
"""
BASES = {"email": "text", "small": "integer", "tiny": "integer", "price": "numeric", "area": "box"}

# Type: literals. Of each type a list of all its literals, with a NULL in it, is written too.
VALUES = {
    "boolean": ["true", "false"],
    "smallint": ["-32768", "0", "32767"],
    "integer": ["-2147483648", "7", "2147483647"],
    "bigint": ["-9223372036854775808", "9007199254740993", "9223372036854775807"],
    "oid": ["0", "4294967295"],
    "real": ["0.1", "-0", "3.4028235e38", "1e-45", "16777216", "123456.79", "1e10", "NaN", "Infinity", "-Infinity"],
    "double precision": ["0.1", "0.30000000000000004", "1.7976931348623157e308", "5e-324", "-0", "9007199254740993",
                         "123456789.12345679", "1e15", "1e16", "1e22", "1e23", "-1e-7", "NaN", "Infinity", "-Infinity"],
    "numeric": ["0", "-0.00", "12.500", DIGITS, "1e-1000", "9" * 5000, "NaN", "Infinity", "-Infinity", "1e100"],
    "numeric(10,2)": ["1234.5", "-0.005", "99999999.99"],
    "money": ["0", "5", "-1234567.89", "1234.5", "92233720368547758.07", "-92233720368547758.08"],
    "text": SCRIPTS,
    "character varying": SCRIPTS[:5],
    "character varying(20)": ["", "twenty characters ok"],
    "character(5)": ["", "ab", "é", "12345"],
    "bpchar": ["ab  "],
    '"char"': ["a", "", "\\303"],
    "name": ["select", "naïve"],
    "bytea": ["\\x", "\\x00", "\\x00ff5c27", "\\x" + bytes(range(256)).hex()],
    "json": ['{"a": [1.50, 1e400, null ],\n "a" : 2, "b":{}}', '"\\u00e9\\ud83d\\ude00"', " 12345678901234567890.10 ",
             "null", "[]", "true", "[" * 500 + "]" * 500, '"\\u0000"'],
    "jsonb": ['{"b": [1.50, null ],\n "a" : 2, "aa":{}}', '"\\u00e9 \\" \\\\"', "12345678901234567890.10", "null", "[]",
              "[" * 500 + "]" * 500, "1e300"],
    "date": ["2026-11-21", "2024-02-29", "1970-01-01", "0001-01-01", "9999-12-31", "10000-01-01", "5874897-12-31",
             "0001-12-31 BC", "0044-03-15 BC", "4713-01-01 BC", "infinity", "-infinity"],
    "time without time zone": ["00:00", "06:42:00.5", "23:59:59.999999", "24:00:00"],
    "time(0) without time zone": ["06:42:00.4"],
    "time with time zone": ["06:42+05:30", "00:00:00.1+00", "24:00:00-15:59:59", "06:42-08"],
    "timestamp without time zone": ["2026-11-21 06:42:00.5", "1970-01-01", "1969-12-31 23:59:59.999999",
                                    "0044-03-15 10:00:00.25 BC", "4713-01-01 00:00:00 BC", "0001-01-01 00:00",
                                    "9999-12-31 23:59:59.999999", "10000-01-01 00:00", "294276-12-31 23:59:59.999999",
                                    "infinity", "-infinity"],
    "timestamp with time zone": ["2026-11-21 06:42:00.5+00", "2026-11-21 06:42:00+05:30", "1883-11-18 12:03:57 America/New_York",
                                 "0044-03-15 10:00:00+00 BC", "294276-12-31 23:59:59.999999+00", "infinity", "-infinity"],
    "timestamp(3) with time zone": ["2026-11-21 06:42:00.123456+00"],
    "interval": ["0", "1 year -2 months 3 days 04:05:06.7", "-1 day", "-0.5 s", "178000000 years", "1 week", "1 microsecond"],
    "interval day to second(3)": ["1 day 02:03:04.5678"],
    "bit(8)": ["10100101"],
    "bit varying": ["", "0101"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "inet": ["192.168.0.1/24", "::1", "10.0.0.1"],
    "cidr": ["10.0.0.0/8", "2001:db8::/32"],
    "macaddr": ["08:00:2b:01:02:03"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "xml": ["<a b='c'>é &amp; <!-- x --></a>"],
    "tsvector": ["a:1A 'it''s':2 \"b\"", ""],
    "tsquery": ["'a' & ( !b | 'c d':*AB )"],
    "jsonpath": ["$.a[*] ? (@.b > 1.50)"],
    "point": ["(1.5,-2)", "(1e300,NaN)"],
    "line": ["{1,-1,0}"],
    "lseg": ["[(0,0),(1,1.5)]"],
    "box": ["(2,2),(1,1)", "(0.5,0.5),(0,0)"],
    "path": ["((0,0),(1,1),(2,0))", "[(0,0),(1,1)]"],
    "polygon": ["((0,0),(1,1),(2,0))"],
    "circle": ["<(1,2),3>"],
    "int4range": ["[1,5)", "empty", "(,)"],
    "int8range": ["[1,9223372036854775807)"],
    "numrange": ["(1.50,2.0]"],
    "tsrange": ['["2026-11-21 06:42:00","2026-11-22 00:00:00")'],
    "tstzrange": ['["2026-11-21 06:42:00+00",)'],
    "daterange": ["[2026-11-21,infinity)"],
    "int4multirange": ["{}", "{[1,5),[7,9)}"],
    "nummultirange": ["{(1.5,2],[3,3]}"],
    "tstzmultirange": ['{["2026-11-21 06:42:00+00",)}'],
    "pg_lsn": ["16/B374D848"],
    "pg_snapshot": ["10:20:10,14,15"],
    "txid_snapshot": ["10:20:10,14,15"],
    "xid": ["4294967295"],
    "xid8": ["18446744073709551615"],
    "cid": ["1"],
    "tid": ["(1,2)"],
    "regclass": ["pg_class", "public.vals", "0"],
    "regtype": ["integer", "public.mood"],
    "regproc": ["pg_catalog.now"],
    "regprocedure": ["abs(integer)"],
    "regrole": ["postgres"],
    "regnamespace": ["pg_catalog"],
    "refcursor": ["a cursor"],
    "aclitem": ["postgres=r/postgres"],
    "int2vector": ["", "1 2 -3"],
    "oidvector": ["4294967295 0"],
    "public.mood": ["ok", "it's, \"fine\""],
    "public.pair": ['(1,"x y",2026-11-21)', "(,,)", '(2,"a\\"b","2026-11-21 06:42:00+01")'],
    "public.nest": ['("(1,x,)","{1,2}")'],
    "public.email": ["a@b"],
    "public.small": ["42"],
    "public.tiny": ["-1"],
    "public.price": ["1.5"],
    "public.area": ["(2,2),(1,1)"],
    "public.span": ["[0.5,1.5)"],
    "public.span_multirange": ["{[0.5,1.5)}"],
    '"odd ""schema"."odd type, {x}"': ["a"],
    "public.hstore": ['a=>1, "b c"=>NULL, "q\\""=>"\\\\"', ""],
    "public.citext": ["MiXed"],
}
SINCE = {17: {"interval": ["infinity", "-infinity"]}}
EXTENSIONS = ("hstore", "citext")

# What the text alone would prove too little of: type, literal, JSON.
EXACT = [
    ("real", "0.1", 0.1), ("double precision", "NaN", "NaN"), ("double precision", "-Infinity", "-Infinity"),
    ("numeric", "12.500", "12.500"), ("numeric", DIGITS, DIGITS), ("numeric", "NaN", "NaN"), ("numeric", "Infinity", "Infinity"),
    ("money", "-1234567.89", "-1234567.89"), ("numeric(10,2)", "1234.5", "1234.50"),
    ("boolean", "t", True), ("bytea", "\\x00ff", "AP8="), ("character(5)", "ab", "ab   "),
    ("date", "0044-03-15 BC", "-000043-03-15"), ("date", "0001-01-01 BC", "+000000-01-01"),
    ("date", "10000-01-01", "+010000-01-01"), ("date", "infinity", "infinity"), ("date", "5874897-12-31", "+5874897-12-31"),
    ("timestamp without time zone", "2026-11-21 06:42:00.5", "2026-11-21T06:42:00.5"),
    ("timestamp with time zone", "2026-11-21 12:12:00.5+05:30", "2026-11-21T06:42:00.5Z"),
    ("timestamp with time zone", "0044-03-15 10:00:00+00 BC", "-000043-03-15T10:00:00Z"),
    ("timestamp with time zone", "-infinity", "-infinity"), ("time without time zone", "24:00", "24:00:00"),
    ("time with time zone", "06:42+05:30", "06:42:00+05:30"),
    ("interval", "1 year -2 months 3 days 04:05:06.7", "P10M3DT4H5M6.7S"),
    ("interval", "0", "PT0S"), ("bit varying", "0101", "0101"), ("int2vector", "1 2 -3", [1, 2, -3]), ("oidvector", "", []),
    ("jsonb", '{"b": 1.50}', {"b": 1.5}), ("xid", "7", "7"), ("oid", "7", 7), ("public.tiny", "5", 5),
    ("integer[]", "{}", []), ("integer[]", "{1,NULL,-3}", [1, None, -3]), ("integer[]", "[0:1]={1,2}", [1, 2]),
    ("integer[]", "{{1,2},{3,NULL}}", [[1, 2], [3, None]]), ("integer[]", "[-1:-1][5:6][1:1]={{{1},{2}}}", [[[1], [2]]]),
    ("integer[]", "{{{{{{1}}}}}}", [[[[[[1]]]]]]),
    ("text[]", '{"NULL",NULL,"","a\\"b\\\\c","x,y","{z}"," ",null,"null"}',
     ["NULL", None, "", 'a"b\\c', "x,y", "{z}", " ", None, "null"]),
    ("text[]", '{{"é","ё"},{a,b}}', [["é", "ё"], ["a", "b"]]),
    ("box[]", "{(1,1),(0,0);(2,2),(1,1)}", ["(1,1),(0,0)", "(2,2),(1,1)"]), ("public.area[]", "{(1,1),(0,0)}", ["(1,1),(0,0)"]),
    ("boolean[]", "{t,f}", [True, False]), ("bytea[]", '{"\\\\x00ff"}', ["AP8="]), ("numeric[]", "{1.50,NaN}", [1.5, "NaN"]),
    ("double precision[]", "{0.1,Infinity}", [0.1, "Infinity"]), ("money[]", '{"1,234.5"}', [1234.5]),
    ("jsonb[]", '{"{\\"a\\": [1, null]}","null",NULL}', [{"a": [1, None]}, None, None]),
    ("timestamp with time zone[]", '{"2026-11-21 06:42:00.5+00","0044-03-15 BC",infinity}',
     ["2026-11-21T06:42:00.5Z", "-000043-03-15T00:00:00Z", "infinity"]),
    ("int2vector[]", '{"1 2","3"}', [[1, 2], [3]]),
    ("public.scores", "{1,2}", [1, 2]), ("public.scores", "{{1},{2}}", [[1], [2]]),
    ("public.scores[]", '{"{1,2}","{}",NULL}', [[1, 2], [], None]),
    ("public.mood[]", '{ok,"it\'s, \\"fine\\""}', ["ok", 'it\'s, "fine"']),
    ("public.pair[]", '{"(1,\\"x y\\",)"}', ['(1,"x y",)']),
]


class Number(str):
    """A number of JSON by its digits."""


def numbers(text):
    """JSON with each number as it stands and each object as a list of pairs: keys may come twice."""
    return json.loads(text, parse_int=Number, parse_float=Number, object_pairs_hook=lambda pairs: [list(p) for p in pairs])


# The second reader: from the server's text of a type to JSON.

def read_day(text):
    found = re.fullmatch(r"(\d+)-(\d\d)-(\d\d)(?: (\d\d:\d\d:\d\d(?:\.\d+)?)(\+00)?)?( BC)?", text)
    if not found:
        return text
    year, month, day, clock, zone, before = found.groups()
    shown = "%04d" % int(year) if int(year) <= 9999 and not before else "%+07d" % (1 - int(year) if before else int(year))
    return "%s-%s-%s%s%s" % (shown, month, day, "T" + clock if clock else "", "Z" if zone else "")


def read_float(text):
    return text if text in ("NaN", "Infinity", "-Infinity") else ("float", repr(float(text)))


def read_bytes(text):
    return base64.b64encode(bytes.fromhex(text[2:])).decode()


def read_decimal(text, in_list=False):
    digits = text.replace("$", "").replace(",", "")
    return Number(digits) if in_list and digits not in ("NaN", "Infinity", "-Infinity") else digits


READERS = {
    "boolean": lambda text: {"t": True, "f": False}[text],
    "smallint": Number, "integer": Number, "bigint": Number, "oid": Number,
    "real": read_float, "double precision": read_float, "bytea": read_bytes, "json": numbers, "jsonb": numbers,
    "date": read_day, "timestamp without time zone": read_day, "timestamp with time zone": read_day,
    "timestamp(3) with time zone": read_day, "int2vector": lambda text: [Number(n) for n in text.split()],
    "oidvector": lambda text: [Number(n) for n in text.split()],
}


def read(kind, text, in_list=False):
    if text is None:
        return None
    kind = BASES.get(kind.replace("public.", ""), kind)
    if kind.startswith("numeric") or kind == "money":
        return read_decimal(text, in_list)
    return READERS.get(kind, lambda t: t)(text)


def same(got, want):
    """Floats by their value; everything else to the digit."""
    if isinstance(want, tuple):
        return isinstance(got, Number) and repr(float(got)) == want[1]
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(map(same, got, want))
    return type(got) is type(want) and got == want


# The server, the daemon, and one table with a column of each type.

class Rig:
    def __init__(self, version):
        self.version = version
        self.scratch = tempfile.TemporaryDirectory(prefix="tg-")
        self.server = self.workspace = self.db = None
        self.rows = []  # (column, type, what to insert) by id
        self.next_id = 0

    def open(self):
        self.server = Postgres(os.path.join(self.scratch.name, "postgres"), self.version)
        with self.server.admin() as db:
            db.execute("CREATE DATABASE shop")
        self.db = self.server.admin("shop")
        self.has = {e: self.try_sql('CREATE EXTENSION "%s"' % e) for e in EXTENSIONS}
        self.db.execute(MORE_TYPES)
        self.db.execute("CREATE TABLE vals(id integer PRIMARY KEY); ALTER TABLE vals REPLICA IDENTITY FULL")
        self.columns = {}
        for kind in list(VALUES) + [kind for kind, _, _ in EXACT]:
            self.column(kind)
            if not kind.endswith("[]") and self.column(kind):
                self.column(kind + "[]")
        self.db.execute("CREATE TABLE toasted(id integer PRIMARY KEY, big text, list integer[], n integer);"
                        "CREATE TABLE toasted_full(id integer PRIMARY KEY, big bytea, n integer);"
                        "CREATE TABLE huge(id integer PRIMARY KEY, data bytea);"
                        "ALTER TABLE toasted ALTER big SET STORAGE EXTERNAL, ALTER list SET STORAGE EXTERNAL;"
                        "ALTER TABLE toasted_full ALTER big SET STORAGE EXTERNAL, REPLICA IDENTITY FULL")
        self.workspace = Workspace(os.path.join(self.scratch.name, "w"))
        url = self.server.url(database="shop")
        self.workspace.configure({"shop": {"driver": "postgres", "url": url, "tables": ["*"]}}, {})
        self.workspace.start()
        for name, value in SETTINGS.items():
            self.db.execute("SET %s = %s" % (name, self.db.literal(value)))
        return self

    def close(self):
        if self.workspace:
            self.workspace.close()
        if self.db:
            self.db.close()
        if self.server:
            self.server.close()
        self.scratch.cleanup()

    def try_sql(self, sql):
        try:
            self.db.execute(sql)
            return True
        except pq.Error:
            return False

    def column(self, kind):
        """The name of the column of that type, made at first; None if this server has no such type."""
        if kind not in self.columns:
            name = "c%d" % len(self.columns)
            self.columns[kind] = name if self.try_sql("ALTER TABLE vals ADD %s %s" % (name, kind)) else None
        return self.columns[kind]

    def insert(self, kind, literal):
        """The id of a new row; None if this server does not take that literal."""
        sql = "INSERT INTO public.vals(id, %s) VALUES(%d, %s)" % (self.columns[kind], self.next_id, literal)
        if not self.try_sql(sql):
            return None
        self.next_id += 1
        return self.next_id - 1

    def since(self, seen, count, parse=json.loads):
        """The events behind number `seen`, once `count` of them are there."""
        count += seen

        def there():
            return self.newest() >= count
        if not wait_until(there, 60, 0.05):
            raise Failed("only %d of %d events came:\n%s" % (
                self.newest(), count, self.workspace.log_tail()))
        done = self.workspace.run("events", "--from-lsn", str(seen + 1), timeout=120)
        if done.returncode != 0:
            raise Failed("tidegate events: %s" % done.stderr.decode(errors="replace"))
        return [dict(parse(line)) for line in done.stdout.split(b"\n") if line]

    def newest(self):
        return self.workspace.status()["journal"]["newest_lsn"]


def literals(rig, kind):
    given = VALUES.get(kind, [])
    for version, more in SINCE.items():
        if rig.server.version >= version:
            given = given + more.get(kind, [])
    return given


def element_texts(rig, row, column):
    return [r[0] for r in rig.db.execute(
        "SELECT %s[i] FROM public.vals, generate_subscripts(%s, 1) i WHERE id = %d ORDER BY i" % (column, column, row))]


def every_type(rig, problems):
    """Each literal of each type, and a list of them: as the second reader says, when it comes and when
    it goes."""
    wanted, seen = {}, rig.newest()
    refused = [kind for kind in VALUES if not rig.columns[kind]]
    for kind in VALUES:
        column, taken = rig.columns[kind], []
        for literal in literals(rig, kind) if column else ():
            row = rig.insert(kind, "%s::%s" % (rig.db.literal(literal), kind))
            if row is None:
                refused.append("%s %s" % (kind, literal[:40]))
                continue
            taken.append(literal)
            text = rig.db.one("SELECT %s FROM public.vals WHERE id = %d" % (column, row))
            wanted[row] = (kind, column, read(kind, text), literal)
        if taken:
            listed = "ARRAY[%s, NULL]::%s[]" % (", ".join("%s::%s" % (rig.db.literal(t), kind) for t in taken), kind)
            row = rig.insert(kind + "[]", listed)
            column = rig.columns[kind + "[]"]
            texts = element_texts(rig, row, column)
            expect(problems, "elements of " + kind, len(texts), len(taken) + 1)
            wanted[row] = (kind + "[]", column, [read(kind, t, True) for t in texts], "a list")
    rig.db.execute("INSERT INTO public.vals(id) VALUES(%d); DELETE FROM public.vals" % rig.next_id)
    rig.next_id += 1
    print("         %d values of %d types; this server refused: %s" % (
        len(wanted), len(VALUES), ", ".join(refused) or "nothing"), flush=True)
    known = {"xml"} | {"public." + e for e in EXTENSIONS if not rig.has[e]}
    expect(problems, "refused", sorted(set(refused) - known), [])
    compare(problems, wanted, rig.since(seen, 2 * (len(wanted) + 1), numbers), len(rig.columns))


def compare(problems, wanted, events, width):
    ops = {"insert": "new", "delete": "old"}
    expect(problems, "events of each op", [sum(e["op"] == op for e in events) for op in ops], [len(wanted) + 1] * 2)
    for event in events:
        image = dict(event[ops[event["op"]]])
        row = int(image.pop("id"))
        kind, column, want, literal = wanted.get(row, ("NULL", None, None, ""))
        got = image.pop(column, "absent") if column else None
        if not same(got, want):
            problems.append("%s of %s %s: %.300r, must be %.300r" % (event["op"], kind, literal[:60], got, want))
        if any(v is not None for v in image.values()) or len(image) < width // 2:
            problems.append("%s of %s %s: other columns are not NULL" % (event["op"], kind, literal[:60]))


def exact_values(rig, problems):
    """What stands in the table above, word for word."""
    seen, rows = rig.newest(), {}
    for kind, literal, want in EXACT:
        row = rig.insert(kind, "%s::%s" % (rig.db.literal(literal), kind))
        if row is None:
            problems.append("%s %s: refused" % (kind, literal[:60]))
        rows[row] = (kind, literal, want)
    for event in rig.since(seen, len(rows)):
        kind, literal, want = rows[event["new"]["id"]]
        got = event["new"][rig.columns[kind]]
        if got != want or type(got) is not type(want):
            problems.append("%s %s: %.300r, must be %.300r" % (kind, literal[:60], got, want))


def types_made_meanwhile(rig, problems):
    """Types that are younger than the stream, in a table that it knows."""
    seen = rig.newest()
    rig.db.execute("""
        CREATE TYPE public.late AS ENUM('a', 'b c');
        CREATE DOMAIN public.late_count AS bigint; CREATE DOMAIN public.late_counts AS public.late_count[];
        CREATE TYPE public.late_pair AS (x public.late, y integer);
        ALTER TABLE public.vals ADD l1 public.late, ADD l2 public.late[], ADD l3 public.late_counts,
          ADD l4 public.late_pair, ADD l5 public.late_pair[];
        ALTER TYPE public.late ADD VALUE 'new';
        INSERT INTO public.vals(id, l1, l2, l3, l4, l5) VALUES(%d, 'b c', '{a,"b c",NULL}', '{1,2}', '("b c",1)', '{"(a,)"}')"""
                   % rig.next_id)
    rig.db.execute("UPDATE public.vals SET l1 = 'new' WHERE id = %d" % rig.next_id)
    rig.next_id += 1
    news = rig.since(seen, 3)
    expect(problems, "ops", [e["op"] for e in news], ["ddl", "insert", "update"])
    expect(problems, "late types", [news[1]["new"]["l%d" % i] for i in range(1, 6)],
           ["b c", ["a", "b c", None], [1, 2], '("b c",1)', ["(a,)"]])
    expect(problems, "late label", news[2]["new"]["l1"], "new")


def set_standby(rig, words):
    rig.db.execute("ALTER SYSTEM " + words)
    rig.db.execute("SELECT pg_reload_conf()")


def commit_until_it_waits(server):
    """A commit that takes more than a moment has waited."""
    with server.admin("shop") as connection:
        took = 0
        while took < 0.5:
            began = time.monotonic()
            connection.execute("BEGIN; SELECT pg_current_xact_id(); COMMIT")
            took = time.monotonic() - began


def types_not_seen_yet(rig, problems):
    """A commit that waits for a standby is in the log, and nobody sees its types in the catalog."""
    seen = rig.newest()
    with rig.server.admin("shop") as other:
        set_standby(rig, "SET synchronous_standby_names = 'nobody'")
        wait_until(lambda: other.one("SHOW synchronous_standby_names") == "nobody", 10)
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        # The setting holds once another process of the server has read it: commit until one waits.
        probe = threading.Thread(target=commit_until_it_waits, args=[rig.server])
        probe.start()
        wait_until(lambda: rig.db.one(waits) == "1", 20)
        writer = threading.Thread(target=other.execute, args=[
            "BEGIN; CREATE TYPE public.unseen AS ENUM('x y');"
            "ALTER TABLE public.vals ADD u1 public.unseen[], ADD u2 public.unseen;"
            "INSERT INTO public.vals(id, u1, u2) VALUES(%d, '{\"x y\",NULL}', 'x y'); COMMIT" % rig.next_id])
        writer.start()
        expect(problems, "it waits", bool(wait_until(lambda: rig.db.one(waits) == "2", 10)), True)
        time.sleep(1)
        expect(problems, "nothing is guessed", rig.newest(), seen)
        set_standby(rig, "RESET synchronous_standby_names")
        writer.join(30)
    rig.next_id += 1
    new = rig.since(seen, 2)[1]["new"]
    expect(problems, "types", [new["u1"], new["u2"]], [["x y", None], "x y"])


def unchanged_toast(rig, problems):
    """A big value that an update left alone is not in the log: named, never made up."""
    seen = rig.newest()
    rig.db.execute("INSERT INTO public.toasted VALUES(1, repeat('x', 9000), array_fill(7, ARRAY[5000]), 1)")
    rig.db.execute("UPDATE public.toasted SET n = 2")
    rig.db.execute("UPDATE public.toasted SET big = 'short'")
    rig.db.execute("INSERT INTO public.toasted_full VALUES(1, decode(repeat('ff', 9000), 'hex'), 1)")
    rig.db.execute("UPDATE public.toasted_full SET n = 2")
    events = rig.since(seen, 5)
    first, second, third, _, full = [e["new"] for e in events]
    expect(problems, "inserted", [first["big"], first["list"]], ["x" * 9000, [7] * 5000])
    expect(problems, "updated", second, {"id": 1, "n": 2})
    expect(problems, "unchanged", events[1].get("unchanged"), ["big", "list"])
    expect(problems, "changed later", [third["big"], events[2].get("unchanged")], ["short", ["list"]])
    expect(problems, "with identity full", [full["big"], events[4].get("unchanged"), events[4].get("changed")],
           [base64.b64encode(b"\xff" * 9000).decode(), None, ["n"]])


def hundred_megabytes(rig, problems):
    """One value of 100 MB arrives whole, and the daemon stays up."""
    seen = rig.newest()
    rig.db.execute("INSERT INTO public.huge SELECT 1, decode(string_agg(md5(i::text), ''), 'hex')"
                   " FROM generate_series(1, 6250000) i")
    want = rig.db.one("SELECT encode(sha256(data), 'hex') FROM public.huge")
    event = rig.since(seen, 1)[0]
    data = base64.b64decode(event["new"]["data"])
    expect(problems, "bytes", [len(data), hashlib.sha256(data).hexdigest()], [100000000, want])
    expect(problems, "the daemon runs", rig.workspace.running(), True)


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def text_at(data, at):
    size, at = varint(data, at)
    return data[at:at + size].decode(), at + size


def read_schema(data):
    """The table's name and {column: type}, from the form that core/event/schema.c writes."""
    at, columns = 1, {}
    for _ in ("source", "driver", "schema", "table"):
        table, at = text_at(data, at)
    count, at = varint(data, at)
    for _ in range(count):
        name, at = text_at(data, at)
        columns[name], at = text_at(data, at)
        _, at = varint(data, at + 2)
    return table, columns


def stored_types(rig):
    """{table: {column: type}} of every schema in the store; of each table the widest."""
    found = {}
    with sqlite3.connect("file:%s?mode=ro" % rig.workspace.path("data", "tidegate.db"), uri=True) as db:
        for (data,) in db.execute("SELECT encoded FROM schemas ORDER BY rowid"):
            table, columns = read_schema(data)
            if len(columns) >= len(found.get(table, {})):
                found[table] = columns
    return found


def declared_types(rig, problems):
    """A column's type is named as it was declared, modifier and all."""
    stored = stored_types(rig)
    for table in ("vals", "toasted", "huge"):
        want = dict(rig.db.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
            " AND NOT attisdropped", "public." + table))
        got = stored.get(table, {})
        wrong = {c: (got.get(c), kind) for c, kind in want.items() if got.get(c) != kind}
        expect(problems, "types of " + table, wrong, {})
    expect(problems, "a modifier", stored["vals"][rig.columns["numeric(10,2)"]], "numeric(10,2)")


def not_utf8(rig, problems):
    """A database without encoding holds any bytes; text that is not UTF-8 comes as bytes."""
    rig.workspace.stop()
    with rig.server.admin() as db:
        db.execute("CREATE DATABASE old ENCODING 'SQL_ASCII' TEMPLATE template0")
    with rig.server.admin("old") as db:
        db.execute("CREATE TABLE latin(id integer PRIMARY KEY, t text, l text[])")
        other = Workspace(os.path.join(rig.scratch.name, "old"))
        other.configure({"old": {"driver": "postgres", "url": rig.server.url(database="old"), "tables": ["*"]}}, {})
        try:
            other.start()
            db.execute("SET client_encoding = SQL_ASCII")
            db.execute("INSERT INTO latin VALUES(1, 'plain', '{a}'), (2, E'na\\xefve', ARRAY[E'\\xe9'])")
            wait_until(lambda: other.status()["journal"]["newest_lsn"] >= 2, 20, 0.05)
            got = [e["new"] for e in other.events()]
            want = [{"id": 1, "t": "plain", "l": ["a"]},
                    {"id": 2, "t": base64.b64encode(b"na\xefve").decode(), "l": base64.b64encode(b"{\xe9}").decode()}]
            expect(problems, "rows", got, want)
        finally:
            other.close()


CASES = (every_type, exact_values, types_made_meanwhile, types_not_seen_yet, unchanged_toast,
         hundred_megabytes, declared_types, not_utf8)


def main():
    rigs, cases = [], []
    try:
        for version in VERSIONS:
            rig = Rig(version)
            rigs.append(rig)
            try:
                rig.open()
            except Unavailable as error:
                print("skipped  PostgreSQL %s: %s" % (version or "of this system", error), flush=True)
                if version is None:
                    sys.exit(77)
                continue
            for case in CASES:
                bound = functools.partial(case, rig)
                bound.__name__ = "%s on %d" % (case.__name__, rig.server.version)
                cases.append(bound)
        run_cases(cases)
    finally:
        for rig in rigs:
            rig.close()


if __name__ == "__main__":
    main()
