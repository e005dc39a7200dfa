#!/usr/bin/env bash
# Creates a certificate for the server of compose.yaml, where there is none yet: certificate.sh [FOLDER], by default secrets/ of this checkout.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-secrets}
mkdir -p "$folder"
chmod 700 "$folder"
[ ! -s "$folder/tls_certificate" ] || exit 0
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 -subj /CN=postgres \
  -addext subjectAltName=DNS:postgres -keyout "$folder/tls_key" -out "$folder/tls_certificate.new" 2> "$folder/openssl.log" \
  || { cat "$folder/openssl.log" >&2 && exit 1; }
rm "$folder/openssl.log"
chmod 444 "$folder/tls_key" "$folder/tls_certificate.new" # as the passwords: the folder protects them
mv "$folder/tls_certificate.new" "$folder/tls_certificate" # last: it says that both are complete
