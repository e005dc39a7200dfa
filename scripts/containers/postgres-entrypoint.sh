#!/bin/bash
# Entrypoint of the stand-in for the official postgres image: the part of its documented behaviour that our tests and
# compose.yaml rely on. POSTGRES_PASSWORD[_FILE], POSTGRES_USER, POSTGRES_DB, PGDATA, /docker-entrypoint-initdb.d/*.{sh,sql};
# while it initialises, the server listens on its Unix socket only, so `pg_isready -h 127.0.0.1` says no until all is done.
set -euo pipefail

[ "${1:-}" = postgres ] || [ "${1#-}" != "${1:-}" ] || exec "$@"
[ "${1:-}" = postgres ] || set -- postgres "$@"

if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
  POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
  export POSTGRES_PASSWORD
  unset POSTGRES_PASSWORD_FILE
fi

if [ "$(id -u)" = 0 ]; then
  install -d -o postgres -g postgres -m 700 "$PGDATA"
  install -d -o postgres -g postgres -m 3775 /var/run/postgresql
  find "$PGDATA" \! -user postgres -exec chown postgres:postgres '{}' +
  exec gosu postgres "$0" "$@"
fi

user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}

initialise() {
  [ -n "${POSTGRES_PASSWORD:-}" ] || { echo 'error: POSTGRES_PASSWORD is not set' >&2 && exit 1; }
  initdb --username="$user" --pwfile=<(echo "$POSTGRES_PASSWORD") --auth-local=trust --auth-host=scram-sha-256
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"

  pg_ctl start -w -D "$PGDATA" -o "-c listen_addresses=''"
  [ "$database" = postgres ] || createdb --username="$user" --maintenance-db=postgres "$database"
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh) bash "$file" ;;
      *.sql) psql -v ON_ERROR_STOP=1 --no-psqlrc --username="$user" --dbname="$database" --file="$file" ;;
    esac
  done
  pg_ctl stop -w -D "$PGDATA" -m fast
}

[ -s "$PGDATA/PG_VERSION" ] || initialise
unset POSTGRES_PASSWORD
exec "$@"
