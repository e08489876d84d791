"""An HTTP receiver that remembers every webhook, and can be slow or broken."""
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Arrival:
    def __init__(self, path, name, body):
        self.path = path
        self.id = name
        self.body = body
        self.headers = {}
        self.at = time.time()
        self.answered = 0.0  # 0: not answered with success


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        size = int(self.headers.get("content-length", "0"))
        arrival = Arrival(self.path, self.headers.get("webhook-id"), self.rfile.read(size))
        arrival.headers = self.headers
        status = self.server.owner.receive(arrival)
        if status is None:  # hang up without an answer
            self.close_connection = True
            return
        if 200 <= status < 300:
            arrival.answered = time.time()
        self.send_response_only(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):  # a killed sender breaks its connections
        pass


class Receiver:
    """`behave(arrival)` may be set: it answers a status, None to hang up, and may sleep."""

    def __init__(self):
        self.lock = threading.Lock()
        self.arrivals = []
        self.behave = None
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.owner = self
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def url(self, path="/"):
        return "http://127.0.0.1:%d%s" % (self.port, path)

    def receive(self, arrival):
        with self.lock:
            self.arrivals.append(arrival)
        behave = self.behave
        return behave(arrival) if behave else 200

    def of(self, path):
        with self.lock:
            return [a for a in self.arrivals if a.path == path]

    def delivered(self, path):
        """Those that were answered with success: what Tidegate may call delivered. An arrival whose
        answer was a failure may come again, with the same content, and so counts for that only."""
        return [a for a in self.of(path) if a.answered]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
