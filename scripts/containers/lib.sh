# Shared by engine.sh and base-images.sh. Source it after scripts/lib.sh.

# Everything we make stays here, outside the checkout: images by recipe, the engine with its data.
containers=${BOSUN_CONTAINERS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pgbosun/containers}
engine=$containers/engine
mkdir -p "$engine"

# Installs packages without starting their services, so that running tests does not leave new services on the machine.
apt_install() {
  command -v apt-get > /dev/null && can_be_root || die "$* would have to be installed: that needs apt-get and root"
  say "apt-get install $*"
  local policy=/usr/sbin/policy-rc.d result=0
  [ -e "$policy" ] && policy='' || printf '#!/bin/sh\nexit 101\n' | as_root install -m 755 /dev/stdin "$policy"
  { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; } \
    > "$containers/apt.log" 2>&1 || result=$?
  [ -z "$policy" ] || as_root rm -f "$policy"
  [ "$result" = 0 ] || die "apt-get could not install $*: $(grep '^E:' "$containers/apt.log" | tail -n 1)"
}

# The Debian mirror that this machine's own packages come from.
mirror() {
  local uri=${DEBIAN_MIRROR:-}
  [ -n "$uri" ] || uri=$(apt-get indextargets --format '$(LABEL);$(REPO_URI)' 'Created-By: Packages' | awk -F ';' '$1 == "Debian" { print $2; exit }')
  [ -n "$uri" ] || die 'the package sources of this machine name no Debian mirror' 'Set DEBIAN_MIRROR.'
  echo "$uri"
}
