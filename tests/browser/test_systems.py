"""Systems, dictionary, quality and live tail in a browser: used, photographed, and a pause that holds and resumes."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Pipeline


@pytest.fixture(autouse=True)
def _inbox_may_be_missing(allowed_errors: list[str]) -> None:
    allowed_errors.append("/inbox/count")


def test_a_paused_table_waits_and_comes_whole(page: Page, company: Pipeline, photo: Callable[..., Path]) -> None:
    page.goto("/systems")
    expect(page.get_by_role("heading", name="Systems", exact=True)).to_be_visible()
    photo("systems")
    page.get_by_role("link", name="Pause demo-crm/public.account").click()
    page.get_by_label("Why").fill("stock-taking")
    page.get_by_role("button", name="Pause", exact=True).first.click()
    expect(page.get_by_text("Nothing is lost: Kafka keeps them in their order").first).to_be_visible()
    expect(page.get_by_text("stock-taking").first).to_be_visible()
    page.wait_for_timeout(2_500)  # a worker asks for pauses every two seconds
    name = f"Paused {uuid.uuid4().hex[:6]} AG"
    with company.connect("CRM") as crm:
        crm.execute("INSERT INTO account (name) VALUES (%s)", [name])
    expect(page.locator(".queue").filter(has_text="1 records wait")).to_be_visible(timeout=30_000)
    photo("systems-paused")
    page.get_by_role("button", name="Resume demo-crm/public.account").first.click()
    expect(page.get_by_role("status").filter(has_text="is resumed")).to_be_visible()
    company.drain()
    assert not company.verify().examples
    with company.connect("CRM") as crm:
        crm.execute("DELETE FROM account WHERE name = %s", [name])


def test_dictionary_is_searched_tried_and_compared(page: Page, photo: Callable[..., Path]) -> None:
    page.goto("/dictionary")
    page.get_by_label("Column, field or step").fill("vat_no")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("customer.tax_id").first).to_be_visible()
    photo("dictionary")
    page.get_by_role("link", name="Try it on the last rows").first.click()
    expect(page.get_by_role("heading", name="Row, as the source has it").first).to_be_visible()
    photo("dictionary-try")
    page.goto("/dictionary/demo-erp")
    box = page.get_by_label("connectors/demo-erp/dictionary.yaml")
    box.fill(box.input_value().replace("billing_city: city", 'billing_city: {const: "Nowhere"}', 1))
    page.get_by_role("button", name="Check, and compare").click(timeout=120_000)  # it reads the ends of ten topics
    expect(page.get_by_text("customer.billing_city").first).to_be_visible()
    photo("dictionary-compare")


def test_live_tail_shows_what_comes_and_stops(page: Page, company: Pipeline, photo: Callable[..., Path]) -> None:
    page.goto("/live?topic=raw&system=demo-crm")
    expect(page.locator("#tail-state")).to_contain_text("live", timeout=20_000)
    with company.connect("CRM") as crm:
        crm.execute("UPDATE account SET updated_at = now() WHERE id = (SELECT id FROM account LIMIT 1)")
    expect(page.locator("#tail article").first).to_contain_text("raw.demo-crm.public.account", timeout=20_000)
    photo("live")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#tail-state")).to_contain_text("paused")


def test_a_database_is_checked_before_it_becomes_a_system(
    page: Page, company: Pipeline, photo: Callable[..., Path], allowed_errors: list[str]
) -> None:
    allowed_errors.append("422")
    env = company.env
    page.goto("/systems/new")
    page.get_by_label("Name of the system").fill("erp-2")
    host, port, database, user = (env[f"DEMO_ERP_{name}"] for name in ("HOST", "PORT", "DATABASE", "APP_USER"))
    page.get_by_label("Address").fill(f"postgresql://{user}@{host}:{port}/{database}")
    page.get_by_label("Password").fill(env["DEMO_ERP_APP_PASSWORD"])
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.get_by_text(f'ALTER ROLE "{user}" REPLICATION;')).to_be_visible()
    expect(page.get_by_text("ERP_2_CAPTURE_PASSWORD=…")).to_be_visible()
    assert env["DEMO_ERP_APP_PASSWORD"] not in page.content()
    photo("systems-new")


def test_quality_and_phone(page: Page, phone: Page, photo: Callable[..., Path]) -> None:
    page.goto("/quality")
    expect(page.get_by_role("heading", name="Quality of the records")).to_be_visible()
    photo("quality")
    for address in ("/systems", "/dictionary", "/quality", "/live"):
        phone.goto(address)
        assert phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), address
    photo("live-phone", phone)
