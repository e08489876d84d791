#!/usr/bin/env python3
"""From a rule to a webhook: one request a message, tried again with the same id and content."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.daemon import wait_until  # noqa: E402
from harness.flow import Flow, expect, run_cases  # noqa: E402

RULE = 'rule("all", { on = "shop:orders", notify = "hook" })'


def channel(flow, **more):
    return {"hook": dict({"type": "webhook", "url": flow.hook(), "backoff": {"first": "50ms", "max": "200ms"}}, **more)}


def inserts(first, count):
    return "".join("INSERT INTO orders VALUES(%d, 'c', 'new', 1);" % i for i in range(first, first + count))


def keys(arrivals):
    return [json.loads(a.body)["key"]["id"] for a in arrivals]


def plain(problems):
    """The body is the event, the id is in the header."""
    with Flow() as flow:
        flow.config(channel(flow, headers={"x-team": "ops"}))
        flow.script(RULE)
        flow.workspace.start()
        flow.sql(inserts(1, 3))
        got = flow.arrivals(3)
        expect(problems, "keys", sorted(keys(got)), [1, 2, 3])
        expect(problems, "ids", len({a.id for a in got}), 3)
        expect(problems, "id's form", all(a.id.startswith("msg_") and len(a.id) == 36 for a in got), True)
        expect(problems, "bodies", sorted((json.loads(a.body) for a in got), key=lambda e: e["lsn"]), flow.workspace.events())


def answers(problems):
    """500 and hanging up are tried again; 400 is a dead letter at once; the rest flows on."""
    with Flow() as flow:
        seen = {}

        def behave(arrival):
            number = json.loads(arrival.body)["key"]["id"]
            seen[number] = seen.get(number, 0) + 1
            if number == 2 and seen[number] < 3:
                return 500
            if number == 3 and seen[number] < 2:
                return None
            return 400 if number == 4 else 200
        flow.config(channel(flow))
        flow.receiver.behave = behave
        flow.script(RULE)
        flow.workspace.start()
        flow.sql(inserts(1, 5))
        wait_until(lambda: flow.workspace.settled(5), 10, 0.05)
        expect(problems, "attempts", {k: seen.get(k) for k in range(1, 6)}, {1: 1, 2: 3, 3: 2, 4: 1, 5: 1})
        bodies = {}
        for arrival in flow.receiver.of("/hook"):
            bodies.setdefault(arrival.id, set()).add(arrival.body)
        expect(problems, "one content for each id", [len(b) for b in bodies.values()], [1] * 5)
        done = flow.workspace.run("dead", "list", "--json")
        dead = [json.loads(line) for line in done.stdout.splitlines()]
        expect(problems, "dead letters", [d["channel"] for d in dead], ["hook"])
        flow.receiver.behave = None
        expect(problems, "dead retry", flow.workspace.run("dead", "retry", "--all").returncode, 0)
        wait_until(lambda: len([a for a in flow.receiver.of("/hook") if json.loads(a.body)["key"]["id"] == 4]) == 2, 5)
        again = [a for a in flow.receiver.of("/hook") if json.loads(a.body)["key"]["id"] == 4]
        expect(problems, "the dead letter came again", len(again), 2)
        if len(again) == 2:
            expect(problems, "under the same id", again[0].id == again[1].id and again[0].body == again[1].body, True)


def away(problems):
    """Nobody listens: the queue waits on disk, over a restart, and nothing else stands still."""
    with Flow() as flow:
        flow.config({"hook": {"type": "webhook", "url": "http://127.0.0.1:%d/" % flow.workspace.port_of_nobody(),
                              "breaker": {"failures": 5, "probe": "100ms"}, "backoff": {"first": "50ms", "max": "100ms"}},
                     "out": {"type": "file", "path": "out.jsonl"}})
        flow.script('rule("all", { on = "shop:orders", notify = { "hook", "out" } })')
        flow.workspace.start()
        flow.sql(inserts(1, 40))
        expect(problems, "the other channel", len(flow.lines(40)), 40)
        flow.workspace.stop()
        # The address is mended: what waits goes there.
        flow.config({"hook": {"type": "webhook", "url": flow.hook(), "backoff": {"first": "50ms", "max": "100ms"}},
                     "out": {"type": "file", "path": "out.jsonl"}})
        flow.workspace.start()
        expect(problems, "delivered later", sorted(set(keys(flow.arrivals(40)))), list(range(1, 41)))


def slow(problems):
    """One row's receiver is slow: its later messages wait for it, other rows do not."""
    with Flow() as flow:
        def is_one(arrival):
            return json.loads(arrival.body)["key"]["id"] == 1

        def behave(arrival):
            if is_one(arrival) and json.loads(arrival.body)["op"] == "insert":
                wait_until(lambda: sum(not is_one(a) for a in flow.receiver.of("/hook")) >= 20, 10)
            return 200
        flow.config(channel(flow, concurrency=8))
        flow.receiver.behave = behave
        flow.script(RULE)
        flow.workspace.start()
        flow.sql(inserts(1, 1) + "UPDATE orders SET status = 'paid' WHERE id = 1;" + inserts(2, 20))
        got = flow.arrivals(22)
        expect(problems, "count", len(got), 22)
        ones = [a for a in got if is_one(a)]
        others = [a for a in got if not is_one(a)]
        expect(problems, "order of the slow row", [json.loads(a.body)["op"] for a in ones], ["insert", "update"])
        if len(ones) == 2 and others:
            expect(problems, "the update waited", ones[1].at >= ones[0].answered, True)
            expect(problems, "the others did not", max(a.at for a in others) < ones[1].at, True)


run_cases([plain, answers, away, slow])
