"""The API holds what its description promises, whatever it is asked: every operation, by generated requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from starlette.applications import Starlette

from streams.console.api import description
from streams.console.app import create_app
from streams.console.place import Place
from streams.settings import Settings
from streams.stack.native import NativeStack
from tests.writers import hub_of_its_own

AWAY = 503
"""What the description promises for a server that is away: Kafka and the source databases are, here."""


@pytest.fixture(scope="module")
def app(stack: NativeStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starlette]:
    own = hub_of_its_own(stack, "console_api")
    folder: Path = tmp_path_factory.mktemp("state")
    made = create_app(Settings(_env_file=None, state_dir=folder, hub_dsn=own))  # type: ignore[call-arg]
    place: Place = made.state.place
    place.open()
    yield made
    place.close()


@pytest.fixture
def api(app: Starlette) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(
    max_examples=8, deadline=None, phases=[Phase.generate], derandomize=True, suppress_health_check=list(HealthCheck)
)
def test_operation_answers_as_described(case: schemathesis.Case) -> None:
    answer = case.call()
    checks = [content_type_conformance, response_schema_conformance]
    if answer.status_code != AWAY:
        checks.append(not_a_server_error)
    case.validate_response(answer, checks=checks)


def test_description_names_every_operation() -> None:
    assert b'"openapi":"3.1.0"' in description()
