"""Compares what Tidegate says with the ledger. Each function answers a list of problems.

A rebuilt table proves little: it hides lost, doubled and reordered events. So everything here
compares one to one and in order, before any deduplication.
"""
import json

ROW_OPS = ("insert", "update", "delete", "truncate")
LEDGER_OPS = ROW_OPS + ("message",)
COMPARED = ("table", "op", "key", "old", "new", "unchanged", "meta", "message")
SHOWN = 5


def strict(value):
    """Equality that tells 1 from 1.0 and from true."""
    if isinstance(value, dict):
        return tuple(sorted((k, strict(v)) for k, v in value.items()))
    if isinstance(value, list):
        return tuple(strict(v) for v in value)
    return (type(value).__name__, value)


def short(thing, limit=260):
    text = json.dumps(thing, ensure_ascii=True)
    return text if len(text) <= limit else text[:limit] + "…"


def rows_of(got, source=None, ops=ROW_OPS):
    """Row changes of one database, or of all; Tidegate's own source tells of alarms."""
    return [e for e in got if e["op"] in ops and e.get("source") != "tidegate" and source in (None, e["source"])]


def ledgered(got, source=None):
    """All that stands in a ledger: row changes, and messages in the log."""
    return rows_of(got, source, LEDGER_OPS)


def of_event(event):
    return {k: event.get(k) for k in COMPARED}


def identity(change):
    return strict({k: change.get(k) for k in COMPARED})


def difference(want, got):
    for field in COMPARED:
        if strict(want.get(field)) != strict(got.get(field)):
            return "%s is %s, must be %s" % (field, short(got.get(field)), short(want.get(field)))
    return "same"


class Report(list):
    """Problems, of which only the first few of a kind are worth reading."""

    def __init__(self):
        super().__init__()
        self.counts = {}

    def add(self, kind, text):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if self.counts[kind] <= SHOWN:
            self.append("%s: %s" % (kind, text))

    def close(self):
        for kind, count in self.counts.items():
            if count > SHOWN:
                self.append("%s: %d in all" % (kind, count))
        return self


def check_numbers(events, report, first_lsn):
    seen = {}
    for place, event in enumerate(events):
        if event["id"] in seen:
            report.add("id twice", "%s at lsn %s and %s" % (event["id"], seen[event["id"]], event["lsn"]))
        seen[event["id"]] = event["lsn"]
        if event["lsn"] != first_lsn + place:
            report.add("lsn", "%s where %d must be" % (event["lsn"], first_lsn + place))
            first_lsn = event["lsn"] - place


def take_group(changes, at):
    """Changes from `at` on that may come in any order among themselves."""
    end = at + 1
    group = changes[at].get("group")
    while group is not None and end < len(changes) and changes[end].get("group") == group:
        end += 1
    return changes[at:end]


def check_order(rows, changes, report):
    at = 0
    while at < len(changes) and at < len(rows):
        group = take_group(changes, at)
        got = rows[at:at + len(group)]
        if sorted(map(repr, map(identity, group))) != sorted(repr(identity(of_event(e))) for e in got):
            event = got[0]
            report.add("ledger", "from change %d on (lsn %s): %s" %
                       (at + 1, event["lsn"], difference(group[0], of_event(event))))
            break
        at += len(group)
    check_amounts(rows, changes, report)


def check_amounts(rows, changes, report):
    """What is missing and what is too much, wherever it stands."""
    count = {}
    for made in changes:
        count[identity(made)] = count.get(identity(made), 0) + 1
    for event in rows:
        name = identity(of_event(event))
        count[name] = count.get(name, 0) - 1
        if count[name] == -1:
            report.add("not in the ledger, or too often", short(of_event(event)))
    for made in changes:
        if count.get(identity(made), 0) > 0:
            count[identity(made)] -= 1
            report.add("missing", short(made))


def key_of(event, row):
    return (event["table"], strict({k: row.get(k) for k in event["key"]}))


def differs(row, known):
    """Of a log that writes only the key of old rows, the key is all that can be compared."""
    return strict({c: v for c, v in known.items() if c in row} if set(row) < set(known) else known) != strict(row)


def forget(state, event):
    for name in [n for n in state if n[0] == event["table"]]:
        del state[name]


def check_chain(rows, report):
    """Each event's old row is the one that the event before it left behind."""
    state = {}
    for event in rows:
        old, new = event.get("old"), event.get("new")
        if event["op"] == "truncate":
            forget(state, event)
        if event["key"] is None:
            continue
        before = state.get(key_of(event, old or new))
        if old is not None:
            if before is None and key_of(event, old) in state or before and differs(old, before):
                report.add("chain", "lsn %s: old is %s, but was %s" %
                           (event["lsn"], short(old), short(before)))
            state[key_of(event, old)] = None
        elif before is not None and event["op"] == "insert":
            report.add("chain", "lsn %s: inserted, but was there: %s" % (event["lsn"], short(new)))
        elif before is None and event["op"] == "update" and key_of(event, new) in state:
            report.add("chain", "lsn %s: updated, but was not there: %s" % (event["lsn"], short(new)))
        if new is not None:
            state[key_of(event, new)] = dict(before or {}, **new)


def check_changed(rows, report):
    for event in rows:
        if event["op"] != "update":
            continue
        if set(event["new"]) - set(event["old"] or {}):
            if event.get("changed", "nothing") is not None:
                report.add("changed", "lsn %s says %s without an old row" % (event["lsn"], event.get("changed")))
            continue
        want = sorted(c for c in event["new"] if strict(event["new"][c]) != strict(event["old"].get(c)))
        # JSON writes an empty text and an empty blob alike, and they differ.
        said = [c for c in event.get("changed") or [] if c in want or event["new"].get(c) != ""]
        if sorted(said) != want:
            report.add("changed", "lsn %s says %s, must be %s" % (event["lsn"], event.get("changed"), want))


def events(got, ledger, gaps=0, first_lsn=1, source=None):
    """The journal's events against the ledger, of one source if there are several. `gaps`: how many
    gap events are right."""
    report = Report()
    rows = ledgered(got, source)
    found = [e for e in got if e["op"] == "gap"]
    if len(found) != gaps:
        report.add("gap", "%d, must be %d: %s" % (len(found), gaps, short([e.get("gap") for e in found])))
    check_numbers(got, report, first_lsn)
    check_order(rows, ledger.changes, report)
    check_chain(rows, report)
    check_changed(rows, report)
    return report.close()


def order_key(event):
    """The key whose first arrivals must rise; None: the table has none."""
    return None if event["key"] is None else (event["source"], event["schema"], event["table"], strict(event["key"]))


def deliveries(arrivals, expected, what):
    """What came out of a channel against the events that should. arrivals: [(id, bytes)] in order of
    arrival, id and bytes as the receiver saw them; expected: {id: event}."""
    report = Report()
    first, newest = {}, {}
    for name, body in arrivals:
        if name in first:
            if first[name] != body:
                report.add("%s: one id, two contents" % what, "%s: %r and %r" % (name, first[name][:120], body[:120]))
            continue
        first[name] = body
        event = expected.get(name)
        if event is None:
            report.add("%s: not expected" % what, "%s: %r" % (name, body[:200]))
            continue
        key = order_key(event)
        if key is not None and newest.get(key, 0) > event["lsn"]:
            report.add("%s: order" % what, "lsn %s of %s after lsn %s" % (event["lsn"], short(event["key"]), newest[key]))
        newest[key] = max(newest.get(key, 0), event["lsn"])
    for name, event in expected.items():
        if name not in first:
            report.add("%s: missing" % what, "%s lsn %s" % (name, event["lsn"]))
    return report.close()


def lines(text, expected, what):
    """A file channel in native format: one event a line, nothing torn."""
    report = Report()
    arrivals, offset = [], 0
    for line in text.split(b"\n")[:-1]:
        try:
            arrivals.append((json.loads(line)["id"], line))
        except (ValueError, KeyError, TypeError):
            report.add("%s: torn" % what, "%d bytes at byte %d, %d of them zero: %r … %r" %
                       (len(line), offset, line.count(b"\0"), line.lstrip(b"\0")[:80], line[-60:]))
        offset += len(line) + 1
    if text and not text.endswith(b"\n"):
        report.add("%s: torn" % what, "the last line has no end: %r" % text[-160:])
    return report.close() + deliveries(arrivals, expected, what)


def event_bodies(arrivals, expected, what):
    """Webhooks in native format: the message's id stands for one event; both are checked."""
    report = Report()
    by_message, pairs = {}, []
    for arrival in arrivals:
        try:
            name = json.loads(arrival.body)["id"]
        except (ValueError, KeyError, TypeError):
            report.add("%s: body" % what, repr(arrival.body[:160]))
            continue
        if by_message.setdefault(arrival.id, name) != name:
            report.add("%s: message id" % what, "%s stands for %s and %s" % (arrival.id, by_message[arrival.id], name))
        pairs.append((name, arrival.body))
    if len(set(by_message.values())) != len(by_message):
        report.add("%s: message id" % what, "one event has two message ids")
    return report.close() + deliveries(pairs, expected, what)


def texts(arrivals, expected, what):
    """Webhooks of a rule with a message: {"id","event","rule","ts","text"}."""
    report = Report()
    contents, pairs = {}, []
    for arrival in arrivals:
        body = json.loads(arrival.body)
        if body.get("id") != arrival.id:
            report.add("%s: message id" % what, "%s in the header, %s in the body" % (arrival.id, body.get("id")))
        if contents.setdefault(arrival.id, arrival.body) != arrival.body:
            report.add("%s: one id, two contents" % what, "%r and %r" % (contents[arrival.id], arrival.body))
        pairs.append((body.get("event"), arrival.body))
    return report.close() + deliveries(pairs, expected, what)


def repeats(arrivals, kills, what, grace=1.0):
    """A message is sent again only if a kill came soon after its delivery, before its mark was
    committed; or soon before, since a receiver can read what a dead sender wrote."""
    report = Report()
    first = {}
    for arrival in arrivals:
        before = first.setdefault(arrival.id, arrival)
        if before is arrival or not before.answered:
            continue
        if not any(abs(kill - before.answered) < grace for kill in kills):
            report.add("%s: delivered long before a kill, and again" % what, "%s: answered at %.3f, again at %.3f"
                       % (arrival.id, before.answered % 1000, arrival.at % 1000))
    return report.close()
