#!/usr/bin/env bash
# Creates the secrets of compose.yaml that do not exist yet: secrets.sh [FOLDER], by default secrets/ beside this file.
# Containers read them as another user, so each file is 0444; on the host the folder protects them.
set -euo pipefail
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"

new_password() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; } # hexadecimal: means the same in a URL
for name in postgres sectorwars_app sectorwars_readonly sectorwars_backup sectorwars_monitor; do
  [ -s "$folder/$name" ] || new_password > "$folder/$name"
done
# the whole URL is a secret, because the password is in it
[ -s "$folder/backup_url" ] \
  || printf 'postgres://sectorwars_backup:%s@postgres/sectorwars_dev\n' "$(cat "$folder/sectorwars_backup")" > "$folder/backup_url"
chmod 444 "$folder"/*
