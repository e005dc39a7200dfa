#!/bin/sh
# Prints the packages with PostgreSQL's client programs, one for each major version. Arguments: `all`, which means every major version
# from 13 on that the package sources have, or a list of major versions.
set -eu
[ "$*" = all ] || { for major in "$@"; do echo "postgresql-client-$major"; done && exit; }
apt-cache search --names-only '^postgresql-client-[0-9]+$' | cut -d ' ' -f 1 | awk -F - '$3 >= 13' | sort -V
