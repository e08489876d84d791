#!/bin/bash
# What the compiler does not see: direction of includes, headers that stand alone, sizes, leftovers, and a
# static analyser. Prints each finding; ends non-zero if there is one.
set -u
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
bad=0
say() { echo "$1"; bad=1; }

# 1. Includes go one way. Each layer: what it may include besides itself.
declare -A may=(
  [base]=""
  [event]="base"
  [source]="base event"
  [journal]="base event"
  [store]="base event source journal"
  [script]="base event source journal store"
  [channel]="base event source journal store"
  [outbox]="base event source journal store channel"
  [rules]="base event source journal store script channel outbox"
  [workspace]="base event source journal store script channel outbox rules"
  [server]="base event source journal store script channel outbox rules workspace"
  [cli]="base event source journal store script channel outbox rules workspace server"
)
while IFS=: read -r file line include; do
  layer=${file#core/}; layer=${layer%%/*}
  target=$(echo "$include" | sed -n 's/.*"\([a-z]*\)\/.*/\1/p')
  [ "$layer" = main.c ] || [ -z "$target" ] || [ "$target" = yyjson ] || [ "$target" = "$layer" ] && continue
  case " ${may[$layer]:-} " in
  *" $target "*) ;;
  *) say "$file:$line: $layer may not include $target" ;;
  esac
done < <(grep -n '^#include "' -r core --include='*.[ch]')

# 2. Every header compiles alone, first and only.
flags="-std=gnu11 -D_GNU_SOURCE -DTIDEGATE_VERSION=\"lint\" -DWITH_POSTGRES=1 -Icore -Ivendor -Wall -Wextra -Wshadow -Werror $(pkg-config --cflags lua5.4 libpq)"
while read -r header; do
  gcc $flags -fsyntax-only -x c "$header" 2>/dev/null -Wno-unused-function || say "$header: does not compile alone"
done < <(find core -name '*.h')

# 3. Sizes: functions of at most 80 lines unless a comment on the line above says why, files of at most 800.
while read -r name file from to; do
  lines=$((to - from + 1))
  [ "$lines" -le 80 ] || sed -n "$((from - 2)),$((from))p" "$file" | grep -q 'long because' ||
    say "$file:$from: $name has $lines lines (80 at most)"
done < <(find core -name '*.c' -print0 | xargs -0 ctags --languages=C --kinds-C=f --fields=+ne --output-format=xref --_xformat='%N %F %n %{end}' 2>/dev/null)
find core lua tests -name '*.[chl]*' -type f | grep -v corpus | xargs wc -l | awk '$1 > 800 && $2 != "total" {print $2 ": " $1 " lines (800 at most)"; bad = 1} END {exit bad}' || bad=1

# 4. Nothing left behind; vendored files as they came.
if git grep -nE '\b(TODO|FIXME|XXX)\b' -- core lua scripts; then say "leftovers"; fi
sha256sum -c --quiet vendor/SHA256SUMS || say "vendor/ is not as it came"

# 5. Static analysis.
if command -v cppcheck >/dev/null; then
  mkdir -p "$build/cppcheck"
  cppcheck -q -j2 --cppcheck-build-dir="$build/cppcheck" --std=c11 --enable=warning,portability --inline-suppr \
    --suppressions-list=tests/support/cppcheck.txt --error-exitcode=1 -D_GNU_SOURCE -DTIDEGATE_VERSION='"lint"' -DWITH_POSTGRES=1 \
    -Icore -Ivendor core || say "cppcheck found something"
else
  say "cppcheck is missing: make test installs it"
fi
[ $bad = 0 ] && echo "lint: clean"
exit $bad
