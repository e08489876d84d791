#!/usr/bin/env python3
"""What a script makes of an event: modules, a message for each channel, masked rows, options, and its log."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness.flow import Flow, expect, run_cases  # noqa: E402

INSERT = "INSERT INTO orders VALUES(7, 'ann@example.com', 'new', 12.5);"


def file(name):
    return {"type": "file", "path": name + ".jsonl"}


def objects(flow, count, name):
    return [json.loads(line) for line in flow.lines(count, name + ".jsonl")]


def modules(problems):
    """A module that requires another one, used by a handler; a script that fails over one stands alone."""
    with Flow() as flow:
        flow.config({"out": file("out")})
        flow.script("local words = require('texts.words')\n"
                    "return { say = function(e) return words.order .. ' ' .. e.new.id end }", "scripts/lib/say.lua")
        flow.script("return { order = 'Order' }", "scripts/lib/texts/words.lua")
        flow.script("local say = require('say')\n"
                    "on('shop:orders', 'insert', function(e) send('out', say.say(e)) end)")
        flow.script("local x = 1\nlocal y = require('sya')", "scripts/wrong.lua")
        check = flow.workspace.run("check")
        said = (check.stdout + check.stderr).decode()
        for words in ("scripts/wrong.lua:2: require: there is no module scripts/lib/sya.lua", "did you mean"):
            if words not in said:
                problems.append("check does not say %r: %s" % (words, said))
        flow.workspace.start()
        flow.sql(INSERT)
        expect(problems, "texts", [o["text"] for o in objects(flow, 1, "out")], ["Order 7"])


def by_channel(problems):
    """A message by channel, by type, and for the others; a rule's columns hold for the event itself."""
    with Flow() as flow:
        flow.config({"a": file("a"), "b": file("b"), "hook": {"type": "webhook", "url": flow.hook()}})
        flow.script("rule('r', { on = 'shop:orders', notify = { 'a', 'b', 'hook' }, columns = { 'id', 'status' },\n"
                    "  message = { by = { a = '{{id}} is {{status}}', file = function(e) return { id = e.new.id } end,\n"
                    "    default = function(e) return e end } } })")
        flow.workspace.start()
        flow.sql(INSERT)
        expect(problems, "a", [o["text"] for o in objects(flow, 1, "a")], ["7 is new"])
        expect(problems, "b", objects(flow, 1, "b"), [{"id": 7}])
        expect(problems, "hook", [json.loads(a.body)["new"] for a in flow.arrivals(1)], [{"id": 7, "status": "new"}])


def masking(problems):
    """row_table is a copy: what is changed in it goes out, the event itself stays."""
    with Flow() as flow:
        flow.config({"out": file("out")})
        flow.script("on('shop:orders', 'insert', function(e)\n"
                    "  local row = e:row_table()\n"
                    "  row.customer = row.customer:gsub('^.*@', '***@')\n"
                    "  row.status = null\n"
                    "  send('out', row)\n"
                    "  send('out', { customer = e.new.customer, at = time.format(e.ts, '%Y') ~= nil,\n"
                    "    copy = json.decode(json.encode(row)) })\n"
                    "end)")
        flow.workspace.start()
        flow.sql(INSERT)
        masked = {"id": 7, "customer": "***@example.com", "status": None, "amount": 12.5}
        expect(problems, "messages", objects(flow, 2, "out"),
               [masked, {"customer": "ann@example.com", "at": True, "copy": masked}])


def options(problems):
    """Options of send and of a rule reach the channel; one that does not exist fails the rule alone."""
    with Flow() as flow:
        flow.config({"hook": {"type": "webhook", "url": flow.hook()}})
        flow.script("rule('r', { on = 'shop:orders', notify = 'hook', message = 'from {{id}}',\n"
                    "  options = { headers = { ['X-Who'] = '{{customer}}' } } })\n"
                    "on('sends', 'shop:orders', 'insert', function(e)\n"
                    "  send('hook', 'sent', { headers = { ['X-Who'] = 'script' }, key = e.new.id })\n"
                    "end)\n"
                    "on('wrong', 'shop:orders', 'insert', function(e) send('hook', 'never', { hedaers = {} }) end)")
        flow.workspace.start()
        flow.sql(INSERT)
        got = sorted((json.loads(a.body)["text"], a.headers["X-Who"]) for a in flow.arrivals(2))
        expect(problems, "requests", got, [("from 7", "ann@example.com"), ("sent", "script")])


def logs(problems):
    """log writes under the rule's name."""
    with Flow() as flow:
        flow.config({"out": file("out")})
        flow.script("on('tell', 'shop:orders', 'insert', function(e) log.warn('order %d of %s', e.new.id, e.table) send('out', e) end)")
        flow.workspace.start()
        flow.sql(INSERT)
        flow.lines(1)
        text = flow.workspace.log_tail(100)
        for words in ("rule/rules/tell", "order 7 of orders"):
            if words not in text:
                problems.append("the log does not have %r: %s" % (words, text[-2000:]))


run_cases([modules, by_channel, masking, options, logs])
