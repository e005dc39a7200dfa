#!/usr/bin/env bash
# Finds Docker or Podman, builds both images, starts everything, and shows what runs and what to do with it.
set -euo pipefail
cd "$(dirname "$0")"

for engine in docker podman; do
  command -v "$engine" > /dev/null && "$engine" compose version > /dev/null 2>&1 && "$engine" info > /dev/null 2>&1 && break
  engine=
done
[ -n "$engine" ] || { echo 'error: neither docker nor podman answers, with its command `compose`' >&2 && exit 1; }

./secrets.sh
if [ -z "${BOSUN_IMAGE:-}" ]; then "$engine" build -t pgbosun -f ../../Containerfile ../..; fi
"$engine" compose up --build --wait
"$engine" compose ps
cat << END

The first replica of the bank answers at http://127.0.0.1:8000. What to do next:
  curl -s http://127.0.0.1:8000/accounts/ada
  $engine compose run --rm up check                      is every cent there?
  $engine compose exec backups pgbosun status            what is applied, and which backups there are
  $engine compose logs --follow api
  $engine compose down                                   stops it; --volumes also deletes the data
END
