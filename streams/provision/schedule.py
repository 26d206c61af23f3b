"""When a table is synchronised: at once, by a schedule, or when something happens; and never in a black-out.

In: what a person wrote under `sync`, and times. Out: when it is due, and whether it may run now. Pure. Times of a
schedule are in its zone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from croniter import croniter
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from streams.errors import ConfigError
from streams.writeback.forms import Cron, Duration, Strict


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{text!r} is no time zone such as Europe/Berlin") from None
    return text


class Window(Strict):
    """A span of time that begins with a cron expression: `{from: "0 22 * * *", for: 8 h}`."""

    begins: Cron = Field(alias="from")
    lasts: Duration = Field(alias="for")

    def holds(self, now: datetime) -> bool:
        """Whether `now` is in it."""
        # One second later: the window begins with its minute.
        begun: datetime = croniter(self.begins, now + timedelta(seconds=1)).get_prev(datetime)
        return now < begun + self.lasts


class Sync(Strict):
    """`every`: a cron expression, or a duration; `on`: `webhook`, `request`, or a table of the same system whose
    changes make it due; neither of them: realtime. `within`: only then; `not`: never then (black-out).
    """

    every: Cron | Duration | None = None
    on: str | None = None
    within: list[Window] = []
    never: list[Window] = Field(default=[], alias="not")
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"

    @model_validator(mode="after")
    def _one_way(self) -> Sync:
        if self.every is not None and self.on is not None:
            raise ValueError("needs only one of `every` and `on`")
        if isinstance(self.every, timedelta) and self.every < timedelta(seconds=1):
            raise ValueError("`every` is at least 1 s")
        return self

    @property
    def is_realtime(self) -> bool:
        return self.every is None and self.on is None

    @property
    def is_plain(self) -> bool:
        """Whether the table is synchronised at once, always."""
        return self.is_realtime and not self.within and not self.never

    def may_run(self, now: datetime) -> bool:
        """Whether it is within a window, and in no black-out."""
        local = now.astimezone(ZoneInfo(self.timezone))
        inside = not self.within or any(window.holds(local) for window in self.within)
        return inside and not any(window.holds(local) for window in self.never)

    def due_at(self, last: datetime | None) -> datetime | None:
        """When it is due after it ran at `last`; None where only an event makes it due."""
        if self.on is not None:
            return None
        if last is None:
            return datetime.min.replace(tzinfo=UTC)
        if isinstance(self.every, timedelta):
            return last + self.every
        if self.every is None:
            return last
        due: datetime = croniter(self.every, last.astimezone(ZoneInfo(self.timezone))).get_next(datetime)
        return due.astimezone(UTC)

    @property
    def words(self) -> str:
        """For people: `realtime`, `every 15 min`, `every 0 3 * * *`, `on webhook`, with windows."""
        if self.on is not None:
            text = f"on {self.on}"
        elif isinstance(self.every, timedelta):
            text = f"every {_short(self.every)}"
        else:
            text = "realtime" if self.every is None else f"every {self.every}"
        for word, windows in (("within", self.within), ("not", self.never)):
            if windows:
                spans = ", ".join(f"{_short(window.lasts)} from {window.begins}" for window in windows)
                text += f"; {word} {spans}"
        return text if self.timezone == "UTC" else f"{text} ({self.timezone})"


def _short(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _from_text(content: object) -> object:
    """`realtime` alone; `{every: …}` is the long form."""
    return {} if content == "realtime" else content


def parse_sync(content: object, where: str) -> Sync:
    """What a person wrote under `sync`. Raises ConfigError that begins with `where`."""
    try:
        return Sync.model_validate(_from_text(content))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ConfigError(
            f"{where}: {place}: {first['msg']}" if place else f"{where}: {first['msg']}",
            remedy='such as {"every": "*/15 * * * *"} or {"not": [{"from": "0 8 * * *", "for": "10 h"}]}',
        ) from None


SyncRule = Annotated[Sync, BeforeValidator(_from_text)]
REALTIME = Sync()
