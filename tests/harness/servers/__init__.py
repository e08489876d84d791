"""Real database servers for the tests, each in a folder of its own, as an unprivileged user."""
import os
import random
import shutil
import socket
import tempfile

from ..pq import Unavailable  # noqa: F401


def steady_port():
    """Free, and below the range that outgoing connections take theirs from: a server that is down
    for a moment finds it again."""
    for _ in range(200):
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Unavailable("no free port")


def account():
    """Who runs the server: (name, uid, gid), or None: we do, since we are not root."""
    import pwd
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
            return found.pw_name, found.pw_uid, found.pw_gid
        except KeyError:
            pass
    raise Unavailable("a server refuses to run as root, and there is neither postgres nor nobody")


def run_as(who):
    if who is None:
        return []
    if not shutil.which("setpriv"):
        raise Unavailable("setpriv (util-linux) is not installed")
    return ["setpriv", "--reuid=%d" % who[1], "--regid=%d" % who[2], "--clear-groups"]


def let_in(folder, who):
    """Gives the server's user a way to `folder`, through temporary folders only."""
    if who is None:
        return
    top = os.path.realpath(tempfile.gettempdir())
    at = os.path.realpath(folder)
    while at != "/":
        at = os.path.dirname(at)
        mode = os.stat(at).st_mode
        if mode & 0o001:
            continue
        if os.path.commonpath([top, at]) != top:
            raise Unavailable("%s can't reach %s: %s is closed" % (who[0], folder, at))
        os.chmod(at, (mode & 0o7777) | 0o011)
