#!/usr/bin/env bash
# Creates the password files of compose.yaml that do not exist yet: secrets.sh [FOLDER], by default secrets/ of this checkout.
# secrets.sh rotate NAME [FOLDER] puts a new password into one of them. It writes into the existing file, because a container sees the
# file that was mounted, never one that replaces it. `docker compose run --rm up` then sets the password on the server.
set -euo pipefail
cd "$(dirname "$0")/../.."

new_password() { head -c 24 /dev/urandom | base64 | tr -d '\n'; }

if [ "${1:-}" = rotate ]; then
  name=${2:?secrets.sh rotate NAME [FOLDER]}
  file=${3:-secrets}/$name
  if [ "$name" = postgres_password ]; then
    echo "postgres_password: the image reads it only for an empty volume; run alter role postgres first, then write the password into $file" >&2
    exit 2
  fi
  [ -f "$file" ] || { echo "$file does not exist" >&2; exit 2; }
  password=$(new_password)
  chmod u+w "$file"
  printf %s "$password" > "$file"
  chmod 444 "$file"
  exit
fi

folder=${1:-secrets}
mkdir -p "$folder"
chmod 700 "$folder"
for name in postgres_password games_app_password games_backup_password; do
  [ -s "$folder/$name" ] || new_password > "$folder/$name"
  # the container's user has to read it; on the host the folder protects it
  chmod 444 "$folder/$name"
done
