#!/usr/bin/env bash
# A Docker Engine with Compose for the container tests.
#
#   eval "$(scripts/containers/engine.sh start)"    prints what to set; starts an engine of our own if none answers
#   scripts/containers/engine.sh stop               stops our own engine; its images are kept for the next time
#
# An engine that answers `docker info` is used as it is, and nothing is printed. Otherwise, on Debian and Ubuntu with root,
# docker.io is installed, and its daemon started in the background on a socket and a data folder of its own under
# BOSUN_CONTAINERS (default ~/.cache/pgbosun/containers). Compose v2 comes from Debian's package. If there is no engine, the last
# line on stderr says why.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/lib.sh
. scripts/containers/lib.sh

socket=$engine/docker.sock
pid_file=$engine/dockerd.pid

start() {
  if timeout 10 docker info > /dev/null 2>&1; then
    docker compose version > /dev/null 2>&1 || die 'this engine has no Compose v2: install docker-compose-plugin'
    return
  fi
  [ "$(uname -s)" = Linux ] || die 'no container engine answers: start Docker'
  # newer releases have the command line in a separate package
  { [ -x /usr/bin/docker ] && command -v dockerd > /dev/null; } || apt_install docker.io $(apt-cache pkgnames docker-cli 2> /dev/null | grep -x docker-cli)
  running || launch
  compose_plugin
  # the command line of this engine, whatever else is called docker; version 20 has BuildKit but does not use it by default
  mkdir -p "$engine/bin" && ln -sfn /usr/bin/docker "$engine/bin/docker"
  echo "export DOCKER_HOST=unix://$socket DOCKER_CONFIG=$engine/config PATH=$engine/bin:\$PATH"
  case $(/usr/bin/docker --version) in *' 20.'*) echo 'export DOCKER_BUILDKIT=1' ;; esac
}

running() { DOCKER_HOST=unix://$socket /usr/bin/docker info > /dev/null 2>&1; }

launch() {
  can_be_root || die 'no container engine answers, and starting one needs root'
  say "starting dockerd on $socket"
  rm -f "$pid_file"
  # in a process group of its own, so that Ctrl-C does not stop it
  as_root setsid --fork sh -c 'echo $$ > "$0" && exec dockerd "$@"' "$pid_file" --host "unix://$socket" --group "$(id -g)" \
    --data-root "$engine/data" --exec-root "$engine/run" --pidfile "$engine/own.pid" > "$engine/dockerd.log" 2>&1 < /dev/null
  for _ in $(seq 100); do
    ! running || return 0
    [ ! -s "$pid_file" ] || [ -e "/proc/$(cat "$pid_file")" ] || break
    sleep 0.2
  done
  die "dockerd does not run here: $(sed -n 's/.*level=\(error\|fatal\) msg=//p; /^failed/p' "$engine/dockerd.log" | grep . | tail -n 1 || echo "it says nothing")"
}

# Compose from Debian trixie: a single Go binary that runs on older releases as well.
compose_plugin() {
  local plugin=$engine/config/cli-plugins/docker-compose
  [ ! -x "$plugin" ] || return 0
  local work
  work=$(mktemp -d)
  chmod 755 "$work"
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "${plugin%/*}"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) trixie main" > "$work/sources.list"
  say 'fetching Compose from the package docker-compose of Debian trixie'
  (
    cd "$work"
    sources=(-o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
      -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache")
    { apt-get "${sources[@]}" update -q && apt-get "${sources[@]}" download -q docker-compose; } > apt.log 2>&1 || die "apt-get could not download docker-compose: $(tail -n 1 apt.log)"
    dpkg-deb -x docker-compose_*.deb .
    mv usr/libexec/docker/cli-plugins/docker-compose "$plugin"
  ) || exit 1
  rm -rf "$work"
}

stop() {
  local pid
  pid=$(cat "$pid_file" 2> /dev/null) && [ "$(cat "/proc/$pid/comm" 2> /dev/null)" = dockerd ] || return 0
  DOCKER_HOST=unix://$socket /usr/bin/docker image prune --force > /dev/null 2>&1 || true # what newer builds replaced
  as_root kill "$pid"
  while [ -e "/proc/$pid" ]; do sleep 0.1; done
}

case "$*" in
  start) start ;;
  stop) stop ;;
  *) die "usage: $0 start|stop" ;;
esac
