"""The console's foreign files are those of the lock, with their licences, and a changed package is refused."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from streams.console import vendor
from streams.console.vendor import FOLDER, VendoredFile, VendoredPackage, integrity_of, read_lock, registry_address
from streams.errors import ConfigError


def test_vendored_files_are_those_of_the_lock() -> None:
    locked = {file.name: file.sha256 for package in read_lock() for file in package.files}
    present = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in FOLDER.iterdir()
        if path.name != "vendor.lock"
    }
    assert present == locked


def test_every_package_brings_its_licence() -> None:
    for package in read_lock():
        assert package.integrity.startswith("sha512-") and package.licence
        assert any(file.name.endswith(".LICENSE") for file in package.files), package.package


def archive_with(content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        about = tarfile.TarInfo("package/a.js")
        about.size = len(content)
        archive.addfile(about, io.BytesIO(content))
    return packed.getvalue()


def test_a_package_that_differs_from_the_lock_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    right, wrong = archive_with(b"right"), archive_with(b"wrong")
    digest = hashlib.sha256(b"right").hexdigest()
    package = VendoredPackage("a", "1", "MIT", [VendoredFile("a.js", "a.js", digest)], integrity_of(right))
    monkeypatch.setattr(vendor, "fetch_archive", lambda registry, package: right)
    vendor.vendor([package], "", update=False, folder=tmp_path)
    assert (tmp_path / "a.js").read_bytes() == b"right"
    monkeypatch.setattr(vendor, "fetch_archive", lambda registry, package: wrong)
    with pytest.raises(ConfigError, match="not what the lock says"):
        vendor.vendor([package], "", update=False, folder=tmp_path)
    assert (tmp_path / "a.js").read_bytes() == b"right"


def test_the_registry_is_npms_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="no npm registry"):
        registry_address({}, tmp_path)
    (tmp_path / ".npmrc").write_text("fund=false\nregistry=http://npm.example/\n", encoding="utf-8")
    assert registry_address({}, tmp_path) == "http://npm.example"
    assert registry_address({"npm_config_registry": "http://other.example"}, tmp_path) == "http://other.example"
