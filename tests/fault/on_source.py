#!/usr/bin/env python3
"""test_SOURCE_NAME.py is a link to this: it runs test_NAME.py with --source SOURCE."""
import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
MORE = {
    # The other sabotages are of what comes behind all sources alike.
    "sabotage": ["--only", "source.drop_event,source.double_event,source.swap_events,source.confirm_early,"
                           "store.synchronous_off"],
    "two": ["--second", "sqlite"],
}

_, source, name = os.path.basename(sys.argv[0])[:-len(".py")].split("_", 2)
script = os.path.join(FOLDER, "test_%s.py" % name)
os.execv(sys.executable, [sys.executable, script, "--source", source] + MORE.get(name, []) + sys.argv[1:])
