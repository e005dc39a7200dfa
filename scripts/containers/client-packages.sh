#!/bin/sh
# Prints the packages with PostgreSQL's client programs, one per major. Arguments: `all`, which is every major from 13 that the
# package sources have, or majors.
set -eu
[ "$*" = all ] || { for major in "$@"; do echo "postgresql-client-$major"; done && exit; }
apt-cache search --names-only '^postgresql-client-[0-9]+$' | cut -d ' ' -f 1 | awk -F - '$3 >= 13' | sort -V
