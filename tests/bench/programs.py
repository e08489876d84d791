"""Rows that a program of its own measures: it is run, and its lines are read."""
import os
import re
import subprocess

FOLDER = os.path.join(os.path.abspath(os.environ["BUILD"]), "tests", "bench")
NUMBER = r"([0-9.]+)"


class Missing(Exception):
    """There is no such program, so its rows can't be measured."""


def run(name, *words, **settings):
    path = os.path.join(FOLDER, name)
    if not os.path.exists(path):
        raise Missing("%s was not built" % name)
    env = dict(os.environ, **{k: str(v) for k, v in settings.items()})
    done = subprocess.run([path, *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=85, text=True)
    if done.returncode != 0:
        raise RuntimeError("%s ended with %d: %s" % (name, done.returncode, done.stderr.strip()))
    return done.stdout


def find(text, **patterns):
    """For each name the values that its pattern finds; `#` in it stands for a number."""
    found = {}
    for name, pattern in patterns.items():
        values = re.findall(pattern.replace("#", NUMBER), text)
        found[name] = [tuple(map(float, v)) if isinstance(v, tuple) else float(v) for v in values]
        if not found[name]:
            raise RuntimeError("nothing like %r in:\n%s" % (pattern, text))
    return found


def disk(folder):
    return find(run("bench_disk", folder), median=r"disk: # us", p99=r"# us p99")


def journal(_):
    return find(run("bench_journal"), append=r"append # MB/s", ratio=r"ratio #", read=r"read # MB/s")


def lua(runs):
    texts = "".join(run("bench_rules") for _ in range(runs))
    return find(texts, condition=r"Lua condition on a column, event and rule +#",
                thousand_memory=r"1,000 rules \(id = n\) / one +#")


def outbox(_):
    rates = r"append # messages/s, take # messages/s, take of events"
    found = find(run("bench_outbox"), alone="alone: " + rates, beside="beside it: " + rates)
    return {name + suffix: [pair[at] for pair in found[key]]
            for key, suffix in (("alone", ""), ("beside", "_beside")) for at, name in enumerate(("put", "take"))}


def webhook(_):
    return find(run("bench_webhook", BENCH_MESSAGES=100000), webhooks=r"webhook: # messages/s")
