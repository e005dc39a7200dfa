#!/usr/bin/env bash
# Prints the path of a Helm for the test of charts/: the one on the PATH, or one that `helm.sh --install` once made from the Go module
# proxy (two minutes on two cores). If there is none, the last line on stderr says why.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

version=v3.22.0
folder=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pgbosun/helm-$version

if command -v helm; then exit; fi
if [ ! -x "$folder/helm" ] && [ "${1:-}" = --install ]; then
  command -v go > /dev/null || die 'there is no helm, and no Go to make one'
  mkdir -p "$folder"
  say "making Helm $version"
  GOBIN=$folder GOFLAGS=-trimpath go install "helm.sh/helm/v3/cmd/helm@$version" > "$folder/go.log" 2>&1 || die "Go could not make Helm: $(tail -n 1 "$folder/go.log")"
fi
[ -x "$folder/helm" ] || die 'there is no helm; ./scripts/test --full makes one where there is Go'
echo "$folder/helm"
