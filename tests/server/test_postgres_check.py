#!/usr/bin/env python3
"""`check` on real PostgreSQL servers: each finding comes with the statement that mends it; that statement
is run, as a superuser, and the finding must be gone. Bad input ends in one clear message, and nothing is
lost. `triggers`, `sources remove` and `reset` drop what Tidegate made, or list what stays.

A server older than 14 is in no package archive that a test could use, so that refusal is not run here.
The installed server runs everything; 17 and 18 run `check` and the event trigger."""
import json
import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import pq  # noqa: E402
from harness.daemon import Failed, Workspace, wait_until  # noqa: E402
from harness.flow import expect, run_cases  # noqa: E402
from harness.servers import Unavailable  # noqa: E402
from harness.servers.postgres import Postgres  # noqa: E402

TABLES = """
CREATE TABLE orders(id int PRIMARY KEY, status text, amount numeric(10,2));
CREATE TABLE loose(a text);
CREATE TABLE silent(id int PRIMARY KEY, v text);
ALTER TABLE silent REPLICA IDENTITY NOTHING;
CREATE UNLOGGED TABLE fleeting(id int PRIMARY KEY);
CREATE VIEW paid AS SELECT * FROM orders;
CREATE TABLE parts(id int) PARTITION BY LIST(id);
ALTER TABLE parts REPLICA IDENTITY FULL;
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
ALTER TABLE parts_1 REPLICA IDENTITY FULL;
CREATE TABLE "it's; ""drop"" it" (id int PRIMARY KEY);
"""
SERVERS = {}
WORK = tempfile.mkdtemp(prefix="tg-", dir=os.environ.get("TMPDIR"))
os.chmod(WORK, 0o711)


def server_of(version=None):
    """One for all cases that leave its settings as they were."""
    if version not in SERVERS:
        SERVERS[version] = Postgres(os.path.join(WORK, "pg%s" % (version or "")), version,
                                    max_slot_wal_keep_size="2000GB")  # more than the writing of all cases in a day
    return SERVERS[version]


def statements(mend):
    """What a person would paste, one by one: ALTER SYSTEM takes no company."""
    parts = [""]
    for token in re.findall(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$tidegate\$.*?\$tidegate\$|--[^\n]*|;|.", mend, re.S):
        if token == ";":
            parts.append("")
        elif not token.startswith("--"):
            parts[-1] += token
    return [part.strip() for part in parts if part.strip()]


class Place:
    """A database of its own with a role that owns its tables, and a workspace that reads it."""
    count = 0

    def __init__(self, server, sql=TABLES, scripts="", **options):
        Place.count += 1
        self.server = server
        self.database, self.role = "shop%d" % Place.count, "tide-%d" % Place.count
        self.admin = server.admin()
        self.admin.execute('CREATE ROLE "%s" LOGIN REPLICATION PASSWORD \'pw\'' % self.role)
        self.admin.execute('CREATE DATABASE %s OWNER "%s"' % (self.database, self.role))
        self.db = server.admin(self.database)
        with self.connect() as own:
            own.execute(sql)
        self.workspace = Workspace(os.path.join(WORK, "ws%d" % Place.count))
        os.chmod(self.workspace.folder, 0o700)
        self.options = {"driver": "postgres", "host": "127.0.0.1", "port": server.port, "user": self.role, "password": "pw",
                        "database": self.database, "tls": {"mode": "off"}, "tables": ["orders"]}
        self.configure(**options)
        if scripts:
            self.workspace.write("scripts/rules.lua", scripts)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.workspace.close()
        self.db.close()
        self.admin.close()

    def connect(self, **more):
        return pq.connect(self.server.conninfo(self.role, "pw", self.database, host="127.0.0.1", sslmode="disable", **more))

    def configure(self, **options):
        self.options.update(options)
        given = {k: v for k, v in self.options.items() if v is not None}
        self.workspace.configure({"pg": given} if given else {}, {"out": {"type": "file", "path": "out.jsonl"}})

    def check(self):
        done = self.workspace.run("check", "--json")
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return done.returncode, found

    def made(self, what):
        """Names of ours in the database."""
        asked = {"publication": "SELECT pubname FROM pg_publication", "slot": "SELECT slot_name FROM pg_replication_slots",
                 "event trigger": "SELECT evtname FROM pg_event_trigger",
                 "schema": "SELECT nspname FROM pg_namespace"}[what]
        mark = "tidegate_%s" % self.workspace_id()
        return [row[0] for row in self.db.execute(asked) if row[0].startswith(mark)]

    def workspace_id(self):
        import sqlite3
        db = sqlite3.connect("file:%s?mode=ro" % self.workspace.path("data", "tidegate.db"), uri=True)
        try:
            return db.execute("SELECT value FROM meta WHERE name = 'workspace'").fetchone()[0]
        finally:
            db.close()

    def run_once(self):
        """Starts and stops, so that everything is made."""
        self.workspace.start()
        self.workspace.stop()


def find(found, words):
    return [f for f in found if all(w in f["message"] for w in words) and f["level"] != "ok"]


def look(problems, place, what, words, level, statement):
    """The finding is there, once, with its statement; run, it is gone. Answers what is left."""
    _, found = place.check()
    hits = find(found, words)
    if len(hits) != 1 or hits[0]["level"] != level or not re.search(statement, hits[0]["mend"]):
        problems.append("%s: %s of %s" % (what, hits, [f for f in found if f["level"] != "ok"]))
        return None
    for sql in statements(hits[0]["mend"]):
        try:
            place.db.execute(sql)
        except pq.Error as error:
            problems.append("%s: %s: %s" % (what, sql, error))
    wait_until(lambda: not find(place.check()[1], words), 3, 0.1)
    code, found = place.check()
    if find(found, words):
        problems.append("%s: still said after %s" % (what, hits[0]["mend"]))
    return code, [f for f in found if f["level"] != "ok"]


def catalog(place):
    """Whatever a check could have changed."""
    return [place.db.execute(sql) for sql in (
        "SELECT pubname, pubowner FROM pg_publication ORDER BY 1",
        "SELECT slot_name, confirmed_flush_lsn, active_pid FROM pg_replication_slots ORDER BY 1",
        "SELECT relname, relreplident, relacl FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
        "SELECT evtname FROM pg_event_trigger ORDER BY 1", "SELECT nspname FROM pg_namespace ORDER BY 1",
        "SELECT rolname, rolreplication FROM pg_roles ORDER BY 1", "SELECT name, setting FROM pg_settings ORDER BY 1")]


def a_good_setup_is_all_ok(problems, version=None):
    with Place(server_of(version)) as place:
        before = catalog(place)
        for when in ("before the first start", "after it"):
            code, found = place.check()
            expect(problems, "exit code " + when, (code, [f for f in found if f["level"] != "ok"]), (0, []))
            if before is not None and catalog(place) != before:
                problems.append("check changed the database")
            before = None
            place.run_once()
        place.workspace.start()
        code, found = place.check()
        expect(problems, "exit code beside the daemon", (code, [f for f in found if f["level"] != "ok"]), (0, []))
        place.workspace.stop()
        said = " ".join(f["message"] for f in found)
        for words in ("hours left before loss", "wal_level is logical", "may replicate", "max_replication_slots",
                      "max_wal_senders", "behind", "(reserved)", "(tidegate)", '"public"."orders": key id'):
            if words not in said:
                problems.append("%r is not said: %s" % (words, said))


# What is wrong: SQL as a superuser, options, words of the finding, its level, the statement. {role} and
# {db} are filled in.
OLD = 'rule("r", { on = "pg:orders", ops = "update", changed = "status", notify = "out" })'
WRONG = (
    ('ALTER ROLE "{role}" NOREPLICATION', {}, ["no right to replicate"], "error", r'^ALTER ROLE "{role}" REPLICATION;'),
    ('ALTER DATABASE {db} OWNER TO postgres', {}, ["no right to make a publication"], "error",
     r'^GRANT CREATE ON DATABASE "{db}" TO "{role}";'),
    ('CREATE ROLE "app{db}"; ALTER TABLE orders OWNER TO "app{db}"; GRANT SELECT ON orders TO "{role}"', {},
     ["does not own table", '"public"."orders"'], "error", r'^GRANT "app{db}" TO "{role}";'),
    ('CREATE PUBLICATION mine FOR TABLE orders; ALTER TABLE orders OWNER TO postgres', {"publication": "mine"},
     ["no right to read table", '"public"."orders"'], "warning", r'GRANT SELECT ON "public"."orders" TO "{role}";'),
    ("", {"publication": "mi\"ne"}, ['publication "mi"ne"', "does not exist"], "error",
     r'^CREATE PUBLICATION "mi""ne" FOR TABLE "public"."orders"'),
    ("CREATE PUBLICATION mine FOR TABLE silent", {"publication": "mine"},
     ["is not in publication", '"public"."orders"'], "warning", r'^ALTER PUBLICATION "mine" ADD TABLE ONLY "public"."orders";'),
    ("CREATE PUBLICATION mine FOR TABLE orders WITH (publish = 'insert')", {"publication": "mine"},
     ["leaves out some operations"], "warning", r"^ALTER PUBLICATION \"mine\" SET \(publish = "),
    ("CREATE PUBLICATION mine FOR TABLE parts", {"publication": "mine", "tables": ["parts"]},
     ["under the partition's name"], "warning", r'^ALTER PUBLICATION "mine" SET \(publish_via_partition_root'),
    ("", {"tables": ["loose"]}, ['"public"."loose"', "no replica identity", "only inserts and truncates"], "warning",
     r'^ALTER TABLE "public"."loose" REPLICA IDENTITY FULL;'),
    ("", {"tables": ["silent"]}, ['"public"."silent"', "no replica identity"], "warning",
     r'^ALTER TABLE "public"."silent" REPLICA IDENTITY DEFAULT;'),
    ("ALTER TABLE parts_1 REPLICA IDENTITY DEFAULT", {"tables": ["parts"]},
     ['"public"."parts_1" in "public"."parts"', "no replica identity"], "warning",
     r'^ALTER TABLE "public"."parts_1" REPLICA IDENTITY FULL;'),
    ("", {"tables": ["orders", "fleeting"]}, ['"public"."fleeting" is unlogged'], "warning",
     r'^ALTER TABLE "public"."fleeting" SET LOGGED;'),
    ('ALTER TABLE "it\'s; ""drop"" it" REPLICA IDENTITY NOTHING', {"tables": ["it's*"]}, ["no replica identity"], "warning",
     r'^ALTER TABLE "public"."it\'s; ""drop"" it" REPLICA IDENTITY DEFAULT;'),
    ("", {"scripts": OLD}, ['scripts/rules.lua:1: rule "r"', "changed", "public.orders"], "warning",
     r'^ALTER TABLE "public"."orders" REPLICA IDENTITY FULL'),
    ("", {"slot": "theirs_{db}"}, ['slot "theirs_{db}"', "does not exist"], "warning",
     r"^SELECT pg_create_logical_replication_slot\('theirs_{db}', 'pgoutput'\);"),
)
# What is mended elsewhere: options, words, and what the note says.
NAMES = (
    ({"tables": ["order"]}, ['no table matches "order"'], 'did you mean "orders"'),
    ({"tables": ["public.ordres"]}, ['no table matches "public.ordres"'], 'did you mean "public.orders"'),
    ({"tables": ["parts_1"]}, ['"parts_1" matches no table but partitions of public.parts'], 'name "public.parts"'),
    ({"tables": ["orders", "paid"]}, ['"public"."paid" is a view'], "name the tables"),
    ({"tables": None}, ["no table is captured"], 'tables = { "*" }'),
    ({"tables": None, "scripts": OLD.replace("orders", "ordres")}, ['no table matches "public.ordres", which a rule names'],
     'did you mean "public.orders"'),
    ({"database": "shopp"}, ["shopp"], ""),
    ({"password": "wrong"}, ["password"], ""),
    ({"host": "nowhere.invalid"}, ["nowhere.invalid"], ""),
    ({"port": 1}, ["127.0.0.1:1"], ""),
)


def each_finding_has_a_statement_that_mends_it(problems, version=None):
    for sql, options, words, level, statement in WRONG:
        options = dict(options)
        scripts = options.pop("scripts", "")
        with Place(server_of(version), scripts=scripts) as place:
            fill = {"role": place.role, "db": place.database}

            def filled(text):
                return re.sub(r"\{(role|db)\}", lambda m: fill[m.group(1)], text)
            for part in statements(filled(sql)):
                place.db.execute(part)
            place.configure(**{k: filled(v) if isinstance(v, str) else v for k, v in options.items()})
            rest = look(problems, place, sql or str(options), [filled(w) for w in words], level, filled(statement))
            if rest and rest != (0, []):
                problems.append("%s: left after the statement: %s" % (sql or options, rest))


def names_are_corrected(problems):
    for options, words, note in NAMES:
        options = dict(options)
        with Place(server_of(), scripts=options.pop("scripts", ""), **options) as place:
            code, found = place.check()
            hits = find(found, words)
            if code == 0 or len(hits) != 1 or note not in hits[0]["mend"]:
                problems.append("%s: exit %d: %s" % (options, code, [f for f in found if f["level"] != "ok"]))
            if any("wrong" in f["message"] or "'pw'" in f["message"] for f in found):
                problems.append("%s: the password is shown: %s" % (options, found))


def own_server(name, conf, **settings):
    """A server whose settings ALTER SYSTEM can change: none on its command line."""
    server = Postgres(os.path.join(WORK, name), started=False, **settings)
    for line in conf.splitlines():
        server.settings.pop(line.split()[0], None)
    with open(os.path.join(server.data, "postgresql.conf"), "a") as out:
        out.write("\n" + conf + "\n")
    server.start()
    return server


def settings_of_the_server(problems):
    """One that came as PostgreSQL comes, and with as few places as can be."""
    with own_server("plain", "wal_level = replica\nmax_replication_slots = 1\nmax_wal_senders = 2\n"
                    "max_slot_wal_keep_size = -1") as server:
        with Place(server) as place:
            place.admin.execute("SELECT pg_create_physical_replication_slot('taken')")
            place.workspace.start(wait=False)
            place.workspace.wait_alive()
            wait_until(lambda: place.workspace.status()["sources"][0]["state"] == "failed", 5, 0.05)
            said = json.dumps(place.workspace.status()["sources"][0])
            expect(problems, "state without wal_level", place.workspace.status()["sources"][0]["state"], "failed")
            if "wal_level" not in said:
                problems.append("start does not name wal_level: %s" % said)
            place.workspace.stop()
            for words, level, statement in (
                    (["wal_level is replica"], "error", "^ALTER SYSTEM SET wal_level = logical; -- then restart"),
                    (["max_replication_slots: 1 of 1 are in use, none is left"], "error",
                     "^ALTER SYSTEM SET max_replication_slots = 11; -- then restart"),
                    (["max_slot_wal_keep_size is not limited", "an hour (pg_stat_wal, over the last"], "warning",
                     r"^ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf\(\);")):
                hits = find(place.check()[1], words)
                if len(hits) != 1 or hits[0]["level"] != level or not re.search(statement, hits[0]["mend"]):
                    problems.append("%s: %s" % (words, hits))
                    continue
                for sql in statements(hits[0]["mend"]):
                    place.db.execute(sql)
        server.restart()
        with Place(server) as place:
            code, found = place.check()
            expect(problems, "after the statements", (code, [f for f in found if f["level"] != "ok"]), (0, []))


def slots_of_another_kind(problems):
    with Place(server_of()) as place:
        name = "theirs_" + place.database
        place.configure(slot=name)
        place.db.execute("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", name)
        drop = r"^SELECT pg_drop_replication_slot\('%s'\); -- " % name
        look(problems, place, "another plugin", ["test_decoding, not pgoutput"], "error", drop)
        place.admin.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", name)
        hits = find(place.check()[1], ['is of database "postgres"'])
        if len(hits) != 1 or not re.search(drop + 'in database "postgres"', hits[0]["mend"]):
            problems.append("another database: %s" % hits)
        place.admin.execute("SELECT pg_drop_replication_slot(%s)", name)
        expect(problems, "slots left", [f["message"] for f in find(place.check()[1], ["of database"])], [])


def begin_to_read(place, slot, publication):
    """Another reader of the slot: it holds it as long as it lives."""
    other = place.connect(replication="database", application_name="somebody")
    try:
        other.execute("START_REPLICATION SLOT %s LOGICAL 0/0 (proto_version '1', publication_names '%s')" % (slot, publication))
    except pq.Error:
        pass  # the copy has begun, which is no result
    pid = wait_until(lambda: place.db.one("SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", slot), 5)
    if not pid:
        raise Failed("nobody reads slot %s" % slot)
    return other


def a_slot_in_use_is_waited_for(problems):
    """By which process is said, and what was written meanwhile comes."""
    with Place(server_of()) as place:
        place.run_once()
        slot, publication = place.made("slot")[0], min(place.made("publication"))
        with begin_to_read(place, slot, publication):
            pid = place.db.one("SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", slot)
            place.db.execute("INSERT INTO orders VALUES(1, 'meanwhile', 1)")
            place.workspace.start(wait=False)
            place.workspace.wait_alive()
            wait_until(lambda: pid in json.dumps(place.workspace.status()["sources"][0]), 5, 0.05)
            if "process %s" % pid not in json.dumps(place.workspace.status()["sources"][0]):
                problems.append("status does not name process %s: %s" % (pid, place.workspace.status()["sources"]))
            look(problems, place, "in use", ["in use by process %s of the server (somebody)" % pid], "error",
                 r"^SELECT pg_terminate_backend\(%s\);" % pid)
        place.workspace.wait_ready(20)
        wait_until(lambda: place.workspace.events("--op", "insert"), 10, 0.1)
        expect(problems, "events", [e["new"]["status"] for e in place.workspace.events("--op", "insert")], ["meanwhile"])
        place.workspace.stop()


def a_lost_slot_is_told(problems):
    """The server kept no more than it was allowed to."""
    with own_server("tight", "max_slot_wal_keep_size = 1MB") as server, Place(server) as place:
        place.run_once()
        for _ in range(4):
            place.db.execute("CREATE TABLE filler(); DROP TABLE filler")
            place.db.execute("SELECT pg_switch_wal()")
        place.db.execute("CHECKPOINT")
        place.workspace.start(wait=False)
        place.workspace.wait_alive()
        wait_until(lambda: place.workspace.status()["sources"][0]["state"] == "lost", 5, 0.05)
        expect(problems, "state", place.workspace.status()["sources"][0]["state"], "lost")
        place.workspace.stop()
        look(problems, place, "lost", ["is lost (wal_removed)", "are gone"], "error",
             r"^SELECT pg_drop_replication_slot\('tidegate_.*'\); -- and on_lost = \"accept\"")


def lost_rights_lose_nothing(problems):
    """What was written while a right was missing comes once it is back."""
    for take, give in (('ALTER ROLE "{role}" NOREPLICATION', 'ALTER ROLE "{role}" REPLICATION'),
                       ('ALTER ROLE "{role}" NOLOGIN', 'ALTER ROLE "{role}" LOGIN'),
                       ('ALTER ROLE "{role}" PASSWORD \'other\'', 'ALTER ROLE "{role}" PASSWORD \'pw\'')):
        with Place(server_of()) as place:
            place.run_once()
            place.admin.execute(take.replace("{role}", place.role))
            place.db.execute("INSERT INTO orders VALUES(1, 'meanwhile', 1)")
            place.workspace.start(wait=False)
            place.workspace.wait_alive()
            wait_until(lambda: place.workspace.status()["sources"][0]["state"] == "failed", 10, 0.05)
            expect(problems, take, place.workspace.status()["sources"][0]["state"], "failed")
            place.workspace.stop()
            place.admin.execute(give.replace("{role}", place.role))
            place.workspace.start()
            wait_until(lambda: place.workspace.events("--op", "insert"), 10, 0.1)
            expect(problems, take + ": events", [e["new"]["status"] for e in place.workspace.events("--op", "insert")],
                   ["meanwhile"])
            place.workspace.stop()


def forget_source(place):
    """Takes it out of tidegate.lua."""
    place.workspace.configure({}, {"out": {"type": "file", "path": "out.jsonl"}})


def said(done):
    return done.stdout.decode() + done.stderr.decode()


def rows(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def what_is_installed_is_listed_and_removed(problems):
    with Place(server_of(), tables=["orders", "loose"]) as place:
        listed = rows(place.workspace.run("triggers", "pg", "list", "--json"))
        expect(problems, "before", {r["state"] for r in listed}, {"missing"})
        printed = place.workspace.run("triggers", "pg", "sync", "--sql").stdout.decode()
        expect(problems, "printing makes nothing", (place.made("publication"), place.made("slot")), ([], []))
        for sql in statements(printed):
            place.db.execute(sql)
        expect(problems, "the printed statements make all", (len(place.made("publication")), len(place.made("slot"))), (2, 1))
        expect(problems, "nothing more to print", place.workspace.run("triggers", "pg", "sync", "--sql").stdout, b"")
        for sql in statements(place.workspace.run("triggers", "pg", "remove", "--sql").stdout.decode()):
            place.db.execute(sql)
        expect(problems, "the printed statements remove all", (place.made("publication"), place.made("slot")), ([], []))
        done = place.workspace.run("triggers", "pg", "sync", "--json")
        expect(problems, "sync", (done.returncode, [r["state"] for r in rows(done)]),
               (0, ["there, 1 table", "there, 1 table", "there, in use by nobody"]))
        listed = rows(place.workspace.run("triggers", "pg", "list", "loose", "--json"))
        if len(listed) != 1 or "_keyless" not in listed[0]["state"]:
            problems.append("the keyless table: %s" % listed)
        place.workspace.run("triggers", "pg", "remove", "loose")
        expect(problems, "tables left", place.db.execute("SELECT tablename FROM pg_publication_tables"), [["orders"]])
        done = place.workspace.run("triggers", "pg", "remove", "ordres")
        if done.returncode == 0 or "ordres" not in said(done):
            problems.append("a table that is not there: %s" % said(done))
        place.run_once()
        forget_source(place)
        done = place.workspace.run("sources", "remove", "pg")
        expect(problems, "sources remove: exit code", done.returncode, 0)
        expect(problems, "sources remove", (place.made("publication"), place.made("slot")), ([], []))
        if place.workspace.run("sources", "remove", "pg").returncode == 0:
            problems.append("a removed source can be removed again")


def what_was_named_is_left_alone(problems):
    with Place(server_of(), publication="mine", slot=None) as place:
        name = "named_" + place.database
        place.configure(slot=name)
        place.db.execute("CREATE PUBLICATION mine FOR TABLE orders")
        place.db.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", name)
        place.run_once()
        forget_source(place)
        done = place.workspace.run("sources", "remove", "pg")
        expect(problems, "exit code", done.returncode, 0)
        expect(problems, "still there", (place.db.one("SELECT count(*) FROM pg_publication"),
                                         place.db.one("SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s", name)),
               ("1", "1"))
        if said(done).count("left alone") != 2:
            problems.append("not said: %s" % said(done))
        place.db.execute("SELECT pg_drop_replication_slot(%s)", name)


def what_cannot_be_dropped_is_listed(problems):
    with Place(server_of()) as place:
        place.run_once()
        slot, publication = place.made("slot")[0], min(place.made("publication"))
        forget_source(place)
        place.workspace.start()  # asked by the daemon first, of the files at last
        with begin_to_read(place, slot, publication):
            done = place.workspace.run("sources", "remove", "pg")
            if done.returncode == 0 or "in use by process" not in said(done) or \
                    "SELECT pg_drop_replication_slot('%s');" % slot not in said(done) or \
                    'DROP PUBLICATION "%s";' % publication not in said(done):
                problems.append("a slot in use: exit %d: %s" % (done.returncode, said(done)))
            expect(problems, "publications of a living slot", len(place.made("publication")), 2)
        place.db.execute('ALTER PUBLICATION "%s" OWNER TO postgres' % publication)
        wait_until(lambda: not place.db.one("SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", slot), 5)
        done = place.workspace.run("sources", "remove", "pg")
        if done.returncode == 0 or 'DROP PUBLICATION "%s";' % publication not in said(done):
            problems.append("no right: exit %d: %s" % (done.returncode, said(done)))
        expect(problems, "all but that", (place.made("publication"), place.made("slot")), ([publication], []))
        place.db.execute('DROP PUBLICATION "%s"' % publication)
        place.workspace.stop()
        done = place.workspace.run("sources", "remove", "pg")
        expect(problems, "in the end", (done.returncode, place.made("publication")), (0, []))


def reset_drops_or_lists(problems):
    with Place(server_of()) as place:
        place.run_once()
        slot = place.made("slot")[0]
        place.configure(port=1)
        # What the daemon would have done with an unreachable server, seen from outside.
        done = place.workspace.run("reset", "-f")
        if "SELECT pg_drop_replication_slot('%s');" % slot not in said(done) or "DROP PUBLICATION" not in said(done):
            problems.append("an unreachable server: %s" % said(done))
        expect(problems, "the data is gone", os.path.exists(place.workspace.path("data")), False)
        place.db.execute("SELECT pg_drop_replication_slot(%s)", slot)
        place.configure(port=place.server.port)
        place.run_once()
        made = place.made("slot") + place.made("publication")
        done = place.workspace.run("reset", "-f")
        left = place.db.execute("SELECT slot_name FROM pg_replication_slots UNION ALL SELECT pubname FROM pg_publication")
        expect(problems, "reset", (done.returncode, len(made), [n for n in made if [n] in left]), (0, 3, []))


def the_event_trigger_never_fails_its_user(problems, version=None):
    with Place(server_of(version), ddl="trigger") as place:
        place.workspace.run("triggers", "pg", "list")  # the workspace gets its id
        hits = find(place.check()[1], ["the event trigger", "takes a superuser"])
        if len(hits) != 1 or "tidegate triggers pg sync --sql" not in hits[0]["mend"]:
            problems.append("no right to make it: %s" % hits)
        done = place.workspace.run("triggers", "pg", "sync")
        if done.returncode == 0 or "superuser" not in said(done):
            problems.append("sync without the right: exit %d: %s" % (done.returncode, said(done)))
        expect(problems, "nothing half made", (place.made("schema"), place.made("event trigger")), ([], []))
        printed = [json.loads(line)["sql"] for line in
                   place.workspace.run("triggers", "pg", "sync", "--sql", "--json").stdout.splitlines()]
        for sql in printed:
            if "EVENT TRIGGER" in sql or "CREATE FUNCTION" in sql or "REPLACE FUNCTION" in sql or "CREATE SCHEMA" in sql:
                place.db.execute(sql)
        code, found = place.check()
        expect(problems, "after the printed statements", (code, find(found, [])), (0, []))
        place.workspace.start()
        with place.connect() as own:
            own.execute("INSERT INTO orders VALUES(0, 'known', 1)")  # what a table was is known by its rows
            own.execute("ALTER TABLE orders ADD note text")
            own.execute("INSERT INTO orders VALUES(1, 'new', 1, 'x')")
            place.db.execute("REVOKE EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, bytea) FROM PUBLIC"
                             if int(own.version()) < 170000 else
                             "REVOKE EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, bytea, boolean) FROM PUBLIC")
            own.execute("ALTER TABLE orders ADD more text; CREATE TABLE extra AS SELECT 1 AS a; DROP TABLE extra")
            own.execute("SET search_path = pg_temp; CREATE TEMP TABLE json_build_object(x int)")
            own.execute("INSERT INTO public.orders VALUES(2, 'newer', 1, 'x', 'y')")
        wait_until(lambda: len(place.workspace.events("--op", "insert")) == 3, 10, 0.1)
        ddl = [e["ddl"] for e in place.workspace.events("--op", "ddl")]
        if not ddl or (ddl[0]["sql"], ddl[0]["added"]) != ("ALTER TABLE orders ADD note text", ["note"]):
            problems.append("ddl events: %s" % ddl)
        if not any(d["added"] == ["more"] for d in ddl):
            problems.append("the change that the trigger could not tell of: %s" % ddl)
        place.workspace.stop()
        listed = {r["name"]: r["state"] for r in rows(place.workspace.run("triggers", "pg", "list", "--json"))}
        expect(problems, "list", listed.get("event trigger and its function"), "there")
        forget_source(place)
        done = place.workspace.run("sources", "remove", "pg")
        if done.returncode == 0 or "DROP EVENT TRIGGER" not in said(done):
            problems.append("a user who may not drop it: exit %d: %s" % (done.returncode, said(done)))
        for row in rows(place.workspace.run("sources", "remove", "pg", "--json")):
            if row.get("sql"):
                place.db.execute(row["sql"])
        done = place.workspace.run("sources", "remove", "pg")
        expect(problems, "in the end", (done.returncode, [place.made(w) for w in ("event trigger", "schema", "publication", "slot")]),
               (0, [[], [], [], []]))


def other_versions(problems):
    for version in (17, 18):
        try:
            server_of(version)
        except Unavailable as error:
            print("    PostgreSQL %d is left out: %s" % (version, error))
            continue
        for case in (a_good_setup_is_all_ok, each_finding_has_a_statement_that_mends_it,
                     the_event_trigger_never_fails_its_user):
            before = len(problems)
            case(problems, version)
            problems[before:] = ["%d: %s" % (version, p) for p in problems[before:]]


def main():
    try:
        server_of()
    except Unavailable as error:
        print("no PostgreSQL server: %s" % error)
        sys.exit(77)
    try:
        run_cases((a_good_setup_is_all_ok, each_finding_has_a_statement_that_mends_it, names_are_corrected,
                   settings_of_the_server, slots_of_another_kind, a_slot_in_use_is_waited_for, a_lost_slot_is_told, lost_rights_lose_nothing,
                   what_is_installed_is_listed_and_removed, what_was_named_is_left_alone,
                   what_cannot_be_dropped_is_listed, reset_drops_or_lists, the_event_trigger_never_fails_its_user,
                   other_versions))
    finally:
        for server in SERVERS.values():
            server.close()
        if not os.environ.get("KEEP"):
            shutil.rmtree(WORK, ignore_errors=True)


main()
