#!/bin/sh
# Installs what building or testing needs, through apt alone; does nothing twice. Usage: install.sh build|test|coverage
# Leaves no service enabled or running: a policy-rc.d stands while packages are installed, then goes.
set -eu

build="gcc make pkg-config lua5.4 liblua5.4-dev libsqlite3-dev libcurl4-openssl-dev libmicrohttpd-dev libzstd-dev libxxhash-dev libpq-dev"
test="$build libcmocka-dev clang libclang-rt-14-dev cppcheck universal-ctags sqlite3 python3 curl nghttp2-server strace procps util-linux postgresql-15 postgresql-client-15"

case "${1:-}" in
build) wanted=$build ;;
test) wanted=$test ;;
coverage) wanted="$test lcov" ;;
*) echo "usage: install.sh build|test|coverage" >&2; exit 64 ;;
esac

missing=
for package in $wanted; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
  as=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
  as=sudo
elif command -v sudo >/dev/null 2>&1 && [ -t 0 ]; then
  as=sudo
else
  echo "These packages are missing. As root, run:" >&2
  echo "  apt-get update && apt-get install -y --no-install-recommends$missing" >&2
  exit 77
fi

policy=/usr/sbin/policy-rc.d
made=
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | $as tee "$policy" >/dev/null
  $as chmod 755 "$policy"
  made=yes
fi
trap '[ -z "$made" ] || $as rm -f "$policy"' EXIT

apt() {
  $as env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}
echo "installing:$missing" >&2
apt update >/dev/null
apt install -s --no-install-recommends $missing | sed -n 's/^\([0-9].* newly installed.*\)/  \1/p' >&2
apt install -y --no-install-recommends $missing >/dev/null
