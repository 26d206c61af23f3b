"""A target that has only pages with forms: whoever logs in, what is done, and what is not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from streams.writeback.failures import InDoubt, Refused, TargetDown
from streams.writeback.http import HttpAdapter
from streams.writeback.http_rules import HttpAction, HttpTarget
from streams.writeback.jobs import Answer, Job, Written
from streams.writeback.rules import WritebackRule
from tests.integration.forms import PASSWORD, FormCrm, open_form_crm

FORM = {
    "send": {
        "path": "/deals/$deal/edit",
        "form": {"reference": "$number"},
        "done": {"status": 200, "empty": True},
        "repeatable": True,
    }
}


@pytest.fixture
def crm() -> Iterator[FormCrm]:
    with open_form_crm() as server:
        yield server


@pytest.fixture
async def adapter(crm: FormCrm) -> AsyncIterator[HttpAdapter]:
    adapter = HttpAdapter(_target(crm, PASSWORD))
    yield adapter
    await adapter.close()


def _target(crm: FormCrm, password: str) -> HttpTarget:
    return HttpTarget.model_validate(
        {
            "adapter": "http",
            "base_url": f"http://127.0.0.1:{crm.server_port}",
            "login": {
                "path": "/login",
                "form": {"username": "opshub", "password": password},
                "csrf": {"path": "/login"},
                "done": {"status": 302, "empty": True},
            },
        }
    )


async def deliver(adapter: HttpAdapter, deal: str = "5") -> Answer | None:
    rule = WritebackRule.model_construct(http=HttpAction.model_validate(FORM))
    job = Job(key="k1", rule=rule, params={"deal": deal, "number": "SO1"})

    async def leased(jobs: Sequence[Job]) -> list[Job]:
        return list(jobs)

    answers = [answer async for batch in adapter.deliver([job], leased) for _, answer in batch]
    if isinstance(answers[0], Exception):
        raise answers[0]
    return answers[0]  # type: ignore[return-value]


async def test_form_is_sent_by_somebody_who_logged_in_once(crm: FormCrm, adapter: HttpAdapter) -> None:
    assert isinstance(await deliver(adapter, "5"), Written)
    assert isinstance(await deliver(adapter, "6"), Written)
    assert crm.references == {"5": "SO1", "6": "SO1"}
    assert crm.logins == 1


async def test_session_that_ended_is_opened_again(crm: FormCrm, adapter: HttpAdapter) -> None:
    assert isinstance(await deliver(adapter), Written)
    crm.forget()
    with pytest.raises(TargetDown):
        await deliver(adapter, "6")
    assert isinstance(await deliver(adapter, "6"), Written)
    assert (crm.references, crm.logins) == ({"5": "SO1", "6": "SO1"}, 2)


async def test_form_that_comes_back_as_a_page_is_not_done(crm: FormCrm, adapter: HttpAdapter) -> None:
    crm.refuses = True
    with pytest.raises((InDoubt, Refused, TargetDown)):
        await deliver(adapter)
    assert crm.references == {}


async def test_wrong_password_is_no_session_though_the_answer_is_200(crm: FormCrm) -> None:
    adapter = HttpAdapter(_target(crm, "wrong"))
    try:
        with pytest.raises(TargetDown, match="check the credentials") as raised:
            await deliver(adapter)
    finally:
        await adapter.close()
    assert raised.value.refuses and "wrong" not in str(raised.value)
    assert crm.references == {}
