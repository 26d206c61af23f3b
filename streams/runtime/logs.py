"""The log of a process: lines for people, or one JSON object for each line (`OPSHUB_LOG_FORMAT=json`).

A line about a record has its coordinates as fields of their own: `topic`, `partition`, `offset`, or `intent`, `rule`,
`entity`, `entity_id`; see `COORDINATES`. Values of a record are in no log: an error text that quotes one is only in the
dead dead_letter, which is masked by role.
"""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from streams.model.dead_letter import DeadLetter
from streams.settings import Settings

COORDINATES = (
    "topic", "partition", "offset", "stage", "error_class", "records", "intent", "rule",
    "entity", "entity_id", "request",
)  # fmt: skip
"""What a line may carry beside its text."""

CHATTY = ("faust", "mode", "aiohttp", "httpx", "streams.runtime.faust_adapter")


class JsonLines(logging.Formatter):
    """One JSON object for each line: at (UTC), level, logger, worker, message, the coordinates, error."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "worker": self._worker,
            "message": record.getMessage(),
        }
        line |= {name: value for name in COORDINATES if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up_logs(settings: Settings, process: str) -> None:
    """Log to standard error as the settings want it. `process`: the worker's name, or `console`."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.log_format == "json":
        handler.setFormatter(JsonLines(process))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def log_dead_letters(logger: logging.Logger, dead_letters: Sequence[DeadLetter]) -> None:
    """One line for all dead letters of a batch with one cause, with the coordinates of the first."""
    dead = [dead_letter for dead_letter in dead_letters if dead_letter.state == "dead"]
    counts = Counter((dead_letter.topic, dead_letter.stage, dead_letter.error_class) for dead_letter in dead)
    for (topic, stage, error_class), records in counts.items():
        first = next(
            dead_letter
            for dead_letter in dead
            if (dead_letter.topic, dead_letter.stage, dead_letter.error_class) == (topic, stage, error_class)
        )
        logger.warning(
            "%d records of %s could not be processed (%s, %s), the first at %d/%d; `opshub dlq list` shows why",
            records, topic, stage, error_class, first.partition, first.offset,
            extra={
                "topic": topic, "partition": first.partition, "offset": first.offset, "stage": stage,
                "error_class": error_class, "records": records,
            },
        )  # fmt: skip
