#!/bin/sh
# Copies files into an empty root, programs with every library they load: collect.sh ROOT FILE...
# What a Debian package brought is noted under /var/lib/dpkg/status.d, where vulnerability scanners look in images without dpkg,
# and its copyright file comes along.
set -eu
root=$1
shift

mkdir -p "$root/var/lib/dpkg/status.d"
for folder in bin lib lib64; do
  mkdir -p "$root/usr/$folder"
  ln -sfn "usr/$folder" "$root/$folder"
done

# The folder's own links are followed (/lib is /usr/lib), the file keeps its name: libraries are found under their soname.
copy() {
  path=$(readlink -f "$(dirname "$1")")/$(basename "$1")
  [ ! -e "$root$path" ] || return 0
  mkdir -p "$root$(dirname "$path")"
  cp -L --preserve=mode,timestamps "$1" "$root$path"
  note "$path" || note "$(readlink -f "$path")" || true # programs that no package brought, like node
}

note() {
  package=$(dpkg-query --search "$1" 2> /dev/null | cut -d : -f 1) && [ -n "$package" ] || return 1
  [ ! -e "$root/var/lib/dpkg/status.d/$package" ] || return 0
  dpkg-query --status "$package" > "$root/var/lib/dpkg/status.d/$package"
  copyright=/usr/share/doc/$package/copyright
  [ ! -e "$copyright" ] || { mkdir -p "$root${copyright%/*}" && cp -L "$copyright" "$root$copyright"; }
}

for file in "$@"; do
  copy "$file"
  # a file that is not dynamically linked loads nothing
  libraries=$(ldd "$file" 2> /dev/null) || continue
  case $libraries in
    *'not found'*) echo "error: $file needs a library that is not there: $libraries" >&2 && exit 1 ;;
  esac
  for library in $(echo "$libraries" | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }'); do
    copy "$library"
  done
done
