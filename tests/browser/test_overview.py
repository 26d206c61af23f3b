"""The overview in a browser: the picture lives, stands still where it should, and the timeline has its chart."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from streams.hub.live import live_topics
from tests.conftest import Pipeline
from tests.waiting import wait_for


def taken(hub: psycopg.Connection) -> int:
    """Records that workers have taken so far."""
    return sum(topic.taken for topic in live_topics(hub))


@pytest.fixture
def working(company: Pipeline) -> Iterator[None]:
    """The CRM works: a row changes several times a second, in a column that no dictionary reads."""
    stop = threading.Event()

    def work() -> None:
        with company.connect("CRM") as crm:
            while not stop.wait(0.2):
                crm.execute("UPDATE account SET updated_at = now() WHERE id = (SELECT id FROM account LIMIT 1)")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        with psycopg.connect(company.settings.hub, autocommit=True) as hub:
            before = taken(hub)
            wait_for(lambda: taken(hub) > before)
        yield
    finally:
        stop.set()
        worker.join()
    company.drain()


def test_the_picture_lives_soon(
    working: None,
    page: Page,
    photo: Callable[..., Path],
    allowed_errors: list[str],
) -> None:
    allowed_errors.append("/inbox/count")
    for visit in ("first", "second"):
        page.goto("/")
        arrow = page.locator('g.arrow[data-node="source:demo-crm"]')
        expect(arrow).to_have_class(re.compile("flowing"))
        expect(page.locator('[data-live="source:demo-crm.rate"]')).to_have_text(re.compile(r"^\d"))
        seconds = page.evaluate("performance.now()") / 1000
        # Two seconds are asked for. A test on a machine with other work can only say how long it took.
        print(
            f"{visit} visit: the picture lives {seconds:.2f} s after the page was asked for, load {os.getloadavg()[0]:.1f}"
        )
    photo("overview")


def test_the_page_lives_again_after_hub_and_connect_came_back(
    working: None, page: Page, company: Pipeline, photo: Callable[..., Path], allowed_errors: list[str]
) -> None:
    allowed_errors += ["/inbox/count", "50[023]"]
    arrow = page.locator('g.arrow[data-node="source:demo-crm"]')
    health = page.locator("#health")
    page.goto("/")
    expect(arrow).to_have_class(re.compile("flowing"))
    company.stack.kill("hub")
    company.stack.kill("connect")
    try:
        expect(health).to_contain_text("hub is away")
        expect(health).to_contain_text("Connect is away")
        expect(page.locator('g.node[data-node="hub"]')).to_have_class(re.compile("bad"))
        photo("overview-away")
        page.goto("/")
        expect(health, "the page opens while the hub is away").to_contain_text("hub is away")
    finally:
        company.stack.start("hub")
        company.stack.start("connect")
    expect(health).not_to_contain_text("is away", timeout=180_000)
    expect(arrow).to_have_class(re.compile("flowing"), timeout=180_000)


def test_nothing_moves_for_those_who_asked_for_that(
    new_context: Callable[..., BrowserContext], allowed_errors: list[str]
) -> None:
    allowed_errors.append("/inbox/count")
    page = new_context(reduced_motion="reduce").new_page()
    page.goto("/")
    names = page.evaluate("[...document.querySelectorAll('.pulse')].map(e => getComputedStyle(e).animationName)")
    assert set(names) == {"none"}


def test_the_timeline_shows_the_worker_that_started(
    page: Page, photo: Callable[..., Path], allowed_errors: list[str]
) -> None:
    allowed_errors.append("/inbox/count")
    page.goto("/timeline?kind=worker")
    expect(page.locator("table.rows tbody tr").first).to_contain_text("started")
    photo("timeline")
