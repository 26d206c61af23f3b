"""What all parts of writeback.yaml are made of: strict models, durations, cron expressions."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from croniter import croniter
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

_DURATION = re.compile(r"(\d+)\s*(ms|s|min|h|d)\Z")
_UNIT = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def duration(text: str) -> timedelta:
    """`90 s`, `15 min` or `3 d` as a timedelta. Raises ValueError for another form."""
    match = _DURATION.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no duration: write a number and ms, s, min, h or d")
    return int(match.group(1)) * _UNIT[match.group(2)]


def _cron(text: str) -> str:
    if not croniter.is_valid(text):
        raise ValueError(f"{text!r} is no cron expression of five fields")
    return text


Duration = Annotated[timedelta, BeforeValidator(lambda value: duration(value) if isinstance(value, str) else value)]
Cron = Annotated[str, AfterValidator(_cron)]


class Strict(BaseModel):
    """A part of the file. An unknown name is an error: a misspelt condition must not be left out silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
