"""The frame of all pages by keyboard alone: menu, search, commands, rows; theme and language; a guided tour."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect


def test_the_first_key_skips_to_the_content(page: Page) -> None:
    page.goto("/flows")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_row_is_found_and_opened_by_keys(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("g")
    page.keyboard.press("f")
    expect(page).to_have_url(re.compile(r"/flows$"))
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    link = page.locator("table.rows tbody tr.at a").first
    expect(link).to_be_focused()
    name = link.inner_text()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)


def test_search_by_keys(page: Page) -> None:
    page.goto("/flows")
    page.keyboard.press("/")
    page.keyboard.type("nothing-is-named-so")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/find\?text=nothing-is-named-so"))


def test_commands_go_to_a_page(page: Page, photo: Callable[..., Path]) -> None:
    page.goto("/flows")
    page.keyboard.press("Control+k")
    page.keyboard.type("guided")
    expect(page.locator("#palette-list").get_by_role("option").first).to_contain_text("Guided tour")
    photo("commands")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/tour$"))


def test_the_keys_are_listed(page: Page) -> None:
    page.goto("/tour")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_language_and_theme_are_kept(page: Page) -> None:
    page.goto("/tour")
    page.get_by_role("link", name="中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("导览")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.get_by_role("link", name=re.compile("主题")).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_menu_of_a_phone_opens(phone: Page) -> None:
    phone.goto("/tour")
    expect(phone.get_by_role("link", name="Systems")).to_be_hidden()
    phone.get_by_role("button", name="Menu").click()
    expect(phone.get_by_role("link", name="Systems")).to_be_visible()


def test_a_page_needs_no_script(new_context: Callable[..., BrowserContext]) -> None:
    page = new_context(java_script_enabled=False).new_page()
    page.goto("/flows")
    page.get_by_role("link", name="Guided tour").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Guided tour")


def test_a_tour_leads_over_real_pages(page: Page, photo: Callable[..., Path]) -> None:
    page.goto("/tour")
    page.get_by_role("link", name="Begin the tour: Sales").click()
    hint = page.get_by_role("complementary", name="Guided tour")
    for number in range(1, 6):
        expect(hint).to_contain_text(f"step {number} of 5")
        if number == 2:
            photo("tour-step")
        if number < 5:
            hint.get_by_role("link", name="Next").click()
    hint.get_by_role("link", name="End the tour").click()
    expect(hint).to_be_hidden()
