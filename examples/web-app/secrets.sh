#!/usr/bin/env bash
# Creates what compose.yaml mounts, if it does not exist yet: the folder for backups, and secrets/. secrets.sh [FOLDER], by default this one.
# Containers read the secrets as another user, so each file is 0444; on the host the folder protects them.
set -euo pipefail
cd "${1:-$(dirname "$0")}"
mkdir -p secrets backups
chmod 700 secrets
[ -O backups ] && chmod 1777 backups # or: chown 65532:65532 backups

new_password() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; } # hexadecimal: means the same in a URL
for name in postgres app backup; do
  [ -s "secrets/${name}_password" ] || new_password > "secrets/${name}_password"
done
# a whole URL is a secret, because the password is in it
url() { printf 'postgres://kennwilliamson_%s:%s@postgres/kennwilliamson\n' "$1" "$(cat "secrets/$1_password")"; }
for name in app backup; do
  [ -s "secrets/${name}_url" ] || url "$name" > "secrets/${name}_url"
done
chmod 444 secrets/*
