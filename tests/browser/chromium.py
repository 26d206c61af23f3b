"""Which browser the tests use, and how it is started."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

ARGUMENTS = [
    "--no-sandbox",  # in a container there is none to be had
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
]

MISSING = (
    "no Chromium on this machine: `make browser-setup` installs Debian's (as root or with sudo), "
    "CHROMIUM=/path/to/chromium names another"
)
"""Why browser tests are reported as not run."""


def chromium_path() -> Path | None:
    """The browser: what CHROMIUM names, else the first on the path; None: there is none."""
    named = os.environ.get("CHROMIUM")
    choices = [named] if named else NAMES
    found = next((path for name in choices if (path := shutil.which(name))), None)
    return Path(found) if found else None
