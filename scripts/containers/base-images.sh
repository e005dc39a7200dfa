#!/usr/bin/env bash
# Makes sure that the images our Containerfile, compose.yaml and tests start from are in the engine of DOCKER_HOST.
#
#   base-images.sh               those that are missing are pulled; in the engine of engine.sh, made as stand-ins
#   base-images.sh --stand-ins   those that are missing are made here from Debian packages and get the same names: for machines
#                                that reach a Debian mirror but no image registry (needs apt-get and root)
#
# Made images are kept in BOSUN_CONTAINERS (default ~/.cache/pgbosun/containers), by recipe. DEBIAN_MIRROR replaces the mirror
# of the machine's own package sources.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/lib.sh
. scripts/containers/lib.sh

node_image=docker.io/library/node:24-trixie-slim
postgres_image=docker.io/library/postgres:17-trixie
debian_image=docker.io/library/debian:bookworm-slim
suite=trixie

main() {
  local missing=() how=${1:-}
  case ${DOCKER_HOST:-} in unix://$engine/*) how=--stand-ins ;; esac
  for image in "$node_image" "$postgres_image" "$debian_image"; do
    docker image inspect "$image" > /dev/null 2>&1 || missing+=("$image")
  done
  for image in ${missing[@]+"${missing[@]}"}; do
    case $how in
      --stand-ins) stand_in "$image" ;;
      '') docker pull -q "$image" >&2 || die "$image could not be pulled" "Without a registry: $0 --stand-ins" ;;
      *) die "usage: $0 [--stand-ins]" ;;
    esac
  done
}

stand_in() {
  ensure_node_and_packages # the image gets the Node that is first on the PATH
  local name=${1##*/}
  local tree="$containers/${name//:/-}-$(recipe).tar"
  local lock="$containers/${name//:/-}.lock"
  mkdir -p "$containers"
  (
    flock 9 # two runs at once: the second finds the file
    [ -s "$tree" ] || "make_${name%%:*}" "$tree"
  ) 9> "$lock"
  say "importing $1 (a stand-in from Debian packages)"
  "import_${name%%:*}" "$tree" "$1" > /dev/null
}

# What the images are made of: this script and what it puts into them.
recipe() { cat scripts/containers/base-images.sh scripts/containers/postgres-entrypoint.sh <(node --version) | cksum | cut -d ' ' -f 1; }

# bootstrap TREE PACKAGES FOLDER: a Debian of its smallest kind with packages, the content of a folder laid over it, as a tar.
bootstrap() {
  local tree=$1 packages=$2 overlay=$3
  command -v mmdebstrap > /dev/null || apt_install mmdebstrap
  # mirrors that are frozen at a day have expired signatures: the machine's own setting decides
  local valid_until
  valid_until=$(apt-config dump --format '%v%n' Acquire::Check-Valid-Until)
  say "making ${tree##*/} from $(mirror)"
  as_root mmdebstrap --variant=minbase --include="$packages" --components=main \
    --aptopt="Acquire::Check-Valid-Until \"${valid_until:-true}\"" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --essential-hook='mkdir -p "$1/etc/postgresql-common/createcluster.d" && echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.d/none.conf"' \
    --customize-hook="sync-in $overlay /" \
    "$suite" "$tree.part.tar" "$(mirror)" > "$tree.log" 2>&1 || die "mmdebstrap failed: $(tail -n 3 "$tree.log")"
  as_root chown "$(id -u)" "$tree.part.tar"
  mv "$tree.part.tar" "$tree"
}

# Node and npm as the official image has them: below /usr/local, with an entrypoint that lets `docker run IMAGE -e 1` work.
make_node() {
  local overlay
  overlay=$(mktemp -d)
  chmod 755 "$overlay"
  mkdir -p "$overlay/usr/local/bin" "$overlay/usr/local/etc"
  cp "$(node -p process.execPath)" "$overlay/usr/local/bin/node"
  npm install --global --prefix "$overlay/usr/local" --no-audit --no-fund --silent npm@11
  printf '#!/bin/sh\nset -e\n[ "${1#-}" = "$1" ] && command -v "$1" > /dev/null || set -- node "$@"\nexec "$@"\n' \
    > "$overlay/usr/local/bin/docker-entrypoint.sh"
  chmod 755 "$overlay/usr/local/bin/docker-entrypoint.sh"
  trust_what_we_trust "$overlay"
  bootstrap "$1" base-files "$overlay"
  rm -rf "$overlay"
}

# Where the network of this machine has a certificate authority of its own, npm in the image needs it too.
trust_what_we_trust() {
  local authorities=${NODE_EXTRA_CA_CERTS:-$(npm config get cafile)}
  [ -r "$authorities" ] || return 0
  cp "$authorities" "$1/usr/local/etc/authorities.pem"
  echo 'cafile=/usr/local/etc/authorities.pem' > "$1/usr/local/etc/npmrc"
}

# Older than what we build on: what others copy out of our image has to run there, too.
make_debian() {
  local overlay suite=bookworm
  overlay=$(mktemp -d)
  chmod 755 "$overlay"
  bootstrap "$1" base-files "$overlay"
  rm -rf "$overlay"
}

import_debian() { docker import -c 'CMD ["bash"]' "$1" "$2"; }

import_node() {
  docker import -c "ENV NODE_VERSION=$(node -p process.versions.node)" -c 'ENTRYPOINT ["docker-entrypoint.sh"]' -c 'CMD ["node"]' "$1" "$2"
}

make_postgres() {
  local overlay
  overlay=$(mktemp -d)
  chmod 755 "$overlay"
  mkdir -p "$overlay/usr/local/bin" "$overlay/docker-entrypoint-initdb.d"
  install -m 755 scripts/containers/postgres-entrypoint.sh "$overlay/usr/local/bin/docker-entrypoint.sh"
  bootstrap "$1" ca-certificates,gosu,postgresql-17 "$overlay"
  rm -rf "$overlay"
}

import_postgres() {
  local tree=pgbosun-stand-in/postgres
  docker import -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/17/bin' \
    -c 'ENV LANG=C.UTF-8' -c 'ENV PG_MAJOR=17' -c 'ENV PGDATA=/var/lib/postgresql/data' -c 'VOLUME /var/lib/postgresql/data' \
    -c 'ENTRYPOINT ["docker-entrypoint.sh"]' -c 'EXPOSE 5432' -c 'CMD ["postgres"]' "$1" "$tree" \
    && printf 'FROM %s\nSTOPSIGNAL SIGINT\n' "$tree" | docker build -q -t "$2" -
}

main "$@"
