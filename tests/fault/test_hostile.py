#!/usr/bin/env python3
"""Tables, columns and values full of quotes, markup, escape sequences and SQL, through every output:
events, the file channel, a webhook, the terminal, status and triggers. Data stays data: it comes out
as it went in, and no control character reaches a terminal."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import verify  # noqa: E402
from harness.rig import Rig, main  # noqa: E402
from harness.sources.base import HOSTILE, HOSTILE_COLUMN  # noqa: E402

# What no terminal may get from us: control characters but line feed, C1, and in plain text those that
# turn its direction. JSON keeps the latter as they are, since programs read it.
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
DIRECTION = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def check_terminal(problems, what, raw, forbidden=DIRECTION):
    text = raw.decode(errors="replace")
    found = forbidden.search(text)
    if found:
        problems.append("%s: control character %r in %r" % (what, found.group(), text[max(0, found.start() - 60):found.start() + 40]))


def script(rig):
    """Every value into the text, and the whole event beside it."""
    rig.workspace.write("scripts/hostile.lua", """
rule("terminal", { on = "shop:%s", notify = "terminal",
  message = "{{operation}} {{table_name}}" })
rule("values", { on = "shop:%s", notify = "terminal", message = "{{id}}: {{name}} {{n}} {{data}}" })
rule("values-out", { on = "shop:%s", notify = "texts", message = "{{id}}: {{name}} {{n}} {{data}}" })
""" % tuple(map(rig.source.pattern, ("*", "plain", "plain"))))


def configure(rig):
    rig.workspace.configure(
        {"shop": rig.source.declaration()},
        {"out": {"type": "file", "path": "out.jsonl"}, "texts": {"type": "file", "path": "texts.txt"},
         "hook": {"type": "webhook", "url": rig.receiver.url("/hook")},
         "words": {"type": "webhook", "url": rig.receiver.url("/words")}, "terminal": {"type": "file", "path": "-"}})


def check_commands(rig, problems):
    for words in (["status"], ["sources"], ["rules"], ["channels"], ["consumers"], ["triggers", "shop", "list"], ["check"],
                  ["events", "--from-beginning"], ["triggers", "shop", "sync", HOSTILE, "--sql"]):
        done = rig.workspace.run(*words)
        if done.returncode not in (0, 1):
            problems.append("%s: exit %d: %s" % (words, done.returncode, (done.stdout + done.stderr)[-600:]))
        check_terminal(problems, " ".join(words[:2]), done.stdout + done.stderr, CONTROL if words[0] == "events" else DIRECTION)


def check_hostile_table(rig, problems):
    """Its own rows by name, as a user would ask for them."""
    events = rig.workspace.events("--table", rig.source.pattern("") + re.sub(r"([*?\[\]\\])", r"\\\1", HOSTILE))
    columns = {"id'", "select", HOSTILE_COLUMN}
    if not events:
        problems.append("no event of the hostile table was found by its name")
    for event in events:
        if event["table"] != HOSTILE or event["op"] != "truncate" and set((event["new"] or event["old"])) != columns:
            problems.append("hostile table: %s" % verify.short(event))
            break


def removed(rig, problems):
    """Capture is taken out again: nothing of ours stays behind, the rows are as they were."""
    rig.workspace.stop()
    done = rig.workspace.run("triggers", "shop", "remove")
    if done.returncode != 0:
        problems.append("triggers remove: exit %d: %s" % (done.returncode, done.stderr[-300:]))
    problems += ["still there: %s" % left for left in rig.source.left_behind()]


def test(arguments):
    rig = Rig(arguments.seed, arguments.source)
    problems = []
    try:
        configure(rig)
        script(rig)
        writer = rig.begin(writers=1, paused=True)[0]
        for _ in range(3):
            writer.some(120)
            rig.workspace.kill()
            rig.workspace.start()
        rig.halt_writers()
        rig.workspace.wait_settled(len(rig.source.ledger()), 30)
        check_commands(rig, problems)
        check_hostile_table(rig, problems)
        problems += rig.finish()
        check_terminal(problems, "the terminal", open(rig.workspace.log_path, "rb").read())
        check_terminal(problems, "texts", rig.workspace.read("texts.txt"), CONTROL)
        removed(rig, problems)
        print("%d lines on the terminal" % open(rig.workspace.log_path, "rb").read().count(b"\n"))
        return problems
    finally:
        rig.close()


main(test)
