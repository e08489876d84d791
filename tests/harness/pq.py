"""libpq by ctypes: what the tests ask of a PostgreSQL server, with nothing to install.

    with pq.connect("host=127.0.0.1 user=postgres") as db:
        db.execute("INSERT INTO t VALUES(%s, %s)", 1, "it's")
        rows = db.execute("SELECT * FROM t")      # lists of text or None

A `%s` takes a value as a literal; names go in by identifier(). A connection is one thread's at a
time; a call that waits lets the other threads run.
"""
import ctypes
import ctypes.util
import math


class Error(Exception):
    """What the server or libpq said. sqlstate is "" if the connection could not be made or is gone."""

    def __init__(self, message, sqlstate=""):
        super().__init__(message.strip())
        self.sqlstate = sqlstate


class Unavailable(Exception):
    """A server, or the library that asks it, can't be had here; the message says why. A test then
    skips, with these words."""


CALLS = {
    "PQconnectdbParams": (ctypes.c_void_p, [ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(ctypes.c_char_p), ctypes.c_int]),
    "PQstatus": (ctypes.c_int, [ctypes.c_void_p]),
    "PQerrorMessage": (ctypes.c_char_p, [ctypes.c_void_p]),
    "PQfinish": (None, [ctypes.c_void_p]),
    "PQexec": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]),
    "PQclear": (None, [ctypes.c_void_p]),
    "PQfreemem": (None, [ctypes.c_void_p]),
    "PQresultStatus": (ctypes.c_int, [ctypes.c_void_p]),
    "PQresultErrorMessage": (ctypes.c_char_p, [ctypes.c_void_p]),
    "PQresultErrorField": (ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_int]),
    "PQntuples": (ctypes.c_int, [ctypes.c_void_p]),
    "PQnfields": (ctypes.c_int, [ctypes.c_void_p]),
    "PQfname": (ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_int]),
    "PQcmdTuples": (ctypes.c_char_p, [ctypes.c_void_p]),
    "PQgetisnull": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]),
    "PQgetlength": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]),
    "PQgetvalue": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]),
    "PQescapeLiteral": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]),
    "PQescapeIdentifier": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]),
    "PQserverVersion": (ctypes.c_int, [ctypes.c_void_p]),
    "PQbackendPID": (ctypes.c_int, [ctypes.c_void_p]),
    "PQsetNoticeReceiver": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]),
}
EMPTY_QUERY, COMMAND_OK, TUPLES_OK = 0, 1, 2
SQLSTATE = ord("C")

NOTICE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
no_notice = NOTICE(lambda *_: None)  # libpq would print notices to our stderr


def load():
    for name in ("libpq.so.5", ctypes.util.find_library("pq")):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        for call, (result, arguments) in CALLS.items() if library else ():
            getattr(library, call).restype = result
            getattr(library, call).argtypes = arguments
        if library:
            return library
    raise Unavailable("libpq (libpq.so.5) is not installed")


class Library:
    """Loaded at its first use, so that a test can skip where it is missing."""

    def __getattr__(self, name):
        library = load()
        for call in CALLS:
            setattr(self, call, getattr(library, call))
        return getattr(self, name)


LIBPQ = Library()


def words(*texts):
    return (ctypes.c_char_p * (len(texts) + 1))(*[t.encode() for t in texts], None)


def connect(conninfo):
    return Connection(conninfo)


class Connection:
    """`conninfo`: a URL or keywords, as libpq takes them."""

    def __init__(self, conninfo):
        self.columns, self.affected = [], 0  # of the newest result
        self.handle = LIBPQ.PQconnectdbParams(
            words("fallback_application_name", "dbname", "client_encoding"), words("harness", conninfo, "UTF8"), 1)
        if LIBPQ.PQstatus(self.handle) != 0:
            message = LIBPQ.PQerrorMessage(self.handle).decode(errors="replace")
            self.close()
            raise Error(message)
        LIBPQ.PQsetNoticeReceiver(self.handle, no_notice, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.handle:
            LIBPQ.PQfinish(self.handle)
            self.handle = None

    def broken(self):
        return not self.handle or LIBPQ.PQstatus(self.handle) != 0

    def version(self):
        """Of the server: 150020 is 15.20."""
        return LIBPQ.PQserverVersion(self.handle)

    def pid(self):
        return LIBPQ.PQbackendPID(self.handle)

    def escape(self, call, text):
        raw = text if isinstance(text, bytes) else text.encode()
        found = call(self.handle, raw, len(raw))
        if not found:
            raise Error(LIBPQ.PQerrorMessage(self.handle).decode(errors="replace"))
        try:
            return ctypes.string_at(found).decode()
        finally:
            LIBPQ.PQfreemem(found)

    def identifier(self, name):
        return self.escape(LIBPQ.PQescapeIdentifier, name)

    def literal(self, value):
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return "(%d)" % value
        if isinstance(value, float):
            return "'%s'" % (repr(value) if math.isfinite(value) else str(value).replace("inf", "Infinity"))
        if isinstance(value, (bytes, bytearray)):
            return "'\\x%s'::bytea" % bytes(value).hex()
        return self.escape(LIBPQ.PQescapeLiteral, value)

    def execute(self, sql, *values):
        """Rows of the last statement in `sql`, each a list of text and None."""
        text = sql % tuple(map(self.literal, values)) if values else sql
        if not self.handle:
            raise Error("the connection is closed")
        result = LIBPQ.PQexec(self.handle, text.encode(errors="surrogateescape"))
        try:
            return self.take(result)
        finally:
            LIBPQ.PQclear(result)

    def take(self, result):
        if LIBPQ.PQresultStatus(result) not in (EMPTY_QUERY, COMMAND_OK, TUPLES_OK):
            message = LIBPQ.PQresultErrorMessage(result) or LIBPQ.PQerrorMessage(self.handle)
            state = LIBPQ.PQresultErrorField(result, SQLSTATE) or b""
            raise Error(message.decode(errors="replace"), state.decode())
        width = range(LIBPQ.PQnfields(result))
        self.columns = [LIBPQ.PQfname(result, i).decode() for i in width]
        self.affected = int(LIBPQ.PQcmdTuples(result) or 0)
        return [[self.cell(result, row, i) for i in width] for row in range(LIBPQ.PQntuples(result))]

    def cell(self, result, row, column):
        if LIBPQ.PQgetisnull(result, row, column):
            return None
        size = LIBPQ.PQgetlength(result, row, column)
        return ctypes.string_at(LIBPQ.PQgetvalue(result, row, column), size).decode(errors="surrogateescape")

    def dicts(self, sql, *values):
        rows = self.execute(sql, *values)
        return [dict(zip(self.columns, row)) for row in rows]

    def one(self, sql, *values):
        """The first cell of the first row; None if there is no row."""
        rows = self.execute(sql, *values)
        return rows[0][0] if rows else None
