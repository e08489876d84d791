#!/usr/bin/env python3
"""A disk that fills, by somebody else and by ourselves, and empties: nothing is lost, and work
resumes by itself within 5 s."""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.daemon import wait_until  # noqa: E402
from harness.rig import Rig, main, skip  # noqa: E402

SIZE = 400  # MiB of the small disk: two segments, the reserve, and room to move
MARK = "24MiB"
RESUME = 5.0


def mount(folder):
    os.makedirs(folder, exist_ok=True)
    return subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % SIZE, "tmpfs", folder],
                          stderr=subprocess.DEVNULL).returncode == 0


def fill(path):
    """By another program: until nothing fits. Answers how many bytes it took."""
    taken = 0
    with open(path, "ab", buffering=0) as out:
        for step in (1 << 20, 4096):
            try:
                while True:
                    taken += out.write(bytes(step))
            except OSError:
                pass
    return taken


def pressure(rig):
    return rig.workspace.status()["store"]["state"]


def once(rig, writer, ballast, kill):
    """Full, rows, empty; answers the seconds until everything had arrived, or None."""
    fill(ballast)
    writer.some(20)
    writer.big(600)
    said = wait_until(lambda: not rig.workspace.running() or pressure(rig) != "ok", 5, 0.1)
    state = rig.workspace.running() and pressure(rig)
    if kill:
        rig.workspace.kill()
        rig.workspace.start(wait=False)
        time.sleep(0.5)
    began = time.monotonic()
    os.unlink(ballast)
    if not rig.workspace.running():
        rig.workspace.start()
    if not rig.workspace.wait_settled(len(rig.source.ledger()), 20):
        return None, state
    return time.monotonic() - began, state if said else "silent"


def run(arguments, folder):
    rig = Rig(arguments.seed, arguments.source)
    problems = []
    try:
        # Only the workspace lives on the small disk.
        rig.workspace.folder = os.path.join(folder, "ws")
        os.makedirs(rig.workspace.path("scripts"), mode=0o700)
        rig.settings = {"disk_mark": MARK}
        rig.configure()
        rig.edit_script()
        writer = rig.begin(writers=1, paused=True)[0]
        writer.some(10)
        for kill in (False, False, True):
            took, state = once(rig, writer, os.path.join(folder, "ballast"), kill)
            print("full disk%s: said %s, all there after %s s" % (" and kill" if kill else "", state, took and "%.1f" % took))
            if state in (None, False, "ok", "silent"):
                problems.append("the status does not say that the disk is full: %s" % rig.where())
            if took is None or took > RESUME:
                problems.append("not resumed within %.0f s (%s): %s" % (RESUME, took, rig.where()))
        return problems + rig.finish()
    finally:
        rig.close()


def enter_namespace():
    """Who is not root may mount in a user namespace of its own, where the system allows that."""
    if os.geteuid() == 0 or os.environ.get("IN_NAMESPACE"):
        return
    if subprocess.run(["unshare", "-rm", "true"], stderr=subprocess.DEVNULL).returncode == 0:
        os.environ["IN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "-rm", sys.executable] + sys.argv)


def test(arguments):
    enter_namespace()
    folder = os.path.join(os.environ.get("TMPDIR", "/tmp"), "small-disk-%d" % os.getpid())
    if os.geteuid() != 0 or not mount(folder):
        if os.path.isdir(folder):
            os.rmdir(folder)
        skip("needs the right to mount a small tmpfs: root, or user namespaces")
    try:
        return run(arguments, folder)
    finally:
        subprocess.run(["umount", folder])
        os.rmdir(folder)


main(test)
