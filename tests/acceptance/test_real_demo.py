"""The demo with two real systems, as a user sees it. It installs both from PyPI the first time, so it is run by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from streams.stack.workers import worker_environment
from tests.conftest import stack_settings


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_deals_won_in_creme_are_paid_in_tryton(state_dir: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "streams.cli", "demo", "--systems", "creme,tryton", "--seconds", "20", "--json"],
        env=worker_environment(stack_settings(state_dir / "s")),
        capture_output=True,
        text=True,
        check=False,
        cwd=state_dir,
    )
    assert ended.returncode == 0, ended.stderr[-3000:] + ended.stdout[-3000:]
    result = json.loads(ended.stdout)
    assert result["verdict"] == "equal" and result["dead"] == 0
    assert result["deals"]["won"] == result["invoiced"] == result["paid"] > 2
    assert result["refused"] == []
