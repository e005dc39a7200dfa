#!/usr/bin/env bash
# Creates the secrets of compose.yaml that do not exist yet: secrets.sh [FOLDER], by default secrets/ beside this file.
# Containers read them as another user, so each file is 0444; on the host the folder protects them.
set -euo pipefail
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"

for name in postgres poker_app poker_monitor poker_backup jwt; do
  [ -s "$folder/$name" ] || head -c 33 /dev/urandom | base64 > "$folder/$name"
done
chmod 444 "$folder"/*
