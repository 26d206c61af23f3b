"""The frame of all pages: header, menu, keys, theme, language."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect


def test_the_menu_leads_to_the_flows(page: Page, photo: Callable[..., Path], allowed_errors: list[str]) -> None:
    allowed_errors.append("/inbox/count")
    page.goto("/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Flows").click()
    expect(page.locator("table.rows tbody tr").first).to_be_visible()
    photo("flows")
