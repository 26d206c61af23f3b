#!/bin/sh
# Builds helm with Go into opshub's cache, where `make test-helm` finds it: eight minutes of CPU, once.
set -eu
VERSION=v3.22.0
KUBERNETES=37
CACHE=${OPSHUB_CACHE_DIR:-$HOME/.cache/opshub}/helm/bin

if [ -x "$CACHE/helm" ]; then echo "helm is there: $CACHE/helm" >&2; exit 0; fi
if ! command -v go >/dev/null; then
  echo "error: no Go on this machine, which helm is built with" >&2
  echo "remedy: install Go 1.26 or newer, or name a helm that you have: HELM=/path/to/helm" >&2
  exit 1
fi
echo "building helm $VERSION with $(go version | cut -d' ' -f3) into $CACHE" >&2
mkdir -p "$CACHE"
# Built beside and then moved: a build that is broken off leaves no half of a program.
module=helm.sh/helm/v3
flags="-s -w -X $module/internal/version.version=$VERSION"
# As helm's own releases are built: without it, a chart would meet a Kubernetes 1.20.
for package in lint/rules chartutil; do
  flags="$flags -X $module/pkg/$package.k8sVersionMajor=1 -X $module/pkg/$package.k8sVersionMinor=$KUBERNETES"
done
GOBIN="$CACHE/new" CGO_ENABLED=0 nice -n 19 go install -trimpath -ldflags "$flags" "$module/cmd/helm@$VERSION"
mv "$CACHE/new/helm" "$CACHE/helm" && rmdir "$CACHE/new"
"$CACHE/helm" version --short
