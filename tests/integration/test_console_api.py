"""The API holds what its description promises, whatever it is asked: every operation, by generated requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from streams.console.api import description
from streams.console.app import create_app
from streams.console.operation import OPERATIONS
from streams.settings import Settings
from streams.stack.native import NativeStack
from tests.browser.process import start_console
from tests.writers import hub_of_its_own

AWAY = 503
"""What the description promises for a server that is away: Kafka and the source databases are, here."""


@pytest.fixture(scope="module")
def api(hub_server: NativeStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The description, read from a console process with a hub of its own; Kafka and the sources do not answer it."""
    folder: Path = tmp_path_factory.mktemp("state")
    own = hub_of_its_own(hub_server, "console_api")
    console = start_console(Settings(_env_file=None, state_dir=folder, hub_dsn=own))  # type: ignore[call-arg]
    try:
        yield schemathesis.openapi.from_url(f"{console.address}/api/v1/openapi.json")
    finally:
        console.end()


create_app(Settings(_env_file=None))  # type: ignore[call-arg]  # registers the operations


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_operation_answers_as_described(name: str, api: Any) -> None:
    @settings(max_examples=8, deadline=None, phases=[Phase.generate], derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(api.find_operation_by_id(name).as_strategy())
    def answers_as_described(case: Any) -> None:
        answer = case.call()
        checks = [content_type_conformance, response_schema_conformance]
        if answer.status_code != AWAY:
            checks.append(not_a_server_error)
        case.validate_response(answer, checks=checks)

    answers_as_described()


def test_description_names_every_operation() -> None:
    assert b'"openapi":"3.1.0"' in description()
