# Set-up shared by scripts/test and scripts/quickstart: Node 24, the packages, a PostgreSQL server, the build.
# Source it in the root of the repository. It logs to stderr.

say() { printf '== %s\n' "$*" >&2; }
loud() { printf '!! %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '       %s\n' "$line" >&2; done
  exit 1
}

# Installs the locked packages if they are missing, and puts a Node >= 24 first on the PATH.
ensure_node_and_packages() {
  command -v npm > /dev/null && command -v node > /dev/null || die 'Node and npm are needed' "$(how_to_install node)"
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || die "Node 20 or newer is needed; this is $(node --version)" "$(how_to_install node)"

  if ! node scripts/installed.cjs; then
    say 'npm ci'
    npm ci --no-audit --no-fund >&2 || die 'npm ci failed (see above)'
  fi

  # the package `node` contains a Node 24; if that cannot run (musl, an unknown processor), the system's Node has to be new enough
  if [ "$(node_major node_modules/node/bin/node)" -lt 24 ]; then
    npm rebuild node >&2 || true
  fi
  if [ "$(node_major node_modules/node/bin/node)" -ge 24 ]; then
    PATH="$PWD/node_modules/node/bin:$PATH"
  elif [ "$major" -lt 24 ]; then
    die "the npm package \"node\" has no Node 24 that runs here, and the system's is $(node --version)" "$(how_to_install node)"
  fi
  export PATH
}

# The major version of a node program, 0 when it does not run.
node_major() { "$1" -p 'process.versions.node.split(".")[0]' 2> /dev/null || echo 0; }

# Runs a command as root: directly, or with a sudo that does not ask for a password. Fails if neither is possible.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}
can_be_root() { [ "$(id -u)" = 0 ] || { command -v sudo > /dev/null && sudo -n true 2> /dev/null; }; }

# Prints the folder of initdb and postgres, newest major version first; nothing if there is none.
find_server() { node scripts/find-server.ts; }

# Installs a PostgreSQL server if there is none and we are allowed to.
ensure_server() {
  [ -z "$(find_server)" ] || return 0
  if command -v apt-get > /dev/null && can_be_root; then
    say 'no PostgreSQL server found: apt-get install postgresql'
    apt_install_server || die 'apt-get could not install PostgreSQL (see above)'
  fi
  [ -n "$(find_server)" ] || die 'no PostgreSQL server (initdb, postgres) was found' "$(how_to_install postgres)" 'It is not started as a service: each run makes its own throwaway server.'
}

# We need only the programs, so Debian is told not to create and start a cluster.
apt_install_server() {
  local no_cluster=/etc/postgresql-common/createcluster.d/pgbosun.conf
  as_root apt-get update -q >&2 || return 1
  as_root mkdir -p "${no_cluster%/*}"
  echo 'create_main_cluster = false' | as_root tee "$no_cluster" > /dev/null
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends postgresql >&2
  local result=$?
  as_root rm -f "$no_cluster"
  return $result
}

# Puts a PgBouncer on the PATH if there is none and we are allowed to. Fails if there is still none.
ensure_pooler() {
  ! { command -v pgbouncer || [ -x /usr/sbin/pgbouncer ]; } > /dev/null || return 0
  local dir="${TMPDIR:-/tmp}"
  [ "$(id -u)" != 0 ] || dir=/tmp # as for servers: they run as another account then
  dir="$dir/pgbosun-pooler-$(id -u)"
  if [ ! -e "$dir/complete" ]; then
    command -v apt-get > /dev/null && can_be_root || return 1
    say 'no PgBouncer found: apt-get download'
    apt_unpack_pooler "$dir" || return 1
  fi
  [ -O "$dir/complete" ] || return 1
  export PATH="$PATH:$dir"
}

# Installs Alembic with two drivers if it is not here and we are allowed to. Fails if it is still not here.
ensure_alembic() {
  ! has_alembic || return 0
  command -v apt-get > /dev/null && can_be_root || return 1
  say 'no Alembic found: apt-get install alembic'
  as_root apt-get update -q >&2 || return 1
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends alembic python3-psycopg2 python3-asyncpg >&2
  has_alembic
}
has_alembic() {
  alembic --version && /usr/bin/python3 -c 'import alembic, psycopg2, asyncpg'
} > /dev/null 2>&1

# If it were installed, the package would start a service. So it is only unpacked, together with the libraries that are missing.
apt_unpack_pooler() {
  local package libraries
  as_root rm -rf "$1" && mkdir -p "$1/archives/partial" || return 1
  as_root apt-get update -q >&2 || return 1
  as_root apt-get install --download-only -y -q --no-install-recommends -o Dir::Cache::archives="$1/archives" pgbouncer >&2 || return 1
  for package in "$1"/archives/*.deb; do dpkg-deb -x "$package" "$1/root" || return 1; done
  as_root rm -rf "$1/archives"
  libraries=$(find "$1/root" -name '*.so.*' -exec dirname {} + | sort -u | tr '\n' ':')
  printf '#!/bin/sh\nexec env "LD_LIBRARY_PATH=%s" "%s/root/usr/sbin/pgbouncer" "$@"\n' "${libraries%:}" "$1" > "$1/pgbouncer"
  # readable by the account that it runs as
  chmod a+x "$1/pgbouncer" && chmod -R a+rX "$1" || return 1
  "$1/pgbouncer" --version > "$1/complete" || { rm -f "$1/complete" && return 1; }
}

# Prints one line: what to type on this platform.
how_to_install() {
  local id=''
  if [ "$(uname)" = Darwin ]; then
    id=macos
  elif [ -r /etc/os-release ]; then
    id=$(. /etc/os-release && echo " $ID ${ID_LIKE:-} ")
  fi
  case "$1 $id" in
    'postgres '*' debian '* | 'postgres '*' ubuntu '*) echo 'Install one: sudo apt-get install postgresql' ;;
    'postgres '*' fedora '* | 'postgres '*' rhel '*) echo 'Install one: sudo dnf install postgresql-server' ;;
    'postgres '*' alpine '*) echo 'Install one: sudo apk add postgresql postgresql-contrib' ;;
    'postgres '*' arch '*) echo 'Install one: sudo pacman -S postgresql' ;;
    'postgres macos') echo 'Install one: brew install postgresql@17' ;;
    'postgres '*) echo 'Install PostgreSQL 13 or newer, and put its initdb and postgres on the PATH.' ;;
    'node '*' alpine '*) echo 'Install it: sudo apk add nodejs npm (Node 24 or newer: the prebuilt one does not run on musl)' ;;
    'node macos') echo 'Install it: brew install node' ;;
    'node '*' debian '* | 'node '*' ubuntu '*) echo 'Install it: sudo apt-get install nodejs npm (20 or newer), or from https://nodejs.org' ;;
    'node '*) echo 'Install Node 20 or newer with npm from https://nodejs.org' ;;
  esac
}
