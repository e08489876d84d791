"""Between a daemon and its server: passes bytes on, and does to them what networks do.

    proxy = Proxy(server_port)       # listens on proxy.port
    proxy.cut()                      # all connections, now, by a reset
    proxy.cut_after(100000)          # … once so many more bytes came from the server
    proxy.stall(); proxy.resume()    # nothing passes, nothing is closed
    proxy.refuse(); proxy.allow()    # new connections are closed at once, old ones stay
"""
import selectors
import socket
import struct
import threading

PIECE = 65536
RESET = struct.pack("ii", 1, 0)


class Link:
    """One connection: two sockets, and what waits to be sent on each."""

    def __init__(self, client, server):
        self.ends = {client: server, server: client}
        self.client, self.server = client, server
        self.waiting = {client: b"", server: b""}


class Proxy:
    def __init__(self, target, host="127.0.0.1"):
        self.target = (host, target)
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.RLock()
        self.links = set()
        self.stalled = self.refusing = self.ended = False
        self.left = None    # bytes from the server until the cut
        self.passed = 0     # bytes from the server so far
        self.cuts = 0       # connections that were cut
        self.bell, self.ear = socket.socketpair()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    # What tests do to it.

    def cut(self):
        with self.lock:
            for link in list(self.links):
                self.drop(link, reset=True)
                self.cuts += 1
        self.ring()

    def cut_after(self, size):
        with self.lock:
            self.left = size

    def uncut(self):
        """Takes cut_after back. True: it has not happened."""
        with self.lock:
            pending, self.left = self.left is not None, None
        return pending

    def stall(self):
        self.stalled = True
        self.ring()

    def resume(self):
        self.stalled = False
        self.ring()

    def refuse(self):
        self.refusing = True

    def allow(self):
        self.refusing = False

    def close(self):
        self.ended = True
        self.ring()
        self.thread.join(5)
        self.cut()
        for s in (self.listener, self.bell, self.ear):
            s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Its thread.

    def ring(self):
        try:
            self.bell.send(b"!")
        except OSError:
            pass

    def drop(self, link, reset=False):
        self.links.discard(link)
        for s in link.ends:
            if reset:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            s.close()

    def accept(self):
        try:
            client, _ = self.listener.accept()
        except OSError:
            return
        server = None
        if not self.refusing:
            server = socket.socket()
            server.settimeout(5)
            try:
                server.connect(self.target)
            except OSError:
                server.close()
                server = None
        if server is None:
            client.close()
            return
        for s in (client, server):
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.links.add(Link(client, server))

    def read(self, link, end):
        """False: the link is over."""
        size = PIECE
        if end is link.server and self.left is not None:
            size = max(1, min(size, self.left))
        try:
            got = end.recv(size)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not got:
            return False
        link.waiting[link.ends[end]] += got
        if end is link.server:
            self.passed += len(got)
            if self.left is not None:
                self.left -= len(got)
        return True

    def write(self, link, end):
        try:
            sent = end.send(link.waiting[end])
        except BlockingIOError:
            return True
        except OSError:
            return False
        link.waiting[end] = link.waiting[end][sent:]
        return True

    def watch(self, selector):
        """What each socket is waited for; a stalled proxy hears its own bell only."""
        selector.register(self.ear, selectors.EVENT_READ)
        selector.register(self.listener, selectors.EVENT_READ)
        for link in () if self.stalled else self.links:
            for end in link.ends:
                events = selectors.EVENT_WRITE if link.waiting[end] else 0
                if not link.waiting[link.ends[end]]:
                    events |= selectors.EVENT_READ
                if events:
                    selector.register(end, events, link)

    def turn(self, link, end, events):
        alive = True
        if events & selectors.EVENT_WRITE:
            alive = self.write(link, end)
        if alive and events & selectors.EVENT_READ:
            alive = self.read(link, end)
            if alive:
                alive = self.write(link, link.ends[end])
        if not alive:
            self.drop(link)
        elif self.left is not None and self.left <= 0:
            self.left = None
            self.cut()

    def serve(self, key, events):
        if key.fileobj is self.ear:
            self.ear.recv(PIECE)
        elif key.fileobj is self.listener:
            self.accept()
        elif key.data in self.links:
            self.turn(key.data, key.fileobj, events)

    def work(self):
        while not self.ended:
            with selectors.DefaultSelector() as selector:
                with self.lock:
                    self.watch(selector)
                ready = selector.select(1.0)
                with self.lock:
                    for key, events in ready:
                        self.serve(key, events)
