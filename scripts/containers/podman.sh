#!/usr/bin/env bash
# A podman for the container tests that run Kubernetes manifests.
#
#   eval "$(scripts/containers/podman.sh)"    prints what to set; on Debian and Ubuntu, as root, installs podman if there is none
#
# Its images and containers stay in BOSUN_CONTAINERS (default ~/.cache/pgbosun/containers), apart from the machine's own. If there
# is no podman, the last line on stderr says why.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/lib.sh
. scripts/containers/lib.sh

folder=$containers/podman

[ "$(id -u)" = 0 ] || die 'podman can run pods only as root here'
missing=()
for program in podman runc catatonit; do command -v "$program" > /dev/null || missing+=("$program"); done
[ ${#missing[@]} = 0 ] || apt_install --no-remove "${missing[@]}" # a Docker that is here stays
mkdir -p "$folder/root"

# Works without systemd and without the right to raise limits, as in many containers.
cat > "$folder/containers.conf" << CONF
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=16384:16384"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
cat > "$folder/storage.conf" << CONF
[storage]
driver = "overlay"
graphroot = "$folder/root"
runroot = "/run/pgbosun-podman"
CONF
export CONTAINERS_CONF=$folder/containers.conf CONTAINERS_STORAGE_CONF=$folder/storage.conf PODMAN_IGNORE_CGROUPSV1_WARNING=1
podman info > "$folder/info.log" 2>&1 || die "podman does not run here: $(tail -n 1 "$folder/info.log")"
echo "export CONTAINERS_CONF=$CONTAINERS_CONF CONTAINERS_STORAGE_CONF=$CONTAINERS_STORAGE_CONF PODMAN_IGNORE_CGROUPSV1_WARNING=1"
