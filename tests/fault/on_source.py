#!/usr/bin/env python3
"""Links to this are tests: test_SOURCE_NAME.py runs test_NAME.py with --source SOURCE, and
test_SOURCE_NAME_VERSION.py runs test_SOURCE_NAME.py on that version of the server."""
import os
import re
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
MORE = {
    # The other sabotages are of what comes behind all sources alike.
    "sabotage": ["--only", "source.drop_event,source.double_event,source.swap_events,source.confirm_early"],
    "two": ["--second", "sqlite"],
}

source, name, version = re.fullmatch(r"test_([a-z]+)_([a-z_]+?)(?:_(\d+))?\.py", os.path.basename(sys.argv[0])).groups()
script = "test_%s_%s.py" % (source, name) if version else "test_%s.py" % name
words = ["--source", source] + MORE.get(name, []) + (["--version", version, "--rounds", "50"] if version else [])
os.execv(sys.executable, [sys.executable, os.path.join(FOLDER, script)] + words + sys.argv[1:])
