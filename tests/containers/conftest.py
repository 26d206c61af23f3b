"""The tier `make test-containers`: one stack from docker/compose.yaml, and a table of the faults at its end."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.containers.stack import ContainerStack
from tests.containers.table import ROWS, table

REMEDY = "tests/containers/engine.sh start (root on Debian or Ubuntu), or start Docker; then make test-containers"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="also the faults that take long: failover, slow links, upgrades"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("slow") and item.get_closest_marker("containers"):
                item.add_marker(pytest.mark.skip(reason="long: make test-containers ARGS=--long"))


def engine_answers() -> bool:
    """Whether a Docker engine with Compose v2 can be used."""
    if shutil.which("docker") is None:
        return False
    asked = (["docker", "version", "--format", "{{.Server.Version}}"], ["docker", "compose", "version"])
    return all(subprocess.run(command, capture_output=True).returncode == 0 for command in asked)


@pytest.fixture(scope="session")
def containers() -> Iterator[ContainerStack]:
    """The running stack, with load from the first test on."""
    if not engine_answers():
        pytest.skip(f"not run: no Docker engine answers. Remedy: {REMEDY}")
    with ContainerStack() as stack:
        yield stack


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if ROWS:
        terminalreporter.write_line(table(ROWS))
