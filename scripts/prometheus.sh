#!/usr/bin/env bash
# Prints the folder with the programs `prometheus`, `promtool` and `prometheus-postgres-exporter`: those on the PATH, or else those of Debian's
# packages, which are unpacked into a folder of their own; nothing is installed, and no root is needed. Fails with the reason on stderr.
set -euo pipefail
dir=${TMPDIR:-/tmp}/pgbosun-prometheus-$(id -u)

fail() {
  echo "$*" >&2
  exit 1
}

if command -v prometheus > /dev/null && command -v promtool > /dev/null && command -v prometheus-postgres-exporter > /dev/null; then
  dirname "$(command -v prometheus)"
  exit
fi
command -v apt-get > /dev/null || fail 'that needs the programs prometheus, promtool and prometheus-postgres-exporter, or apt-get'
mkdir -p "$dir"
[ -O "$dir" ] || fail "$dir belongs to somebody else"
exec 9> "$dir/lock"
flock 9 # two at once: the second finds it complete
if [ ! -x "$dir/usr/bin/prometheus" ] || [ ! -x "$dir/usr/bin/prometheus-postgres-exporter" ]; then
  packages='prometheus prometheus-postgres-exporter'
  # shellcheck disable=SC2086
  (cd "$dir" && { apt-get download -q $packages > apt.log 2>&1 || { apt-get update -q >> apt.log 2>&1 && apt-get download -q $packages >> apt.log 2>&1; }; }) \
    || fail "apt-get download $packages: $(grep '^E:' "$dir/apt.log" | head -n 1)"
  for package in "$dir"/prometheus*.deb; do dpkg-deb -x "$package" "$dir"; done
  rm -f "$dir"/prometheus*.deb
fi
"$dir/usr/bin/promtool" --version > /dev/null 2>&1 || fail 'its promtool does not run here'
echo "$dir/usr/bin"
