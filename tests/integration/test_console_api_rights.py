"""The API by people who may do little, asked for anything: generated requests to a real console process.

Never a 5xx, never a deed that their roles lack, never somebody else's personal data.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from streams.console.app import create_app
from streams.console.operation import OPERATIONS
from streams.console.people import Grant, stored
from streams.console.sign_in import digest_of, new_token
from streams.hub import people as hub_people
from streams.settings import Settings
from streams.stack.native import NativeStack
from tests.browser.process import start_console
from tests.writers import hub_of_its_own

SECRET = "anna.secret@acme.example"
AWAY = 503

create_app(Settings(_env_file=None))  # type: ignore[call-arg]  # registers the operations


class Api(NamedTuple):
    address: str
    dsn: str
    description: Any
    tokens: dict[str, str]
    record: str


@pytest.fixture(scope="module")
def api(hub_server: NativeStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    dsn, record = hub_of_its_own(hub_server, "console_api_rights"), str(uuid.uuid4())
    tokens = {"viewer": new_token(), "limited": new_token()}
    with psycopg.connect(dsn, autocommit=True) as hub:
        hub.execute(
            "INSERT INTO entity (id, entity, aggregate_id, version, revision, deleted, updated_us, record, contributions)"
            " VALUES (%s, 'customer', %s, 1, 1, false, 0, %s, '{}')",
            [record, record, msgspec.json.encode({"name": "Acme", "email": SECRET}).decode()],
        )
        hub_people.add_person(hub, "boss", password="x", grants=stored([Grant("admin")]))
        hub_people.add_person(hub, "viewer", password="x", grants=stored([Grant("viewer")]))
        hub_people.add_person(hub, "limited", password="x", grants=stored([Grant("operator")]))
        rights = {"viewer": Grant("viewer"), "limited": Grant("operator", "demo-erp")}
        for name, token in tokens.items():
            hub_people.add_token(hub, name, "fuzz", digest_of(token), grants=stored([rights[name]]), days=1)
    folder: Path = tmp_path_factory.mktemp("state")
    console = start_console(Settings(_env_file=None, state_dir=folder, hub_dsn=dsn))  # type: ignore[call-arg]
    try:
        description = schemathesis.openapi.from_url(f"{console.address}/api/v1/openapi.json", timeout=120)
        yield Api(console.address, dsn, description, tokens, record)
    finally:
        console.end()


@pytest.mark.parametrize("who", ["viewer", "limited"])
@pytest.mark.parametrize("name", list(OPERATIONS))
def test_who_may_do_little_gets_a_plain_answer(name: str, who: str, api: Api) -> None:
    done, headers = OPERATIONS[name], {"authorization": f"Bearer {api.tokens[who]}"}
    roles = {"viewer": {"see"}, "limited": {"see", "operate"}}

    @settings(max_examples=2, deadline=None, phases=[Phase.generate], derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(api.description.find_operation_by_id(name).as_strategy())
    def answers(case: Any) -> None:
        answer = case.call(headers=headers, timeout=120)
        assert answer.status_code < 500 or answer.status_code == AWAY, answer.text
        assert SECRET not in answer.text
        if done.permission not in roles[who]:
            # A request that is none is said to be so before anybody asks who sends it.
            assert answer.status_code in (403, 422, 429), answer.text

    answers()


def test_a_limited_token_works_in_its_system_alone(api: Api) -> None:
    headers = {"authorization": f"Bearer {api.tokens['limited']}"}
    for scope, status in (("demo-crm/public.account", 403), ("demo-erp/erp.invoice", 422)):
        answer = httpx.post(f"{api.address}/api/v1/systems/pause", json={"scope": scope}, headers=headers, timeout=60)
        assert answer.status_code == status or (status == 422 and answer.status_code != 403), answer.text


def test_personal_data_of_a_record_is_masked(api: Api) -> None:
    for token in api.tokens.values():
        answer = httpx.get(
            f"{api.address}/api/v1/records/{api.record}", headers={"authorization": f"Bearer {token}"}, timeout=60
        )
        assert answer.status_code == 200 and "Acme" in answer.text and SECRET not in answer.text


def test_a_token_that_is_over_is_401(api: Api) -> None:
    over = new_token()
    with psycopg.connect(api.dsn, autocommit=True) as hub:
        number = hub_people.add_token(hub, "viewer", "over", digest_of(over), grants=stored([Grant("viewer")]), days=1)
        hub.execute("UPDATE api_token SET expires_at = now() - interval '1 second' WHERE id = %s", [number])
    answer = httpx.get(f"{api.address}/api/v1/me", headers={"authorization": f"Bearer {over}"}, timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
