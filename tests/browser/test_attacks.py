"""What others put into data or send from their pages does nothing: markup in names, forms without our token."""

from __future__ import annotations

import httpx
import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.browser.process import Console
from tests.conftest import Pipeline
from tests.waiting import wait_for

MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="session")
def customer(company: Pipeline) -> str:
    """The hub's id of a customer whose name in the CRM is markup."""
    with company.connect("CRM") as crm:
        crm.execute("INSERT INTO account (name, status) VALUES (%s, 'Active')", [MARKUP])
    query = "SELECT id::text FROM entity WHERE entity = 'customer' AND record->>'name' = %s"
    with psycopg.connect(company.settings.hub, autocommit=True) as hub:
        return str(wait_for(lambda: hub.execute(query, [MARKUP]).fetchone())[0])


def test_markup_in_a_name_is_text(customer: str, page: Page) -> None:
    shown: list[str] = []
    page.on("dialog", lambda dialog: (shown.append(dialog.message), dialog.dismiss()))
    for path in (f"/records/customer/{customer}", "/find?text=%3Cimg+src%3Dx"):
        page.goto(path)
        expect(page.get_by_text(MARKUP).first).to_be_visible()
        assert page.locator("img[src='x']").count() == 0
    assert shown == []


@pytest.mark.parametrize("path", ["/inbox/approvals/1", "/systems/pause", "/inbox/jobs/new"])
def test_a_form_without_our_token_is_refused(path: str, console: Console) -> None:
    with httpx.Client(base_url=console.address, timeout=60) as client:
        client.get("/flows")  # sets the cookie, as a person's browser has it
        for form in ({}, {"csrf": "guessed"}):
            assert client.post(path, data=form).status_code == 403, path
        token = {"csrf": client.cookies["csrf"]}
        assert client.post(path, data=token, headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_the_api_takes_no_form_of_another_site(console: Console) -> None:
    answer = httpx.post(f"{console.address}/api/v1/deliveries/pause", data={"scope": "demo-erp"}, timeout=60)
    assert answer.status_code in (404, 405, 422)
