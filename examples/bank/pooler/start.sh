#!/bin/sh
# Starts PgBouncer with the password that is in the secret now, and lets it read the file again when that changes.
set -eu
users() { printf '"neobank_app" "%s"\n' "$(cat /secrets/neobank_app)"; }
users > /tmp/users
pgbouncer /etc/pgbouncer/pgbouncer.ini &
pooler=$!
trap 'kill -INT $pooler' TERM INT
while kill -0 $pooler 2> /dev/null; do
  users > /tmp/users.new
  if ! cmp -s /tmp/users /tmp/users.new; then
    mv /tmp/users.new /tmp/users
    kill -HUP $pooler
  fi
  sleep 1
done
wait $pooler
