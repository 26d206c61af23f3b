"""One thing that was found to be wrong: what `opshub doctor` lists and what alerts are made of."""

from __future__ import annotations

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong. `input`: what a person wrote (exit code 2); `environment`: a server, right or setting (3)."""

    code: str
    where: str
    what: str
    remedy: str
    side: Literal["input", "environment"] = "environment"
    severe: bool = True
