#!/bin/sh
# trim.sh VENV: delete what a worker never reads, then compile what is left. Deleted are translations of country names, places and
# carriers of phone numbers, and tests; tests/unit/test_docker.py holds that no code of ours reads them.
set -eu
site=$(echo "$1"/lib/python3*/site-packages)
rm -rf "$site/phonenumbers/geodata" "$site/phonenumbers/carrierdata" "$site/pycountry/locales" "$site/pycountry/tests"
find "$site" -type d \( -name tests -o -name test \) -path '*-packages/*/*' -prune -exec rm -rf {} +
find "$site" \( -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.a' -o -name '*.pyi' -o -name '*.h' \) -type f -delete
# Symbols of extension modules; libraries that wheels bring along were patched, and stripping would damage them.
find "$site" -name '*.so' -not -path '*.libs/*' -exec strip --strip-unneeded {} +
# By content, not by time: the same source gives the same compiled file.
PYTHONHASHSEED=0 "$1/bin/python" -m compileall -q --invalidation-mode unchecked-hash -j 0 -x '/(pygments|setuptools|wcwidth|pip)/' "$site" || true
