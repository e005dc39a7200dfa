#!/bin/sh
# Moves what collect.sh put into a root into one folder, which works in any image that it is copied to, under the same path:
# one-folder.sh ROOT FOLDER
#
#   bin  lib  app      the program, Node, and the libraries that Node loads
#   postgresql         PostgreSQL's client programs, by major, and the libraries that only these load
#   share/doc          the licences of all that
#
# The programs contain the paths of their loader and their libraries, so no variable is needed: whatever pgbosun starts or becomes
# gets an unchanged environment. In the root, links replace what was moved.
set -eu
root=$1
folder=$2
own=$root$folder

# move PLACE TO: TO is below the folder
move() {
  mkdir -p "$(dirname "$own/$2")" "$(dirname "$root$1")"
  mv "$root$1" "$own/$2"
  ln -s "$folder/$2" "$root$1"
}

loader=$(patchelf --print-interpreter "$root/usr/local/bin/node")
libraries=/usr/lib/$(basename "$(dirname "$(find "$root/usr/lib" -name libc.so.6)")")
move "$libraries" lib
# this path is shorter than the loader's usual one; with a longer one, patchelf 0.18 makes a Node that crashes
move "$(readlink -f "$(dirname "$loader")")/$(basename "$loader")" lib/ld.so
move /usr/local/bin/node bin/node
move /usr/lib/postgresql postgresql
move /usr/share/doc share/doc
move /app app
ln -s ../app/pgbosun.cjs "$own/bin/pgbosun"
ln -s "$folder/bin/pgbosun" "$root/usr/local/bin/pgbosun"

needed() { ldd "$1" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }'; }

mkdir "$own/postgresql/lib"
ofNode=$(needed "$own/bin/node" | xargs -n 1 basename | tr '\n' ' ')
for library in "$own"/lib/*; do
  name=$(basename "$library")
  case " ld.so $ofNode" in
    *" $name "*) ;;
    *) mv "$library" "$own/postgresql/lib/$name" ;;
  esac
done

# Not RUNPATH, which is searched after LD_LIBRARY_PATH, and does not apply to what a library itself loads.
patch() {
  patchelf --set-interpreter "$folder/lib/ld.so" --force-rpath --set-rpath "$2" "$1"
  "$1" --version
}
ln -s "$own" "$folder"
patch "$own/bin/node" "\$ORIGIN/../lib"
for program in "$own"/postgresql/*/bin/*; do
  patch "$program" "\$ORIGIN/../../lib:\$ORIGIN/../../../lib"
done
