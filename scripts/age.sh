#!/usr/bin/env bash
# Prints the folder with the programs `age` and `age-keygen`: those on the PATH, or else those of Debian's package, which is unpacked into a
# folder of its own; nothing is installed, and no root is needed. Fails with the reason on stderr.
set -euo pipefail
dir=${TMPDIR:-/tmp}/pgbosun-age-$(id -u)

fail() {
  echo "$*" >&2
  exit 1
}

if command -v age > /dev/null && command -v age-keygen > /dev/null; then
  dirname "$(command -v age)"
  exit
fi
command -v apt-get > /dev/null || fail 'that needs the program age, or apt-get'
mkdir -p "$dir"
[ -O "$dir" ] || fail "$dir belongs to somebody else"
exec 9> "$dir/lock"
flock 9 # two at once: the second finds it complete
if [ ! -x "$dir/usr/bin/age" ]; then
  (cd "$dir" && { apt-get download -q age > apt.log 2>&1 || { apt-get update -q >> apt.log 2>&1 && apt-get download -q age >> apt.log 2>&1; }; }) \
    || fail "apt-get download age: $(grep '^E:' "$dir/apt.log" | head -n 1)"
  dpkg-deb -x "$dir"/age_*.deb "$dir"
  rm -f "$dir"/age_*.deb
fi
"$dir/usr/bin/age" --version > /dev/null || fail 'its age does not run here'
echo "$dir/usr/bin"
