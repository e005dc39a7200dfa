#!/usr/bin/env bash
# Makes the password files of compose.yaml that are not there yet: secrets.sh [FOLDER], by default secrets/ of this checkout.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-secrets}

mkdir -p "$folder"
chmod 700 "$folder"
for name in postgres_password games_app_password games_backup_password; do
  [ -s "$folder/$name" ] || head -c 24 /dev/urandom | base64 | tr -d '\n' > "$folder/$name"
  # the container's user has to read it; on the host the folder protects it
  chmod 444 "$folder/$name"
done
