#!/bin/sh
# Copies files into an empty root, and with each program every library that it loads: collect.sh ROOT FILE...
# For a file from a Debian package, it records the package under /var/lib/dpkg/status.d, where vulnerability scanners look in images
# without dpkg, and copies its copyright file.
set -eu
root=$1
shift

mkdir -p "$root/var/lib/dpkg/status.d"
for folder in bin lib lib64; do
  mkdir -p "$root/usr/$folder"
  ln -sfn "usr/$folder" "$root/$folder"
done

# Links in the folder's path are followed (/lib is /usr/lib), but the file keeps its name, because libraries are found by their soname.
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
