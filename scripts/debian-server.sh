#!/usr/bin/env bash
# Prints the folder with the server and client programs of a major, out of Debian's packages: debian-server.sh MAJOR. 17 is that of the
# release trixie, because npm has no client programs; newer ones come from unstable and experimental. They are unpacked into a folder of
# their own, with the C library that they need; nothing is installed, and no root is needed. Fails with the reason on stderr.
set -euo pipefail
major=$1
base=${TMPDIR:-/tmp}
[ "$(id -u)" != 0 ] || base=/tmp # a TMPDIR of root's own may be closed to the account that servers run as
base=$base/pgbosun-servers-$(id -u)
dir=$base/debian-$major-$(cksum < "$0" | cut -d ' ' -f 1)
bin=$dir/root/usr/lib/postgresql/$major/bin
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
  echo "$*" >&2
  exit 1
}

# apt-get with package sources and folders of our own
apt() {
  apt-get -q -o Dir::State::lists="$dir/lists" -o Dir::State::status="$dir/status" -o Dir::Cache="$dir/cache" \
    -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferences="$dir/preferences" \
    -o Dir::Etc::preferencesparts=- -o APT::Sandbox::User="$(id -un)" "$@" > "$dir/apt.log" 2>&1 \
    || fail "apt-get: $(grep '^E:' "$dir/apt.log" | head -n 1)"
}

mirror() {
  apt-get indextargets --format '$(LABEL);$(REPO_URI)' 'Created-By: Packages' | awk -F ';' '$1 == "Debian" { print $2; exit }'
}

download() {
  local uri=${DEBIAN_MIRROR:-$(mirror)}
  [ -n "$uri" ] || fail 'the package sources of this machine name no Debian mirror'
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/root"
  : > "$dir/status"
  local suites=(sid experimental)
  [ "$major" != 17 ] || suites=(trixie)
  printf "deb [signed-by=$keyring] $uri %s main\n" "${suites[@]}" > "$dir/sources.list"
  # of experimental only PostgreSQL itself, until unstable has it
  printf 'Package: postgresql-%s postgresql-client-%s libpq5\nPin: release a=experimental\nPin-Priority: 500\n' "$major" "$major" \
    > "$dir/preferences"
  apt update
  apt install --download-only -y --no-install-recommends "postgresql-$major" patchelf
  for package in "$dir"/cache/archives/*.deb; do dpkg-deb -x "$package" "$dir/root"; done
  rm -rf "$dir/cache" "$dir/lists" "$dir/root/usr/share/"{doc,locale,man}
}

# The programs get the path of their own loader and libraries. RPATH, unlike RUNPATH, also holds for what a library loads.
link_libraries() {
  local libraries loader
  libraries=$(dirname "$(find "$dir/root/usr/lib" -name libc.so.6)")
  loader=$(find "$libraries" -name 'ld-linux*.so*')
  for program in "$bin"/*; do
    case $(head -c 4 "$program" | tr -d '\0') in
      ?ELF) "$loader" --library-path "$libraries" "$dir/root/usr/bin/patchelf" --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$program" ;;
    esac
  done
}

mkdir -p "$base"
exec 9> "$base/debian-$major.lock"
flock 9 # two at once: the second finds it complete
if [ ! -e "$dir/complete" ]; then
  command -v apt-get > /dev/null && [ -r "$keyring" ] || fail 'that needs apt-get and the keys of Debian'
  [ -e /usr/share/zoneinfo ] || fail 'the time zones (tzdata) are not installed'
  rm -rf "$dir"
  mkdir -p "$dir"
  download
  link_libraries
  # readable by the account that servers run as
  chmod -R a+rX "$base"
  "$bin/postgres" --version > "$dir/complete" || { rm -f "$dir/complete" && fail 'its postgres does not run here'; }
fi
[ -O "$dir/complete" ] || fail "$dir belongs to somebody else"
echo "$bin"
