#!/usr/bin/env bash
# Creates the secrets of compose.yaml that do not exist yet: secrets.sh [FOLDER], by default secrets/ beside this file.
# Containers read them as another user, so each file is 0444; on the host the folder protects them.
set -euo pipefail
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"

new_password() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; } # hexadecimal: means the same in a URL
for name in postgres_password langsense_app_password; do
  [ -s "$folder/$name" ] || new_password > "$folder/$name"
done
# the whole URL is a secret, because the password is in it
[ -s "$folder/database_url" ] \
  || printf 'postgresql+asyncpg://langsense_app:%s@postgres/langsense\n' "$(cat "$folder/langsense_app_password")" > "$folder/database_url"
chmod 444 "$folder"/{postgres_password,langsense_app_password,database_url}
