# What engine.sh and base-images.sh share. To be sourced after scripts/lib.sh.

# Everything we make stays here, outside the checkout: images by recipe, the engine with its data.
containers=${PGBOSUN_CONTAINERS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pgbosun/containers}
engine=$containers/engine

apt_install() {
  command -v apt-get > /dev/null && can_be_root || die "$* cannot be installed: that needs apt-get and root"
  say "apt-get install $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" > /dev/null 2>&1 && return
  as_root apt-get update -q > /dev/null 2>&1 || true
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2
}

# The Debian mirror that this machine's own packages come from.
mirror() {
  local uri=${DEBIAN_MIRROR:-}
  [ -n "$uri" ] || uri=$(apt-get indextargets --format '$(LABEL);$(REPO_URI)' 'Created-By: Packages' | awk -F ';' '$1 == "Debian" { print $2; exit }')
  [ -n "$uri" ] || die 'the package sources of this machine name no Debian mirror' 'Set DEBIAN_MIRROR.'
  echo "$uri"
}
