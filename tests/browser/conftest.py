"""Fixtures of the browser tests: a console on a free port with a hub of a working company, pages, photographs.

A test takes `page` (a page of Chromium that fails the test when the browser reports an error) and `console` (the
process under test, with its address). `photo("name")` keeps a picture in build/photos; PHOTOS names another folder.

Playwright has a loop of its own in the main thread while a browser is open: nothing in these tests may call
`asyncio.run`, and no test function is `async`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from streams.settings import Settings
from tests.browser.chromium import ARGUMENTS, MISSING, chromium_path
from tests.browser.company import make_company
from tests.browser.process import Console, start_console
from tests.conftest import Pipeline

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 375, "height": 812}
SLOWEST_MS = 60_000
"""Longest wait for something on a page: the machine may be busy with other tests."""

expect.set_options(timeout=SLOWEST_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(900))  # the first one starts the servers and fills the systems


@pytest.fixture(scope="session")
def company(pipeline: Pipeline) -> Iterator[Pipeline]:
    """The shared stack with a history, a living worker, and something of everything that waits for people."""
    make_company(pipeline)
    yield pipeline
    pipeline.stop_workers()


@pytest.fixture(scope="session")
def console(request: pytest.FixtureRequest) -> Iterator[Console]:
    """A console process on the hub of the company; nobody has to sign in. CONSOLE=http://… names one that runs already,
    for tests of pages that are run again and again.
    """
    if running := os.environ.get("CONSOLE"):
        yield Console(None, running.rstrip("/"), Path(), Settings())
        return
    company: Pipeline = request.getfixturevalue("company")
    started = start_console(company.settings)
    yield started
    started.end()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium. Tests that need it are reported as not run where there is none."""
    path = chromium_path()
    if path is None:
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def allowed_errors() -> list[str]:
    """Patterns of browser errors that a test expects: append to it. An answer of 403 is one, for instance."""
    return []


@pytest.fixture
def new_context(
    browser: Browser, console: Console, allowed_errors: list[str]
) -> Iterator[Callable[..., BrowserContext]]:
    """Makes contexts (a person's browser each: cookies, language, theme, size). At the test's end each must be free of
    errors: of scripts, of the policy (CSP), of the network.
    """
    made: list[BrowserContext] = []
    errors: list[str] = []

    def make(*, address: str | None = None, **options: object) -> BrowserContext:
        context = watched_context(browser, address or console.address, errors, **options)
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()  # one that the test closed stays closed
    unexpected = [error for error in errors if not any(re.search(pattern, error) for pattern in allowed_errors)]
    assert unexpected == [], "the browser reported errors:\n" + "\n".join(unexpected)


def watched_context(browser: Browser, address: str, errors: list[str], **options: object) -> BrowserContext:
    """A context whose errors and warnings go to `errors`."""
    settings = {"viewport": DESKTOP, "locale": "en-GB", "base_url": address, **options}
    context = browser.new_context(**settings)  # type: ignore[arg-type]
    context.set_default_timeout(SLOWEST_MS)
    context.on("weberror", lambda error: errors.append(f"script: {error.error}"))
    context.on(
        "console",
        lambda message: (
            errors.append(f"{message.text} ({message.location.get('url')})")
            if message.type in ("error", "warning")
            else None
        ),
    )
    return context


@pytest.fixture
def page(new_context: Callable[..., BrowserContext]) -> Page:
    """A page of desktop size, light, English. `page.goto("/flows")` opens a page of the console."""
    return new_context(color_scheme="light").new_page()


@pytest.fixture
def phone(new_context: Callable[..., BrowserContext]) -> Page:
    """A page of a phone's size."""
    return new_context(viewport=PHONE, is_mobile=True, has_touch=True, color_scheme="light").new_page()


@pytest.fixture
def photo(request: pytest.FixtureRequest) -> Callable[..., Path]:
    """`photo("flows")` keeps a picture of the page that the test uses; `photo("flows", page)` of another."""
    folder = Path(os.environ.get("PHOTOS", ROOT / "build" / "photos"))

    def take(name: str, of: Page | None = None) -> Path:
        shown: Page = of or request.getfixturevalue("page")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        shown.screenshot(path=path, full_page=True, animations="disabled")
        return path

    return take
