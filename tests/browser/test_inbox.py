"""The inbox in a browser: what people decide there arrives in hub and ERP, once; a viewer decides nothing."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from streams.console.passwords import hash_password
from streams.hub.people import add_person, has_people, remove_person
from streams.model.ids import source_id
from tests.conftest import Pipeline
from tests.waiting import came_true

PATIENCE_S = 90
PATIENCE_MS = 1000 * PATIENCE_S


def first(company: Pipeline, query: str, values: list[Any]) -> Any:
    """The first value that the hub gives; None: none."""
    with psycopg.connect(company.settings.hub, autocommit=True) as hub:
        row = hub.execute(query.encode(), values).fetchone()
    return row[0] if row else None


def awaited(company: Pipeline, query: str, values: list[Any]) -> Any:
    assert came_true(lambda: first(company, query, values) is not None, PATIENCE_S), f"nothing came: {query} {values}"
    return first(company, query, values)


def test_a_dead_letter_is_mended_on_its_page(company: Pipeline, page: Page, photo: Callable[..., Path]) -> None:
    name = f"Sternwerk {uuid.uuid4().hex[:6]} <b>AG</b>"
    currency = f"Q{uuid.uuid4().hex[:2].upper()}"
    with company.connect("CRM") as crm:
        crm.execute("INSERT INTO account (name, currency_iso_code) VALUES (%s, %s)", [name, currency])
    awaited(company, "SELECT 1 FROM dead_letter WHERE position(%s IN reason) > 0", [currency])
    page.goto("/inbox/dead-letters")
    photo("inbox-dead-letters")
    page.get_by_role("link", name=re.compile("customer: customer.currency")).first.click()
    page.get_by_role("link", name=name.partition(" <")[0]).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("<b>AG</b>")  # as text
    page.get_by_role("textbox", name="currency_iso_code").fill("EUR")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text("it would pass", timeout=PATIENCE_MS)
    photo("inbox-dead-letter")
    page.get_by_role("button", name="Save and retry").click()
    expect(page.locator("#state")).to_contain_text("It passed", timeout=PATIENCE_MS)
    awaited(company, "SELECT 1 FROM entity WHERE record->>'name' = %s AND record->>'currency' = 'EUR'", [name])
    # Tests that compare everything must not find a row whose currency no rule takes.
    with company.connect("CRM") as crm:
        crm.execute("DELETE FROM account WHERE name = %s", [name])
    awaited(company, "SELECT 1 FROM entity WHERE record->>'name' = %s AND deleted", [name])


def test_a_conflict_is_resolved_by_keys_and_the_hub_changes(
    company: Pipeline, page: Page, photo: Callable[..., Path]
) -> None:
    name = f"Kontor {uuid.uuid4().hex[:6]}"
    phones = {"demo-crm": "+4930901820", "demo-erp": "+4940428280"}
    with company.connect("CRM") as crm, company.connect("ERP") as erp:
        query = "INSERT INTO account (name, phone) VALUES (%s, %s) RETURNING id::text"
        (key,) = crm.execute(query, [name, phones["demo-crm"]]).fetchone() or ("",)
        erp.execute(
            "INSERT INTO erp.cust (short_name, name1, crm_ref, phone) VALUES (%s, %s, %s, %s)",
            [name[:12].upper(), name, key, phones["demo-erp"]],
        )
    record = source_id("demo-crm", "customer", str(key))
    conflict = awaited(
        company, "SELECT id::text FROM conflict WHERE entity_id = %s AND field = 'phone' AND resolved_at IS NULL", [record]
    )  # fmt: skip
    now = "SELECT record->>'phone' FROM entity WHERE id = %s"
    stands = first(company, now, [record])
    page.goto(f"/inbox/conflicts/{conflict}")
    expect(page.locator(".sides .value")).to_have_count(2)
    photo("inbox-conflict")
    wanted = 1 + page.locator(".sides .value").evaluate_all("sides => sides.findIndex(s => !s.matches('.stands'))")
    page.keyboard.press(str(wanted))
    expect(page.get_by_text("It is done").first).to_be_visible(timeout=PATIENCE_MS)
    other = next(phone for phone in phones.values() if phone != stands)
    assert first(company, now, [record]) == other
    page.reload()
    page.keyboard.press("u")
    assert came_true(lambda: first(company, now, [record]) == stands, PATIENCE_S), "undo changed nothing"


def test_every_tab_opens_and_an_item_is_taken_by_keyboard(page: Page, photo: Callable[..., Path]) -> None:
    for path in ("", "/approvals", "/conflicts?which=standing", "/matches", "/write-backs", "/jobs"):
        page.goto(f"/inbox{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto("/inbox/conflicts?which=standing")
    photo("inbox-conflicts")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/inbox/conflicts/**")
    if "/each" in page.url:
        page.keyboard.press("j")
        page.keyboard.press("Enter")
    expect(page.locator(".care")).to_be_visible()
    page.keyboard.press("t")
    expect(page.locator("#done")).to_contain_text("now")


@pytest.fixture
def large_deal(company: Pipeline) -> tuple[str, int]:
    """A deal that is too large to become an order without people: (its key in the CRM, the number of the intent)."""
    with company.connect("CRM") as crm:
        product = crm.execute(
            "SELECT p.id, p.sku FROM product p JOIN opportunity_item i ON i.product_id = p.id LIMIT 1"
        ).fetchone()
        assert product is not None
        (account,) = crm.execute(
            "INSERT INTO account (name) VALUES (%s) RETURNING id", [f"Werft {uuid.uuid4().hex[:6]}"]
        ).fetchone() or ("",)
        with crm.transaction():
            (key,) = crm.execute(
                "INSERT INTO opportunity (name, account_id, stage, amount, won_at) "
                "VALUES ('A hull', %s, 'Closed Won', 900000, now()) RETURNING id::text",
                [account],
            ).fetchone() or ("",)
            crm.execute(
                "INSERT INTO opportunity_item (opportunity_id, product_id, line_no, quantity, unit_price, net_amount) "
                "VALUES (%s, %s, 1, 1, 900000, 900000)",
                [key, product[0]],
            )
    deal = source_id("demo-crm", "opportunity", str(key))
    intent = awaited(company, "SELECT id FROM intent WHERE entity_id = %s AND state = 'waiting'", [deal])
    return str(key), int(intent)


def orders_of(company: Pipeline, deal: str) -> int:
    with company.connect("ERP") as erp:
        (count,) = erp.execute("SELECT count(*) FROM erp.so_head WHERE crm_opp = %s", [deal]).fetchone() or (0,)
    return int(str(count))


def test_an_approval_makes_the_order_and_nobody_decides_it_twice(
    company: Pipeline, page: Page, new_context: Callable[..., BrowserContext], large_deal: tuple[str, int],
    photo: Callable[..., Path], allowed_errors: list[str],
) -> None:  # fmt: skip
    allowed_errors.append("409")
    deal, intent = large_deal
    second = new_context().new_page()
    for one in (page, second):
        one.goto(f"/inbox/approvals/{intent}")
        expect(one.get_by_text("an order of more than 500,000")).to_be_visible()
    photo("inbox-approval")
    assert orders_of(company, deal) == 0
    page.keyboard.press("a")
    page.wait_for_load_state()
    second.get_by_label("Reason, for the log").fill("too much")
    second.get_by_role("button", name="Reject").click()
    expect(second.get_by_text("was faster, and approved").first).to_be_visible()
    assert came_true(lambda: orders_of(company, deal) == 1, PATIENCE_S), "no order came into the ERP"
    awaited(company, "SELECT 1 FROM intent WHERE id = %s AND state = 'delivered'", [intent])
    assert orders_of(company, deal) == 1


@pytest.fixture
def viewer(company: Pipeline) -> Iterator[tuple[str, str]]:
    """(name, password) of somebody who may only look. While they are known, everybody must sign in."""
    name, password = f"vera-{uuid.uuid4().hex[:6]}", f"Look-{uuid.uuid4().hex}"
    with psycopg.connect(company.settings.hub, autocommit=True) as hub:
        assert not has_people(hub)
        add_person(hub, name, password=hash_password(password), grants=[{"role": "viewer"}])
        yield name, password
        remove_person(hub, name)


def test_a_viewer_decides_nothing(
    company: Pipeline, new_context: Callable[..., BrowserContext], large_deal: tuple[str, int],
    viewer: tuple[str, str], allowed_errors: list[str],
) -> None:  # fmt: skip
    allowed_errors += ["403", "401"]
    deal, intent = large_deal
    name, password = viewer
    page = new_context().new_page()

    def must_sign_in() -> bool:
        page.goto(f"/inbox/approvals/{intent}")  # for a second, the console trusts its last look for people
        return "/sign-in" in page.url

    assert came_true(must_sign_in, 20)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**/inbox/approvals/{intent}")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("it needs the right to approve").first).to_be_visible()
    assert orders_of(company, deal) == 0
    assert first(company, "SELECT state FROM intent WHERE id = %s", [intent]) == "waiting"
