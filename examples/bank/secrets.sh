#!/usr/bin/env bash
# Creates what compose.yaml mounts, if it does not exist yet: passwords, and a certificate authority with a certificate for the server and
# the pooler. secrets.sh [FOLDER], by default secrets/ beside this file. `secrets.sh --rotate NAME` writes a new password for one user.
# Containers read the secrets as another user, so each file is 0444; on the host the folder protects them.
set -euo pipefail
rotate=
[ "${1:-}" != --rotate ] || { rotate=$2 && shift 2; }
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"

new_password() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; } # hexadecimal: means the same in a URL
for name in postgres neobank_app neobank_monitor neobank_backup; do
  [ -s "$folder/$name" ] && [ "$rotate" != "$name" ] && continue
  password=$(new_password)
  [ ! -e "$folder/$name" ] || chmod u+w "$folder/$name"
  printf '%s\n' "$password" > "$folder/$name" # in place: containers have mounted this very file
done

# a whole URL is a secret, because the password is in it
for name in backup rehearsal; do
  case $name in
    backup) url=neobank_backup:$(cat "$folder/neobank_backup")@postgres/neobank ;;
    rehearsal) url=postgres:$(cat "$folder/postgres")@rehearsal/postgres ;;
  esac
  [ ! -e "$folder/${name}_url" ] || chmod u+w "$folder/${name}_url"
  printf 'postgres://%s\n' "$url" > "$folder/${name}_url"
done

if [ ! -s "$folder/server.crt" ]; then
  curve=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
  openssl req -x509 "${curve[@]}" -days 3650 -subj '/CN=neobank authority' -keyout "$folder/ca.key" -out "$folder/ca.crt" 2> /dev/null
  openssl req "${curve[@]}" -subj /CN=postgres -keyout "$folder/server.key" -out "$folder/server.csr" 2> /dev/null
  openssl x509 -req -in "$folder/server.csr" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -CAcreateserial -days 825 \
    -extfile <(echo 'subjectAltName=DNS:postgres,DNS:pgbouncer,DNS:rehearsal,DNS:localhost') -out "$folder/server.crt" 2> /dev/null
  rm -f "$folder/server.csr" "$folder/ca.srl"
fi
chmod 444 "$folder"/*
chmod 400 "$folder/ca.key" # nobody mounts it
