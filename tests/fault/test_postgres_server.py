#!/usr/bin/env python3
"""A server that is restarted and killed, and a network that cuts, stalls and refuses, hundreds of
times while writers write: the daemon runs on, and nothing is lost, doubled or reordered."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.daemon import wait_until  # noqa: E402
from harness.proxy import Proxy  # noqa: E402
from harness.rig import Rig, main  # noqa: E402

BIG = 900         # rows of a transaction that is cut
WALSENDER = "3s"  # so that a long stall ends the server's side
SHARES = {        # of a hundred
    "cut_inside": 26, "cut_anywhere": 24, "ended_by_the_server": 14, "short_stall": 10, "refused": 8,
    "killed": 8, "stopped_fast": 5, "stopped_immediate": 5,
}


class Run:
    def __init__(self, arguments):
        self.rig = Rig(arguments.seed, arguments.source, arguments.version or None)
        self.random = self.rig.random
        self.server = self.rig.source.server
        self.proxy = Proxy(self.server.port)
        self.counts = {name: 0 for name in list(SHARES) + ["half_journalled", "long_stall", "daemon_killed"]}

    def begin(self):
        self.server.restart("fast", wal_sender_timeout=WALSENDER)
        self.rig.source.proxy_port = self.proxy.port
        self.rig.configure()
        self.writers = self.rig.begin(writers=2, rate=40.0)
        self.big = self.rig.source.writer(3, paused=True)

    def connected(self):
        return wait_until(lambda: self.streams() and self.proxy.links, 20, 0.02)

    def streams(self):
        with self.rig.source.admin() as db:
            return db.one("SELECT count(*) FROM pg_replication_slots WHERE active") != "0"

    def inside(self):
        """Is a transaction journalled in part?"""
        return "item" in str(self.rig.workspace.status()["sources"][0].get("position"))

    # Each does its harm and answers whether there was something to harm.

    def cut_inside(self):
        self.proxy.cut_after(self.random.randrange(30000, 450000))
        self.big.big(BIG)
        wait_until(lambda: self.proxy.left is None, 2)
        if self.proxy.uncut():
            return False
        self.counts["half_journalled"] += self.inside()
        return True

    def cut_anywhere(self):
        time.sleep(self.random.uniform(0, 0.06))
        before = self.proxy.cuts
        self.proxy.cut()
        return self.proxy.cuts > before

    def ended_by_the_server(self):
        with self.rig.source.admin() as db:
            return bool(db.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active"))

    def short_stall(self):
        self.proxy.stall()
        time.sleep(self.random.uniform(0.02, 0.3))
        self.proxy.resume()
        return True

    def long_stall(self):
        self.proxy.stall()
        time.sleep(float(WALSENDER[:-1]) + 1.5)
        self.proxy.resume()
        return True

    def refused(self):
        self.proxy.refuse()
        self.proxy.cut()
        time.sleep(self.random.uniform(0.05, 0.3))
        self.proxy.allow()
        return True

    def killed(self):
        self.rig.source.kill_server()
        return True

    def stopped_fast(self):
        self.server.restart("fast")
        return True

    def stopped_immediate(self):
        self.server.restart("immediate")
        return True

    def daemon_killed(self):
        self.rig.workspace.kill()
        self.rig.workspace.start(wait=False)
        return True

    def disturb(self, name, problems):
        if not self.connected():
            problems.append("before %s: not connected again within 20 s: %s" % (name, self.rig.where()))
            return False
        self.counts[name] += bool(getattr(self, name)())
        return self.rig.workspace.running()

    def plan(self, rounds):
        names = [name for name, share in SHARES.items() for _ in range(max(1, rounds * share // 100))]
        self.random.shuffle(names)
        names.insert(len(names) // 2, "long_stall")
        for n in range(max(1, rounds // 40)):
            names.insert(self.random.randrange(len(names)), "daemon_killed")
        return names

    def close(self):
        self.proxy.close()
        self.rig.close()


def test(arguments):
    run = Run(arguments)
    problems = []
    try:
        run.begin()
        began = time.monotonic()
        for name in run.plan(arguments.rounds):
            if not run.disturb(name, problems):
                break
        print("%.1f s of disturbance, PostgreSQL %d" % (time.monotonic() - began, run.server.version))
        problems += run.rig.finish()
        for name, count in run.counts.items():
            print("  %-20s %d" % (name, count))
        done, least = sum(run.counts[name] for name in SHARES), arguments.rounds * 3 // 4
        if done < least:
            problems.append("only %d disturbances, %d are needed" % (done, least))
        if run.counts["half_journalled"] < arguments.rounds // 20:
            problems.append("only %d cuts inside a half-journalled transaction, %d are needed" % (
                run.counts["half_journalled"], arguments.rounds // 20))
        return problems
    finally:
        run.close()


if __name__ == "__main__":
    if "--source" not in sys.argv:
        sys.argv += ["--source", "postgres"]
    main(test, rounds=130, version="")
