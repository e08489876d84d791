#!/usr/bin/env python3
"""Each way into PostgreSQL, and each way in which it fails: one message that says what is wrong and
one that says what mends it, the right exit code, and never a password in anything that is printed,
logged or stored."""
import os
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.daemon import Workspace, wait_until  # noqa: E402
from harness.flow import run_cases  # noqa: E402
from harness.pq import Unavailable  # noqa: E402
from harness.servers.postgres import Postgres  # noqa: E402

MARK = "Hush7Marker"  # every password that our side is given holds it
RIGHT = MARK + "@/right"
HBA = """
local all all scram-sha-256
hostnossl all plainonly 127.0.0.1/32 scram-sha-256
hostssl all tlsonly 127.0.0.1/32 scram-sha-256
hostssl all "both" 127.0.0.1/32 scram-sha-256 clientcert=verify-ca
hostssl all certer 127.0.0.1/32 cert
host all trusted 127.0.0.1/32 trust
host all ghost 127.0.0.1/32 trust
host all old 127.0.0.1/32 md5
host all postgres,plain,nolog,limited,replicator,replicat,"Odd ""Role" 127.0.0.1/32 scram-sha-256
"""
ROLES = """
SET password_encryption = 'md5';
CREATE ROLE old LOGIN PASSWORD %(p)s;
SET password_encryption = 'scram-sha-256';
CREATE ROLE plain LOGIN PASSWORD %(p)s;
CREATE ROLE replicator LOGIN REPLICATION PASSWORD %(p)s;
CREATE ROLE plainonly LOGIN PASSWORD %(p)s;
CREATE ROLE tlsonly LOGIN PASSWORD %(p)s;
CREATE ROLE "both" LOGIN PASSWORD %(p)s;
CREATE ROLE certer LOGIN;
CREATE ROLE trusted LOGIN;
CREATE ROLE outsider LOGIN PASSWORD %(p)s;
CREATE ROLE nolog NOLOGIN PASSWORD %(p)s;
CREATE ROLE limited LOGIN CONNECTION LIMIT 0 PASSWORD %(p)s;
CREATE ROLE "Odd ""Role" LOGIN PASSWORD %(p)s;
CREATE DATABASE locked;
REVOKE CONNECT ON DATABASE locked FROM public;
CREATE DATABASE closed ALLOW_CONNECTIONS false;
CREATE TABLE orders(id int PRIMARY KEY);
GRANT SELECT ON orders TO public;
"""
folder = None  # of the whole test
server = plain_server = None


def openssl(*words):
    subprocess.run(["openssl"] + list(words), check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def at(name):
    return os.path.join(folder, name)


def make_authority(name):
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + name, "-keyout", name + ".key",
            "-out", name + ".pem")


def make_client(authority, name):
    file = "%s-%s" % (authority, name)
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + name, "-keyout", file + ".key", "-out", file + ".csr")
    openssl("x509", "-req", "-in", file + ".csr", "-CA", authority + ".pem", "-CAkey", authority + ".key", "-CAcreateserial",
            "-days", "2", "-out", file + ".pem")
    os.chmod(at(file + ".key"), 0o600)


def begin(made, **settings):
    with open(os.path.join(made.data, "pg_hba.conf"), "w") as out:
        out.write(HBA)
    made.start(**settings)
    with made.admin() as db:
        for statement in filter(None, map(str.strip, ROLES.split(";"))):
            db.execute(statement.replace("%(p)s", db.literal(RIGHT)))
    return made


class Case:
    """One workspace with one source that is changed and checked again and again."""

    def __init__(self, problems):
        self.problems = problems
        self.workspace = Workspace(tempfile.mkdtemp(prefix="ws-", dir=folder))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.workspace.close()
        self.search_mark()

    def source(self, **options):
        given = {"driver": "postgres", "tables": ["orders"]}
        if "url" not in options and "service" not in options:
            given.update(host="localhost", port=server.port, user="plain", password=RIGHT, database="postgres")
        given.update(options)
        given = {k: v for k, v in given.items() if v is not None}
        self.workspace.configure({"shop": given}, {"out": {"type": "null"}})

    def check(self, env=None):
        began = time.monotonic()
        done = self.workspace.run("check", "shop", env=env)
        self.took = time.monotonic() - began
        text = (done.stdout + done.stderr).decode(errors="replace")
        if MARK in text:
            self.problems.append("a password in the output: " + text)
        return done.returncode, text

    def works(self, what, role="plain", env=None, **options):
        """Connected, as that role; what check finds beside is not asked here."""
        self.source(**options)
        _, text = self.check(env)
        if 'as role "%s"' % role not in text:
            self.problems.append("%s: does not connect: %s" % (what, text))

    def fails(self, what, texts, env=None, **options):
        self.source(**options)
        code, text = self.check(env)
        for wanted in texts:
            if wanted not in text:
                self.problems.append("%s: does not say %r: %s" % (what, wanted, text))
        if code != 78:
            self.problems.append("%s: exit %d" % (what, code))
        if text.count("mend it:") != 1 or "as role" in text:
            self.problems.append("%s: not one message with what mends it: %s" % (what, text))

    def search_mark(self):
        """Nothing that was written down but the configuration itself holds a password."""
        files = [os.path.join(top, name) for top, _, names in os.walk(self.workspace.folder) for name in names]
        for path in files + [self.workspace.log_path]:
            # The store holds the declaration as it was written; who hides it writes secret(…).
            if os.path.basename(path).startswith(("tidegate.lua", "tidegate.db")) or not os.path.isfile(path):
                continue
            with open(path, "rb") as file:
                if MARK.encode() in file.read():
                    self.problems.append("a password in %s" % path)


def write(name, text, mode=0o600):
    with open(at(name), "w") as out:
        out.write(text)
    os.chmod(at(name), mode)
    return at(name)


class BlackHole:
    """Takes connections and never says anything."""

    def __enter__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(16)
        return self.listener.getsockname()[1]

    def __exit__(self, *_):
        self.listener.close()


def dead_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# Who one is.

def passwords(problems):
    with Case(problems) as case:
        case.works("SCRAM")
        case.works("md5", "old", user="old")
        case.works("trust", "trusted", user="trusted", password=None)
        case.works("a role that needs quoting", 'Odd ""Role'.replace('""', '"'), user='Odd "Role')
        case.fails("wrong password", ["localhost:%d refused the password of role \"plain\"" % server.port, "`password`",
                                      'ALTER ROLE "plain" PASSWORD'], password=MARK + "wrong")
        case.fails("wrong password, md5", ["refused the password of role \"old\""], user="old", password=MARK + "wrong")
        case.fails("no password", ["wants a password of role \"plain\", and none is given", ".pgpass", "password = "], password=None,
                   env={"HOME": folder})
        case.fails("unknown role, by password", ["refused the password", "says the same of a role that does not exist"], user="replicat")
        case.fails("unknown role, by trust", ['role "ghost" does not exist', 'CREATE ROLE "ghost" LOGIN REPLICATION PASSWORD'],
                   user="ghost")
        case.fails("may not log in", ['role "nolog" may not log in', 'ALTER ROLE "nolog" LOGIN;'], user="nolog")
        case.fails("no line in pg_hba.conf", ['pg_hba.conf of localhost:%d does not let role "outsider" in' % server.port,
                                              'host "postgres" "outsider" 127.0.0.1/32 scram-sha-256', "pg_reload_conf()"],
                   user="outsider")
        case.fails("connection limit", ['role "limited" has used up its connections', 'ALTER ROLE "limited" CONNECTION LIMIT -1;'],
                   user="limited")
        case.fails("no such database", ['the database "stock" does not exist', 'CREATE DATABASE "stock";'], database="stock")
        case.fails("no right to connect", ['may not connect to the database "locked"', 'GRANT CONNECT ON DATABASE "locked" TO "plain";'],
                   database="locked")
        case.fails("closed database", ['the database "closed" at', 'ALTER DATABASE "closed" ALLOW_CONNECTIONS true;'],
                   database="closed")


def password_files(problems):
    line = "localhost:%d:postgres:plain:%s\n" % (server.port, RIGHT)
    good, loose = write("pass", line), write("loose", line, 0o644)
    wrong = write("wrong", line.replace("right", "wrong"))
    with Case(problems) as case:
        case.works("passfile", password=None, passfile=good)
        case.works("PGPASSFILE", password=None, env={"PGPASSFILE": good})
        case.works("password over passfile", passfile=wrong)
        case.works("PGPASSWORD", password=None, env={"PGPASSWORD": RIGHT})
        case.fails("wrong line", ["refused the password", "the line in " + wrong], password=None, passfile=wrong)
        case.fails("loose passfile", ["others may read the password file " + loose, "chmod 600 " + loose], password=None, passfile=loose)
        case.fails("loose PGPASSFILE", ["wants a password", loose, "chmod 600"], password=None, env={"PGPASSFILE": loose})
        case.fails("no such passfile", ["cannot read " + at("nix"), "`passfile`"], password=None, passfile=at("nix"))


def urls_and_services(problems):
    services = write("services", "[shop]\nhost=localhost\nport=%d\nuser=plain\ndbname=postgres\npassword=%s\n"
                     "[verified]\nhost=localhost\nport=%d\nuser=tlsonly\ndbname=postgres\npassword=%s\nsslmode=verify-full\n"
                     % (server.port, RIGHT, server.port, RIGHT))
    env = {"PGSERVICEFILE": services}
    url = server.url("plain", RIGHT, sslmode=None, sslrootcert=None)
    with Case(problems) as case:
        case.works("URL", url=url)
        case.works("keywords", url=server.conninfo("plain", RIGHT, sslmode=None, sslrootcert=None))
        case.works("fields over the URL", "old", url=server.url("nobody", MARK, "nowhere", sslmode=None, sslrootcert=None),
                   user="old", password=RIGHT, database="postgres")
        case.works("service", service="shop", env=env)
        case.works("service in the URL", url="service=shop", env=env)
        case.works("fields over the service", "old", service="shop", user="old", env=env)
        case.works("service with certificates", "tlsonly", service="verified", tls={"ca": server.certificate}, env=env)
        case.works("formats of the environment", env={"PGDATESTYLE": "German", "PGTZ": "Asia/Tokyo"})
        case.fails("a service's own sslmode", ["is not trusted"], service="verified", env=env)
        case.fails("unknown service", ['the service "nix" cannot be read', "PGSERVICEFILE"], service="nix", env=env)
        case.fails("no service file", ['the service "shop" cannot be read'], service="shop", env={"PGSERVICEFILE": at("nix")})
        case.fails("torn URL", ["`url` cannot be read", "%40", "%2F"],
                   url="postgresql://plain:%s@localhost:%d/postgres" % (RIGHT, server.port))
        case.fails("wrong URL", ["neither a URL", "postgresql://"], url="mysql://plain:%s@localhost/x" % MARK)
        case.fails("unknown parameter", ["unknown to libpq"], url=url + "?%s=%s" % (MARK, MARK))
        case.fails("port in words", ["a port is not a number"], url="postgresql://plain:x@localhost:%s/postgres" % MARK)
        case.fails("setting that only the superuser may make", ["refused a setting", "`options`"], url=url + "?options=-clog_statement%3Dall")
        case.fails("unknown setting", ["does not know a setting", "`options`"], url=url + "?options=-cnix%3D1")


# Where it is.

def addresses(problems):
    with Case(problems) as case, BlackHole() as hole:
        case.works("Unix socket", host=at("sockets"))
        case.fails("no socket there", ["nothing listens at %s/.s.PGSQL.%d" % (folder, server.port), "unix_socket_directories"], host=folder)
        case.fails("nothing listens", ["nothing listens at localhost:1:", "listen_addresses"], port=1)
        case.fails("unknown host", ['the host "nowhere.invalid" is not known', "`host`"], host="nowhere.invalid")
        case.fails("black hole", ["localhost:%d did not answer within 1" % hole, "does not speak as PostgreSQL"], port=hole,
                   connect_timeout="1s")
        if not 0.9 < case.took < 4:
            problems.append("connect_timeout of 1 s took %.1f s" % case.took)


def something_else_listens(problems):
    with Case(problems) as case, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(4)
        child = os.fork()
        if child == 0:
            while True:
                peer, _ = listener.accept()
                peer.recv(100)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                peer.close()
        case.fails("a web server", ["is not a PostgreSQL server", "`port`"], port=listener.getsockname()[1])
        os.kill(child, 9)
        os.waitpid(child, 0)


def several_hosts(problems):
    dead = dead_port()
    with Case(problems) as case, BlackHole() as hole:
        both = {"connect_timeout": "1s", "tls": {"mode": "unverified"}}
        case.works("dead first", host="localhost,127.0.0.1", port="%d,%d" % (dead, server.port), **both)
        case.works("black hole first", host="127.0.0.1,localhost", port="%d,%d" % (hole, server.port), **both)
        case.works("three, unknown host first", host="nowhere.invalid,localhost,localhost", port="1,%d,%d" % (dead, server.port), **both)
        case.works("URL list", url="postgresql://plain@localhost:%d,localhost:%d/postgres" % (hole, server.port), password=RIGHT, **both)
        case.fails("none", ["no host can be used: nothing listens at localhost:%d; localhost:%d did not answer" % (dead, hole)],
                   host="localhost,localhost", port="%d,%d" % (dead, hole), **both)
        case.fails("a refusal is final", ["refused the password"], password=MARK + "wrong", host="localhost,localhost",
                   port="%d,%d" % (server.port, hole), **both)
        case.fails("lists that do not match", ["2 hosts and 3 ports"], host="localhost,localhost", port="1,2,3")


def roles_of_servers(problems):
    """target_session_attrs among a server that lives on its own and one that stands by."""
    with Postgres(at("standby"), started=False, hot_standby="on", max_connections=100) as standby, Case(problems) as case:
        with open(os.path.join(standby.data, "standby.signal"), "w"):
            pass
        standby.start()
        lists = {"host": "localhost,localhost", "port": "%d,%d" % (standby.port, server.port), "user": "postgres", "password": "secret",
                 "tls": {"mode": "unverified"}}
        on_main, on_standby = "max_wal_senders: 0 of 7", "max_wal_senders: 0 of 20"
        for target, wanted in (("primary", on_main), ("read-write", on_main), ("standby", on_standby), ("prefer-standby", on_standby),
                               ("any", on_standby), ("read-only", on_standby)):
            case.works(target, "postgres", target_session_attrs=target, **lists)
            if wanted not in case.check()[1]:
                problems.append("%s: not the right server: %s" % (target, case.check()[1]))
        case.works("prefer-standby without one", "postgres", **dict(lists, port=server.port, host="localhost"),
                   target_session_attrs="prefer-standby")
        case.fails("only a standby", ["localhost:%d is not what `target_session_attrs` wants" % standby.port, "hot standby"],
                   **dict(lists, port=standby.port, host="localhost"), target_session_attrs="primary")
        case.fails("a word of its own", ['target_session_attrs cannot be "master"', "primary"], **lists, target_session_attrs="master")
        standby.restart(hot_standby="off", wait=False)
        case.source(**dict(lists, port=standby.port, host="localhost"))
        wait_until(lambda: "takes no connections now" in case.check()[1], 10, 0.1)
        case.fails("a standby that takes nobody", ["takes no connections now", "starting up"], **dict(lists, port=standby.port, host="localhost"))


# TLS.

def verified(problems):
    url = server.url("plain", RIGHT, sslmode=None, sslrootcert=None)
    with Case(problems) as case:
        case.works("default to this machine takes TLS", "tlsonly", user="tlsonly")
        case.works("default to this machine falls back", "plainonly", user="plainonly")
        case.works("verified by its own certificate", "tlsonly", user="tlsonly", tls={"mode": "full", "ca": server.certificate})
        case.works("a ca alone verifies", "tlsonly", user="tlsonly", tls={"ca": server.certificate})
        case.works("by address", "tlsonly", user="tlsonly", host="127.0.0.1", tls={"ca": server.certificate})
        case.works("ca only, another name", "tlsonly", url="host=db.example hostaddr=127.0.0.1 user=tlsonly", port=server.port,
                   password=RIGHT, database="postgres", tls={"mode": "ca", "ca": server.certificate})
        case.works("unverified", "tlsonly", user="tlsonly", tls={"mode": "unverified"})
        case.works("off", "plainonly", user="plainonly", tls={"mode": "off"})
        case.works("URL's own sslmode", "plainonly", url=server.url("plainonly", RIGHT, sslmode="disable", sslrootcert=None))
        case.works("Unix socket beside it", host=at("sockets"), tls={"ca": server.certificate})
        case.fails("not trusted", ["the certificate of localhost:%d is not trusted" % server.port, "tls = { ca"], tls={"mode": "full"})
        case.fails("wrong ca", ["is not trusted", at("other.pem") + " decides"], tls={"ca": at("other.pem")})
        case.fails("a ca is never left out silently", ["is not trusted"], user="plainonly", tls={"ca": at("other.pem")})
        case.fails("wrong name", ["is for another name", 'does not match host name "db.example"', 'mode = "ca"'],
                   url="host=db.example hostaddr=127.0.0.1 user=tlsonly", port=server.port, password=RIGHT, database="postgres",
                   tls={"ca": server.certificate})
        case.fails("field over the URL", ["is not trusted"], url=url + "?sslmode=disable", tls={"mode": "full"})
        case.fails("no such ca", ["cannot read " + at("nix"), "`tls.ca`"], tls={"ca": at("nix")})
        case.fails("tls demanded, off here", ["pg_hba.conf of localhost", "does not let role \"tlsonly\" in"], user="tlsonly",
                   tls={"mode": "off"})
        case.fails("off and a ca", ['tls.mode = "off" has no use'], tls={"mode": "off", "ca": server.certificate})


def not_offered(problems):
    with Case(problems) as case:
        case.works("default to this machine", port=plain_server.port)
        case.fails("demanded", ["localhost:%d offers no TLS" % plain_server.port, "ALTER SYSTEM SET ssl = on", 'mode = "off"'],
                   port=plain_server.port, tls={"mode": "unverified"})
        case.fails("verified", ["offers no TLS"], port=plain_server.port, tls={"ca": server.certificate})


def client_certificates(problems):
    ca = server.certificate

    def tls(name, **more):
        return dict({"ca": ca, "cert": at(name + ".pem"), "key": at(name + ".key")}, **more)

    with Case(problems) as case:
        case.works("instead of a password", "certer", user="certer", password=None, tls=tls("clients-certer"))
        case.works("beside a password", "both", user="both", tls=tls("clients-both"))
        case.fails("none given", ["demands a client certificate for role \"both\"", "cert ="], user="both", tls={"ca": ca})
        case.fails("of another role", ["does not let role \"certer\" in", "certificate authentication failed"], user="certer", password=None,
                   tls=tls("clients-both"))
        case.fails("of another authority", ["does not take the client certificate", "ssl_ca_file"], user="both", tls=tls("other-both"))
        case.fails("key of another", ["key of the client certificate", "must belong together"], user="both",
                   tls=tls("clients-both", key=at("clients-certer.key")))
        os.chmod(at("clients-both.key"), 0o644)
        case.fails("key for all to read", ["others may read the key", "chmod 600"], user="both", tls=tls("clients-both"))
        os.chmod(at("clients-both.key"), 0o600)
        case.fails("no such key", ["cannot read " + at("nix"), "`tls.key`"], user="both", tls=tls("clients-both", key=at("nix")))
        case.fails("key alone", ["tls.key needs tls.cert"], user="both", tls={"key": at("clients-both.key")})


# While it runs.

def state_of(case):
    return case.workspace.status()["sources"][0]


def running(case, wanted, seconds=15):
    """The source's error once it holds `wanted`."""
    wait_until(lambda: wanted in str(state_of(case)), seconds, 0.05)
    text = str(state_of(case))
    if wanted not in text:
        case.problems.append("the status does not say %r: %s" % (wanted, text))
    return text


def while_running(problems):
    with Case(problems) as case:
        case.source(user="plain")
        case.workspace.start(wait=False)
        case.workspace.wait_alive()
        running(case, "may not replicate")
        running(case, 'ALTER ROLE "plain" REPLICATION;')
        case.workspace.stop()
        case.source(port=plain_server.port, user="replicator")
        case.workspace.start(wait=False)
        case.workspace.wait_alive()
        running(case, "has no WAL sender left")
        case.workspace.stop()


def stopped_while_connecting(problems):
    with Case(problems) as case, BlackHole() as hole:
        case.source(port=hole, connect_timeout="600s")
        case.workspace.start(wait=False)
        case.workspace.wait_alive()
        if not wait_until(lambda: "started" in case.workspace.log_tail(), 15):  # which waits a while for the source
            problems.append("not started: " + case.workspace.log_tail())
        began = time.monotonic()
        case.workspace.stop()
        if time.monotonic() - began > 1:
            problems.append("stopping took %.1f s" % (time.monotonic() - began))


def weak_tls_is_told(problems):
    with Case(problems) as case:
        case.source(host="nowhere.invalid", tls={"mode": "unverified"})
        _, text = case.check()
        for wanted in ("level=warning", "TLS to another machine with sslmode=require"):
            if wanted not in text:
                problems.append("no warning %r: %s" % (wanted, text))


def newer_servers(problems):
    """What servers say changes with their versions; what is made of it does not."""
    global server, plain_server
    before = server, plain_server
    for version in (17, 18):
        try:
            server, plain_server = (begin(Postgres(at("%s%d" % (name, version)), version, started=False), **settings)
                                    for name, settings in servers())
        except Unavailable as error:
            print("    PostgreSQL %d is left out: %s" % (version, error))
            continue
        count = len(problems)
        for case in (passwords, urls_and_services, verified, not_offered, client_certificates, while_running):
            case(problems)
        problems[count:] = ["%d: %s" % (version, text) for text in problems[count:]]
        server.close()
        plain_server.close()
    server, plain_server = before


def servers():
    return (("main", {"unix_socket_directories": at("sockets"), "ssl_ca_file": at("clients.pem"), "max_wal_senders": 7}),
            ("plain", {"ssl": "off", "max_wal_senders": 0}))


def prepare():
    for name in ("clients", "other"):
        make_authority(name)
    for authority, name in (("clients", "certer"), ("clients", "both"), ("other", "both")):
        make_client(authority, name)
    os.chmod(at("clients.pem"), 0o644)
    os.mkdir(at("sockets"))
    os.chmod(at("sockets"), 0o777)


def main():
    global folder, server, plain_server
    with tempfile.TemporaryDirectory(prefix="tg-", dir=os.environ.get("TMPDIR")) as folder:
        os.chmod(folder, 0o711)
        prepare()
        try:
            server, plain_server = (begin(Postgres(at(name), started=False), **settings) for name, settings in servers())
        except Unavailable as error:
            print(error)
            sys.exit(77)
        with server, plain_server:
            run_cases([passwords, password_files, urls_and_services, addresses, something_else_listens, several_hosts, roles_of_servers,
                       verified, not_offered, client_certificates, while_running, stopped_while_connecting, weak_tls_is_told,
                       newer_servers])


main()
