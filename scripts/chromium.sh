#!/usr/bin/env bash
# Prints a program that starts Chromium: the one on the PATH, or else Debian's package, which is unpacked with the libraries that are
# missing here into a folder of its own; nothing is installed, and no root is needed. Fails with the reason on stderr.
set -euo pipefail
dir=${TMPDIR:-/tmp}/pgbosun-chromium-$(id -u)

fail() {
  echo "$*" >&2
  exit 1
}

if command -v chromium > /dev/null; then
  command -v chromium
  exit
fi
command -v apt-get > /dev/null || fail 'that needs the program chromium, or apt-get'
mkdir -p "$dir"
[ -O "$dir" ] || fail "$dir belongs to somebody else"
exec 9> "$dir/lock"
flock 9 # two at once: the second finds it complete

# what apt would install, without what is only recommended, but with a font
missing() {
  apt-get install -y --print-uris --no-install-recommends chromium fonts-dejavu-core 2>> "$dir/apt.log" | sed -n "s/^'\([^']*\)' .*/\1/p" | sed 's|.*/||; s|_.*||'
}

if [ ! -x "$dir/chromium" ]; then
  mkdir -p "$dir/debs" "$dir/root"
  packages=$(missing) || { apt-get update -q >> "$dir/apt.log" 2>&1 && packages=$(missing); } \
    || fail "apt-get: $(grep '^E:' "$dir/apt.log" | head -n 1)"
  # shellcheck disable=SC2086 # one word each
  (cd "$dir/debs" && { apt-get download -q $packages >> ../apt.log 2>&1 || { apt-get update -q >> ../apt.log 2>&1 && apt-get download -q $packages >> ../apt.log 2>&1; }; }) \
    || fail "apt-get download: $(grep '^E:' "$dir/apt.log" | head -n 1)"
  for package in "$dir"/debs/*.deb; do dpkg-deb -x "$package" "$dir/root"; done
  rm -rf "$dir/debs"
  libraries=$(find "$dir/root/usr/lib" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
  cat > "$dir/chromium.new" << END
#!/bin/sh
export LD_LIBRARY_PATH=$libraries FONTCONFIG_PATH=$dir/root/etc/fonts XDG_DATA_HOME=$dir/root/usr/share
exec $dir/root/usr/lib/chromium/chromium "\$@"
END
  chmod +x "$dir/chromium.new"
  mv "$dir/chromium.new" "$dir/chromium"
fi
"$dir/chromium" --version --no-sandbox > /dev/null 2>> "$dir/apt.log" || fail "its chromium does not run here: $(tail -n 1 "$dir/apt.log")"
echo "$dir/chromium"
