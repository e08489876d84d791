#!/bin/bash
# Runs the test suites: every test is its own process with a time limit and a folder of its own. Prints
# one line a test; a failure shows its output and the command that runs it again. Ends with
# "N passed, N failed, N skipped". Exit 77 of a test means skipped, its last line says why.
#   SUITE=unit|fuzz|flow|fault|server   PATTERN=text   BUILD=folder
set -u
cd "$(dirname "$0")/.."
BUILD=$(readlink -f "${BUILD:-build}")
export BUILD
results=$BUILD/results
rm -rf "$results"; mkdir -p "$results"
work=$(mktemp -d "${TMPDIR:-/tmp}/tg-XXXXXX")
chmod 711 "$work" # tests that give up rights must reach their folders
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

wanted() { # SUITE NAME
  [ -z "${SUITE:-}" ] || [ "$SUITE" = "$1" ] || return 1
  case "$2" in *"${PATTERN:-}"*) return 0 ;; *) return 1 ;; esac
}

run() { # SUITE NAME SECONDS COMMAND...
  local suite=$1 name=$2 limit=$3 began status took
  shift 3
  wanted "$suite" "$name" || return 0
  local folder=$work/$((passed + failed + skipped)) log=$results/$suite-${name//\//-}.log
  mkdir -p "$folder"
  began=${EPOCHREALTIME/[.,]/}
  TMPDIR=$folder timeout -k 10 "$limit" "$@" >"$log" 2>&1 </dev/null
  status=$?
  took=$((${EPOCHREALTIME/[.,]/} - began))
  took=$((took / 1000000)).$(printf %02d $((took / 10000 % 100)))
  case $status in
  0) passed=$((passed + 1)); word=passed ;;
  77) skipped=$((skipped + 1)); word=skipped ;;
  124 | 137) failed=$((failed + 1)); word=failed; echo "stopped after $limit s" >>"$log" ;;
  *) failed=$((failed + 1)); word=failed ;;
  esac
  printf '%-8s %s/%s (%s s)\n' "$word" "$suite" "$name" "$took"
  printf '{"suite":"%s","name":"%s","result":"%s","seconds":%s}\n' "$suite" "$name" "$word" "$took" >>"$results/results.jsonl"
  if [ $word = skipped ]; then
    tail -n 1 "$log" | sed 's/^/         /'
    echo "$suite/$name: $(tail -n 1 "$log")" >>"$results/skips"
  elif [ $word = failed ]; then
    tail -n 40 "$log" | sed 's/^/    | /'
    echo "    run it again: make test SUITE=$suite PATTERN=$name"
  fi
  rm -rf "$folder"
}

for source in tests/unit/*/test_*.c; do
  name=${source#tests/unit/}; name=${name%.c}
  run unit "$name" 300 "$BUILD/tests/unit/$name"
done
for source in tests/fuzz/fuzz_*.c; do
  name=$(basename "$source" .c)
  run fuzz "$name" 120 sh -c 'exec "$0" "$1"/*' "$BUILD/tests/fuzz/$name" "tests/fuzz/corpus/${name#fuzz_}"
done
for suite in flow fault server; do
  for test in tests/$suite/test_*; do
    [ -x "$test" ] || continue
    run $suite "$(basename "$test")" 600 "$test"
  done
done

echo "$passed passed, $failed failed, $skipped skipped"
if [ -n "${PATTERN:-}" ] && [ $((passed + failed + skipped)) = 0 ]; then
  echo "no test's name holds \"$PATTERN\""
  exit 1
fi
[ $failed = 0 ]
