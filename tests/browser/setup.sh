#!/bin/sh
# Installs Chromium, a Chinese font and Prometheus with apt where this user may, for `make test-browser`. Never fails for want of
# rights: the tests then say themselves that they were not run.
set -u

has_browser() { "$PYTHON" -c 'import sys; from tests.browser.chromium import chromium_path; sys.exit(chromium_path() is None)'; }
has_font() { command -v fc-list >/dev/null && [ -n "$(fc-list :lang=zh family)" ]; }
PYTHON=${PYTHON:-.venv/bin/python}

if has_browser && has_font && command -v promtool >/dev/null; then exit 0; fi
if ! command -v apt-get >/dev/null; then
  echo "browser tests: no apt on this machine; install Chromium, a Chinese font and Prometheus yourself" >&2; exit 0
fi
if [ "$(id -u)" = 0 ]; then as_root=""
elif sudo -n true 2>/dev/null; then as_root="sudo -n"
else
  echo "browser tests: to install them needs root: sudo apt-get install chromium fonts-noto-cjk prometheus" >&2; exit 0
fi
echo "installing Chromium, a Chinese font and Prometheus for the browser tests" >&2
$as_root apt-get -qq update
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends \
  chromium fonts-noto-cjk fontconfig prometheus >/dev/null || echo "browser tests: apt could not install all of them" >&2
exit 0
