#!/usr/bin/env python3
"""The comparison itself: it must see loss, doubling and disorder in streams made by hand."""
import copy
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import ledger, verify  # noqa: E402
from harness.receiver import Arrival  # noqa: E402
from harness.rig import main  # noqa: E402


class Made:
    """A ledger without files."""

    def __init__(self, changes):
        self.changes = changes


def key_only():
    """A table whose log has no old rows but keys, and leaves out what did not change."""
    made = [ledger.change("s", "insert", {"id": 1}, None, {"id": 1, "v": 0, "big": "x"})]
    made += [dict(ledger.change("s", "update", {"id": 1}, None, {"id": 1, "v": n}), unchanged=["big"]) for n in range(5)]
    made += [ledger.change("s", "delete", {"id": 1}, {"id": 1}, None),
             ledger.change("s", "insert", {"id": 1}, None, {"id": 1, "v": 9, "big": "x"}),
             ledger.change("s", "truncate", None, None, None),
             ledger.change("s", "insert", {"id": 1}, None, {"id": 1, "v": 10, "big": "x"})]
    return made


def stream():
    changes, state = [], {}
    for n in range(60):
        key = n % 7
        old = state.get(key)
        new = None if old and n % 5 == 0 else {"id": key, "v": n, "w": 1}
        op = "insert" if old is None else "delete" if new is None else "update"
        changes.append(ledger.change("t", op, {"id": key}, old, new))
        state[key] = new
    changes.append(ledger.change("k", "insert", None, None, {"a": 1}))
    changes += key_only()
    events = []
    for n, made in enumerate(changes):
        event = dict(made, id="s:1:%d" % (n + 1), lsn=n + 1, source="s", schema="main")
        if event["op"] == "update":
            event["changed"] = event["old"] and sorted(c for c in event["new"] if event["new"][c] != event["old"][c])
        events.append(event)
    return changes, events


def renumber(events):
    for place, event in enumerate(events):
        event["lsn"] = place + 1


def lose(events):
    del events[20]
    renumber(events)


def lose_hidden(events):
    """An update that the next one of its key hides, with the chain mended behind it."""
    at = next(i for i, e in enumerate(events) if e["op"] == "update" and events[i + 7]["op"] == "update")
    events[at + 7]["old"] = events[at]["old"]
    del events[at]
    renumber(events)


def double(events):
    events.insert(30, copy.deepcopy(events[30]))
    renumber(events)


def double_new_id(events):
    events.insert(30, dict(copy.deepcopy(events[30]), id="s:1:900"))
    renumber(events)


def swap(events):
    events[10], events[11] = events[11], events[10]
    renumber(events)


def slim(events, op="update"):
    return next(i for i, e in enumerate(events) if e["table"] == "s" and e["op"] == op)


def lose_slim(events):
    del events[slim(events)]
    renumber(events)


def double_slim(events):
    at = slim(events)
    events.insert(at, dict(copy.deepcopy(events[at]), id="s:1:901"))
    renumber(events)


def swap_slim(events):
    at = slim(events)
    events[at], events[at + 1] = events[at + 1], events[at]
    renumber(events)


def lose_truncate(events):
    del events[slim(events, "truncate")]
    renumber(events)


def value_for_unchanged(events):
    at = slim(events)
    del events[at]["unchanged"]
    events[at]["new"]["big"] = None


def invented_changed(events):
    events[slim(events)]["changed"] = ["v"]


def swap_numbers(events):
    events[10], events[11] = events[11], events[10]


def wrong_type(events):
    events[0]["new"]["w"] = 1.0


def wrong_bool(events):
    events[0]["new"]["w"] = True


def same_id(events):
    events[5]["id"] = events[4]["id"]


def wrong_changed(events):
    next(e for e in events if e["op"] == "update")["changed"] = []


def gap(events):
    events.append({"op": "gap", "id": "s:1:x", "lsn": len(events) + 1, "gap": {}})


WRONG = (lose, lose_hidden, double, double_new_id, swap, swap_numbers, wrong_type, wrong_bool, same_id, wrong_changed, gap,
         lose_slim, double_slim, swap_slim, lose_truncate, value_for_unchanged, invented_changed)


def check_events(problems):
    changes, events = stream()
    problems += ["the right stream: %s" % p for p in verify.events(events, Made(changes))]
    for spoil in WRONG:
        changes, events = stream()
        events = copy.deepcopy(events)
        spoil(events)
        if not verify.events(events, Made(changes)):
            problems.append("%s was not seen" % spoil.__name__)


def check_groups(problems):
    changes, events = stream()
    events[3], events[4] = events[4], events[3]
    renumber(events)
    for at in (3, 4):
        changes[at]["group"] = "one"
    problems += ["a group in another order: %s" % p for p in verify.events(events, Made(changes))]


def as_line(event):
    return json.dumps(event).encode() + b"\n"


def check_lines(problems):
    _, events = stream()
    expected = {e["id"]: e for e in events}
    lines = [as_line(e) for e in events]
    other = lines[20].replace(b'"main"', b'"Main"')
    cases = {
        "right": lines, "repeated": lines[:40] + lines[20:], "tables interleaved": lines[60:61] + lines[:60] + lines[61:],
        "!lost": lines[:20] + lines[21:], "!disorder": lines[7:14] + lines[:7] + lines[14:],
        "!torn": lines[:-1] + [lines[-1][:-5]], "!torn inside": lines[:5] + [b'{"id":\n'] + lines[5:],
        "!unknown": lines + [as_line({"id": "s:1:77777"})], "!other content": lines + [other],
    }
    for name, given in cases.items():
        wrong = verify.lines(b"".join(given), expected, "file")
        if bool(wrong) != name.startswith("!"):
            problems.append("lines, %s: %s" % (name, wrong))


def arrival(name, body, at=0.0, answered=0.0):
    made = Arrival("/", name, body)
    made.at, made.answered = at, answered
    return made


def check_webhooks(problems):
    _, events = stream()
    expected = {e["id"]: e for e in events}
    sent = [arrival("msg_%d" % e["lsn"], as_line(e)) for e in events]
    cases = {
        "right": sent, "repeated": sent + sent[10:20],
        "!two ids": sent + [arrival("msg_x", sent[3].body)], "!id used twice": sent + [arrival("msg_1", sent[1].body)],
        "!lost": sent[:-1],
    }
    for name, given in cases.items():
        wrong = verify.event_bodies(given, expected, "webhook")
        if bool(wrong) != name.startswith("!"):
            problems.append("webhooks, %s: %s" % (name, wrong))


def check_repeats(problems):
    for name, again, wrong in (("soon", 1.5, False), ("late", 9.0, True)):
        given = [arrival("msg_1", b"", at=again - 1.2, answered=again - 1.2), arrival("msg_1", b"", at=11.0)]
        given[0].at = given[0].answered = 1.0 if wrong else 9.5
        if bool(verify.repeats(given, [10.0], "webhook")) != wrong:
            problems.append("repeats, %s" % name)


def test(_):
    problems = []
    check_events(problems)
    check_groups(problems)
    check_lines(problems)
    check_webhooks(problems)
    check_repeats(problems)
    print("%d spoiled streams" % len(WRONG))
    return problems


main(test)
