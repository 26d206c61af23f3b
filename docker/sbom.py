"""Print a software bill of materials (CycloneDX 1.6, JSON) of an image; only the standard library is used.

    sbom.py NAME [--venv FOLDER] [--debian /var/lib/dpkg/status] [--artifacts artifacts.lock --sets SET …]

Components are what is installed: Python distributions of the virtual environment, packages of Debian, Java archives of
the lock file with their SHA-256. Same input, same output: no time, no random serial number.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import uuid
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

Component = dict[str, Any]


def python_components(venv: Path) -> list[Component]:
    """Every distribution below the environment's site-packages."""
    found = []
    for site in venv.glob("lib/python3*/site-packages"):
        for distribution in distributions(path=[str(site)]):
            name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
            found.append(_component(name, distribution.version, f"pkg:pypi/{name}@{distribution.version}"))
    return found


def debian_components(status: Path) -> list[Component]:
    """Every package that dpkg's status file lists as installed."""
    found = []
    for block in status.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if re.match(r"[A-Z][\w-]*: ", line))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            found.append(_component(name, version, f"pkg:deb/debian/{name}@{version}?arch={fields['Architecture']}"))
    return found


def java_components(lock: Path, sets: list[str]) -> list[Component]:
    """Every archive of these sets: `set group:artifact:version[:classifier]:type size sha256` a line."""
    found = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        parts = line.split()
        if len(parts) != 4 or parts[0] not in sets:
            continue
        group, artifact, version, *rest = parts[1].split(":")
        url = f"pkg:maven/{group}/{artifact}@{version}?type={rest[-1]}"
        found.append(_component(artifact, version, url) | {"hashes": [{"alg": "SHA-256", "content": parts[3]}]})
    return found


def bill(name: str, components: list[Component]) -> dict[str, Any]:
    """The whole document; its serial number follows from its content."""
    ordered = sorted(components, key=lambda one: str(one["purl"]))
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([name, ordered], sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": name, "bom-ref": name}},
        "components": ordered,
    }


def _component(name: str, version: str, url: str) -> Component:
    return {"type": "library", "name": name, "version": version, "purl": url, "bom-ref": url}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--venv", type=Path)
    parser.add_argument("--debian", type=Path)
    parser.add_argument("--artifacts", type=Path)
    parser.add_argument("--sets", nargs="*", default=[])
    given = parser.parse_args(arguments)
    components: list[Component] = []
    if given.venv:
        components += python_components(given.venv)
    if given.debian:
        components += debian_components(given.debian)
    if given.artifacts:
        components += java_components(given.artifacts, given.sets)
    json.dump(bill(given.name, components), sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    main(sys.argv[1:])
