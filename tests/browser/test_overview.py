"""The overview in a browser: the picture lives, stands still where it should, and the timeline has its chart."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect


def test_the_picture_lives_within_two_seconds(
    page: Page, photo: Callable[..., Path], allowed_errors: list[str]
) -> None:
    allowed_errors.append("/inbox/count")
    page.goto("/")
    expect(page.locator("#health strong")).to_be_visible()
    rate = page.locator('[data-live="source:demo-crm.rate"]')
    expect(rate).to_have_text(re.compile(r"^\d"), timeout=2_000)
    photo("overview")


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
