"""Workspaces, and the proof binary that runs them, is killed, and is asked."""
import datetime
import http.client
import json
import os
import signal
import socket
import subprocess
import time

from . import ledger, lua

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
BINARY = os.environ.get("TIDEGATE_BINARY", os.path.join(BUILD, "tidegate-proof"))
OURS = ("TIDEGATE_FAULT", "TIDEGATE_FAULT_LOG", "TIDEGATE_POWER", "TIDEGATE_SABOTAGE")


class Failed(Exception):
    """The test can't go on; the message says why."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def environment(extra=None):
    env = {k: v for k, v in os.environ.items() if k not in OURS and not k.startswith("TIDEGATE_")}
    env.update({k: str(v) for k, v in (extra or {}).items() if v is not None})
    return env


def wait_until(condition, seconds, step=0.01):
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found or time.monotonic() > end:
            return found
        time.sleep(step)


def knows_source(driver):
    """Was the binary built with it?"""
    said = subprocess.run([BINARY, "version"], env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
    return any(line.split()[:1] == ["sources"] and driver in line.split() for line in said.decode().splitlines())


def fold_event(event):
    for image in ("new", "old"):
        event[image] = ledger.fold(event.get(image))
    return event


def since_1970(text):
    return datetime.datetime.fromisoformat(text).timestamp() if text else 0.0


class Workspace:
    """A folder with tidegate.lua, scripts and data."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.process = None
        self.odd_ends = []
        self.kills = []  # time.time() of each end that was not asked for
        self.fault_log = folder + ".faults"
        self.log_path = folder + ".log"
        os.makedirs(os.path.join(folder, "scripts"), mode=0o700, exist_ok=True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        """In one step, as an editor that means well does."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path + "~", "w", encoding="utf-8", errors="surrogateescape") as out:
            out.write(text)
        os.chmod(path + "~", 0o600)
        os.replace(path + "~", path)

    def configure(self, sources, channels, settings=None):
        parts = ["%s(%s, %s)" % (kind, lua.string(name), lua.literal(table))
                 for kind, given in (("source", sources), ("channel", channels))
                 for name, table in given.items()]
        if settings:
            parts.append("settings(%s)" % lua.literal(settings))
        self.write("tidegate.lua", "\n".join(parts) + "\n")

    # The daemon.

    def start(self, fault=None, power=None, sabotage=None, wait=True):
        env = environment({"TIDEGATE_FAULT": fault, "TIDEGATE_FAULT_LOG": self.fault_log,
                           "TIDEGATE_POWER": power, "TIDEGATE_SABOTAGE": sabotage})
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "start", self.folder, "-p", str(self.port)], env=env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        if wait and not self.wait_ready():
            raise Failed("the daemon did not become ready:\n" + self.log_tail())

    def running(self):
        return self.process is not None and self.process.poll() is None

    def ready(self, path="/readyz"):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait_alive(self, seconds=5):
        """It answers, whatever the state of its sources."""
        wait_until(lambda: not self.running() or self.ready("/livez"), seconds)
        return self.running()

    def wait_ready(self, seconds=15):
        def over():
            return not self.running() or self.ready()
        wait_until(over, seconds)
        return self.running() and self.ready()

    def wait_end(self, seconds):
        """True if it ended by itself in time (a fault point was met)."""
        if not wait_until(lambda: not self.running(), seconds):
            return False
        self.kills.append(time.time())
        self.note_end(-signal.SIGKILL)
        return True

    def note_end(self, right):
        """An end that nobody asked for: a failed check of our own, or a sanitizer's word."""
        if self.process.returncode != right:
            self.odd_ends.append("the daemon ended with %d: %s" % (self.process.returncode, self.log_tail(8)))

    def kill(self):
        if self.running():
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.kills.append(time.time())

    def stop(self, seconds=10):
        if not self.running():
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
            self.note_end(0)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed("the daemon did not stop within %d s:\n%s" % (seconds, self.log_tail()))

    def close(self):
        if self.running():
            self.process.kill()
            self.process.wait()

    def log_tail(self, lines=25):
        try:
            text = open(self.log_path, encoding="utf-8", errors="replace").read()
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(text.splitlines()[-lines:])

    def complaints(self):
        """What a sanitizer said, also of a daemon that was killed right after."""
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return [line.strip() for line in log if "Sanitizer" in line or ": runtime error: " in line]

    def faults(self):
        try:
            return open(self.fault_log).read().split()
        except FileNotFoundError:
            return []

    # Questions, by the command line.

    def run(self, *words, timeout=60, env=None, where=True):
        words = list(words) + (["-C", self.folder] if where else [])
        return subprocess.run([BINARY] + words, env=environment(env), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)

    def events(self, *words):
        done = self.run("events", "--from-beginning", *words)
        if done.returncode != 0:
            raise Failed("tidegate events: exit %d: %s" % (done.returncode, done.stderr.decode(errors="replace")))
        return [fold_event(json.loads(line)) for line in done.stdout.split(b"\n") if line]

    def status(self):
        done = self.run("status", "--json")
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise Failed("tidegate status: exit %d: %s" % (done.returncode, done.stderr.decode(errors="replace")))

    def settled(self, newest, status=None):
        """Everything up to event `newest` is read, decided and delivered (or dead)."""
        status = status or self.status()
        if status["journal"]["newest_lsn"] < newest:
            return False
        if any(c["lag"] > 0 for c in status["consumers"] if c["enabled"]):
            return False
        return all(c["waiting"] + c["retrying"] + c["held"] == 0 for c in status["channels"])

    def wait_settled(self, newest, seconds=30):
        def over():
            if not self.running():
                return True
            status = self.status()
            return self.settled(newest, status) or any(s["state"] == "lost" for s in status["sources"])
        wait_until(over, seconds, 0.05)
        return self.running() and self.settled(newest)

    def wait_quiet(self, seconds=5):
        """Every source has looked at its database since now and found nothing more to read."""
        now = time.time()

        def over():
            return all(since_1970(s["watermark"]) > now for s in self.status()["sources"])
        return wait_until(over, seconds, 0.05)

    def port_of_nobody(self):
        return free_port()

    def read(self, name):
        try:
            return open(self.path(name), "rb").read()
        except FileNotFoundError:
            return b""
