"""`make screenshots`: the pictures of the guide and the README, in docs/images/. Not part of the tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext

from tests.browser.conftest import ROOT
from tests.browser.process import Console

LARGEST = 150_000
PICTURES = (
    ("overview", "/", "light", "en"), ("overview-dark", "/", "dark", "en"), ("overview-zh", "/", "light", "zh"),
    ("flows", "/flows", "light", "en"), ("flow", "first flow", "light", "en"), ("flow-zh", "first flow", "light", "zh"),
    ("records", "/records", "light", "en"), ("inbox", "/inbox", "light", "en"), ("systems", "/systems", "light", "en"),
    ("dictionary", "/dictionary", "light", "en"), ("quality", "/quality", "light", "en"),
    ("timeline", "/timeline", "light", "en"), ("audit", "/audit", "light", "en"), ("tour", "/tour", "light", "en"),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name, path, theme, language", PICTURES, ids=[picture[0] for picture in PICTURES])
def test_picture(
    name: str, path: str, theme: str, language: str, console: Console, new_context: Callable[..., BrowserContext]
) -> None:
    if path == "first flow":
        wanted = {"stage": "ordered", "stuck": "true", "limit": "1"}
        flows = httpx.get(f"{console.address}/api/v1/flows", params=wanted, timeout=30).json()["flows"]
        path = f"/flows/{flows[0]['id']}" if flows else "/flows"
    context = new_context(color_scheme=theme, locale={"en": "en-GB", "zh": "zh-CN"}[language])
    page = context.new_page()
    page.goto(path)
    page.wait_for_timeout(2_500)  # the living picture needs a reading or two
    target = Path(os.environ.get("PHOTOS", ROOT / "docs/images")) / f"console-{name}.png"
    page.screenshot(path=target, animations="disabled")
    assert target.stat().st_size <= LARGEST
