#!/bin/bash
# Measures the rows of the design's table of numbers and prints them; also $BUILD/results/bench.json.
#   PATTERN=text   only the groups and rows whose name holds it      RUNS=n   medians of n (3)
set -eu
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build}
exec python3 -B -m tests.bench.run
