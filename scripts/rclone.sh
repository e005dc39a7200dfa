#!/usr/bin/env bash
# Prints the folder with the program `rclone`: that on the PATH, or else that of Debian's package, which is unpacked into a folder of its
# own; nothing is installed, and no root is needed. Fails with the reason on stderr.
set -euo pipefail
dir=${TMPDIR:-/tmp}/pgbosun-rclone-$(id -u)

fail() {
  echo "$*" >&2
  exit 1
}

if command -v rclone > /dev/null; then
  dirname "$(command -v rclone)"
  exit
fi
command -v apt-get > /dev/null || fail 'that needs the program rclone, or apt-get'
mkdir -p "$dir"
[ -O "$dir" ] || fail "$dir belongs to somebody else"
exec 9> "$dir/lock"
flock 9 # two at once: the second finds it complete
if [ ! -x "$dir/usr/bin/rclone" ]; then
  (cd "$dir" && { apt-get download -q rclone > apt.log 2>&1 || { apt-get update -q >> apt.log 2>&1 && apt-get download -q rclone >> apt.log 2>&1; }; }) \
    || fail "apt-get download rclone: $(grep '^E:' "$dir/apt.log" | head -n 1)"
  dpkg-deb -x "$dir"/rclone_*.deb "$dir"
  rm -f "$dir"/rclone_*.deb
fi
"$dir/usr/bin/rclone" version > /dev/null || fail 'its rclone does not run here'
echo "$dir/usr/bin"
