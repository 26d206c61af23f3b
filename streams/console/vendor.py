"""Take the console's foreign files from npm packages: `python -m streams.console.vendor`.

`static/vendor/vendor.lock` names each package with its version, checksum and licence, and each file that is taken from
it with the checksum of its content. This command downloads the packages, refuses one that is not what the lock says,
and writes the files. To take another version, change `version` in the lock and run it with `--update`, which writes the
checksums into it for a person to compare. Nobody needs it to run the console: the files are in the repository.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec

from streams.errors import ConfigError, EnvironmentFault, OpshubError

FOLDER = Path(__file__).parent / "static" / "vendor"
LOCK = FOLDER / "vendor.lock"


class VendoredFile(msgspec.Struct):
    """One file: its path in the package, its name in the folder, and its SHA-256."""

    path: str
    name: str
    sha256: str = ""


class VendoredPackage(msgspec.Struct):
    """One npm package. `integrity` is the registry's: `sha512-` and the base64 of the archive's digest."""

    package: str
    version: str
    licence: str
    files: list[VendoredFile]
    integrity: str = ""


def read_lock(path: Path = LOCK) -> list[VendoredPackage]:
    """What the lock says. Raises ConfigError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[VendoredPackage])
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def registry_address(environment: Mapping[str, str], home: Path) -> str:
    """Where npm asks: its variable, else the line `registry=` of an .npmrc. Raises ConfigError where neither says."""
    if named := environment.get("npm_config_registry") or environment.get("NPM_CONFIG_REGISTRY"):
        return named.rstrip("/")
    for file in (Path(".npmrc"), home / ".npmrc"):
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        for line in lines:
            name, _, value = line.partition("=")
            if name.strip() == "registry" and value.strip():
                return value.strip().rstrip("/")
    raise ConfigError(
        "no npm registry is set",
        remedy="npm_config_registry=$(npm config get registry) python -m streams.console.vendor",
    )


def fetch_archive(registry: str, package: VendoredPackage) -> bytes:
    """The package's archive. Raises EnvironmentFault."""
    try:
        with httpx.Client(follow_redirects=True, timeout=60) as client:
            address = f"{registry}/{package.package}/{package.version}"
            about: dict[str, Any] = client.get(address).raise_for_status().json()
            return client.get(about["dist"]["tarball"]).raise_for_status().content
    except (httpx.HTTPError, KeyError, ValueError) as error:
        raise EnvironmentFault(f"{package.package} {package.version} cannot be downloaded: {error}") from error


def integrity_of(archive: bytes) -> str:
    """The checksum as npm writes it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()


def take_files(package: VendoredPackage, archive: bytes) -> dict[str, bytes]:
    """name → content of the files that the lock asks for. Raises ConfigError for one that is not in the archive."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as packed:
        taken = {}
        for file in package.files:
            try:
                member = packed.extractfile(f"package/{file.path}")
            except KeyError:
                member = None
            if member is None:
                raise ConfigError(f"{package.package} {package.version} has no file {file.path}")
            taken[file.name] = member.read()
    return taken


def vendor(packages: list[VendoredPackage], registry: str, *, update: bool, folder: Path = FOLDER) -> None:
    """Download, compare with the lock, write the files; with `update` write what was found into `packages`."""
    for package in packages:
        archive = fetch_archive(registry, package)
        if update:
            package.integrity = integrity_of(archive)
        elif package.integrity != integrity_of(archive):
            raise ConfigError(
                f"{package.package} {package.version} is not what the lock says: {integrity_of(archive)}",
                remedy="find out why; `--update` takes it as it is",
            )
        for file, (name, content) in zip(package.files, take_files(package, archive).items(), strict=True):
            digest = hashlib.sha256(content).hexdigest()
            if update:
                file.sha256 = digest
            elif file.sha256 != digest:
                raise ConfigError(f"{name} of {package.package} is not what the lock says: {digest}")
            (folder / name).write_bytes(content)


def main(arguments: list[str]) -> int:
    try:
        packages = read_lock()
        update = "--update" in arguments
        vendor(packages, registry_address(os.environ, Path.home()), update=update)
    except OpshubError as error:
        print(f"error: {error}" + (f"\nremedy: {error.remedy}" if error.remedy else ""), file=sys.stderr)
        return 2
    if update:
        text = json.dumps(msgspec.to_builtins(packages), indent=2, ensure_ascii=False)
        LOCK.write_text(text + "\n", encoding="utf-8")
    print(f"{sum(len(package.files) for package in packages)} files of {len(packages)} packages are in {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
