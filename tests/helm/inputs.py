"""What the golden files were made from, as one number: a change of the chart shows without helm."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.helm.render import CHART, EXAMPLES, GOLDEN

NUMBER = GOLDEN / "inputs.sha256"


def inputs() -> list[Path]:
    """Every file that decides what is rendered. Rules and dashboards are not among them: golden files only name them."""
    return [CHART / "Chart.yaml", CHART / "values.yaml", *sorted((CHART / "templates").rglob("*.*")), *EXAMPLES]


def inputs_number() -> str:
    """sha256 of their names and contents."""
    number = hashlib.sha256()
    for file in inputs():
        number.update(file.name.encode() + b"\0" + file.read_bytes())
    return number.hexdigest()
