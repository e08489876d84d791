#!/bin/bash
# Builds each fuzz target with libFuzzer, ASan and UBSan, and runs it for FOR (60s) on its corpus. New
# inputs stay in the build folder; a crash is printed with the command that shows it again.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build-fuzz}
seconds=${FOR:-60s}; seconds=${seconds%s}
command -v clang >/dev/null || { echo "clang is missing: make test installs it" >&2; exit 77; }
flags="-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all"
for target in tests/fuzz/fuzz_*.c; do
  name=$(basename "$target" .c)
  case "$name" in *"${PATTERN:-}"*) ;; *) continue ;; esac
  make -s BUILD="$build" CC=clang FUZZER=1 CFLAGS="$flags -std=gnu11 -fno-strict-aliasing -pthread" \
    LDFLAGS="-fsanitize=fuzzer,address,undefined" "$build/tests/fuzz/$name"
  mkdir -p "$build/corpus/$name" "$build/crashes"
  echo "$name for $seconds s"
  "$build/tests/fuzz/$name" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -verbosity=0 -print_final_stats=1 \
    -artifact_prefix="$build/crashes/$name-" "$build/corpus/$name" "tests/fuzz/corpus/${name#fuzz_}" 2>&1 |
    grep -E 'number_of_executed_units|SUMMARY|ERROR|artifact|Test unit' || true
  if ls "$build/crashes/$name-"* >/dev/null 2>&1; then
    echo "crash: $build/tests/fuzz/$name $(ls "$build/crashes/$name-"* | head -n 1)"; exit 1
  fi
done
