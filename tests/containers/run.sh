#!/bin/sh
# `make test-containers`: an engine, the images, the tests. Without an engine the tests are reported as not run, with the remedy.
set -u
cd "$(dirname "$0")/../.."
export PYTHON=${PYTHON:-.venv/bin/python}
if tests/containers/engine.sh start; then
  eval "$(tests/containers/engine.sh env)"
  if [ "$(id -u)" = 0 ]; then docker/images/build.sh || exit 1
  else docker compose --file docker/compose.yaml build worker connect || exit 1
  fi
fi
exec "$PYTHON" -m pytest -m containers tests/containers "$@"
