"""Dead letters, as a person deals with them: list, show, edit, retry, drop. Each change leaves an audit line.

In: the hub, and for a retry the broker. A raw record is tried again by the worker that owns its partition, from the bytes in the hub, in
order with all that waits for its key: `retry` marks it and sends that worker a control record. A message between
aggregates (`changes.…`) waits for nobody: it is produced again as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import psycopg
from confluent_kafka import Producer
from psycopg import sql
from psycopg.rows import class_row

from streams.errors import ConfigError, EnvironmentFault
from streams.hub.session import KEEPALIVE
from streams.kafka.clients import idempotent_producer
from streams.kafka.control import send_control
from streams.model.dead_letter import OPEN
from streams.settings import Settings

MOST_TRIES = 5
"""A letter that failed as often as this is tried again only by force: it goes in a circle."""

_COLUMNS = """id, topic, partition, position AS offset, key, coalesce(edited, value) AS value,
              edited IS NOT NULL AS is_edited, stage, class AS kind,
              reason, tried, state, came_as, to_char(seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS seen_at"""


class Letter(msgspec.Struct, frozen=True):
    """One record that was put aside; `value` is its edit where there is one."""

    id: int
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    is_edited: bool
    stage: str
    kind: str
    reason: str
    tried: int
    state: str
    came_as: str
    seen_at: str

    def shown(self) -> dict[str, Any]:
        """As JSON values; bytes that are not UTF-8 are shown as `hex:…`."""
        told: dict[str, Any] = msgspec.structs.asdict(self)
        return told | {"key": _text(self.key), "value": _text(self.value)}


class Filter(msgspec.Struct, frozen=True):
    """Which letters; what is None or empty says nothing."""

    ids: tuple[int, ...] = ()
    states: tuple[str, ...] = ()
    topic: str | None = None
    key: str | None = None
    stage: str | None = None
    kind: str | None = None
    reason: str | None = None

    def where(self) -> tuple[sql.Composable, list[Any]]:
        """The condition and its parameters."""
        parts: list[sql.Composable] = [sql.SQL("true")]
        values: list[Any] = []

        def add(condition: str, value: Any) -> None:
            parts.append(sql.SQL(condition))
            values.append(value)

        if self.ids:
            add("id = ANY(%s)", list(self.ids))
        if self.states:
            add("state = ANY(%s)", list(self.states))
        if self.topic:
            add("topic LIKE %s", self.topic.replace("_", r"\_").replace("*", "%"))
        if self.key is not None:
            add("key = %s", self.key.encode())
        if self.stage:
            add("stage = %s", self.stage)
        if self.kind:
            add("class = %s", self.kind)
        if self.reason:
            add("position(lower(%s) in lower(reason)) > 0", self.reason)
        return sql.SQL(" AND ").join(parts), values


class DeadLetters:
    """The letters of one hub. Raises EnvironmentFault while the hub or the broker is away."""

    def __init__(self, settings: Settings, who: str) -> None:
        self._settings = settings
        self._who = who

    def find(self, wanted: Filter, limit: int = 50) -> list[Letter]:
        """The oldest letters first."""
        where, values = wanted.where()
        query = sql.SQL(
            "SELECT " + _COLUMNS + " FROM dead_letter WHERE {} ORDER BY seen_at, topic, partition, position LIMIT %s"
        )
        with self._connect() as connection, connection.cursor(row_factory=class_row(Letter)) as cursor:
            return cursor.execute(query.format(where), [*values, limit]).fetchall()

    def count(self, wanted: Filter) -> int:
        """How many there are, whatever a list shows of them."""
        where, values = wanted.where()
        with self._connect() as connection:
            row = connection.execute(
                sql.SQL("SELECT count(*) FROM dead_letter WHERE {}").format(where), values
            ).fetchone()
        return int(row[0]) if row is not None else 0

    def show(self, letter_id: int) -> dict[str, Any]:
        """One letter with its original, what waits behind it, and what was done to it. Raises ConfigError when there is none."""
        letter = self._one(letter_id)
        with self._connect() as connection:
            row = connection.execute("SELECT value, edited_by FROM dead_letter WHERE id = %s", [letter_id]).fetchone()
            behind = connection.execute(
                "SELECT count(*) FROM dead_letter WHERE topic = %s AND key = %s AND state = 'parked' AND position > %s",
                [letter.topic, letter.key, letter.offset],
            ).fetchone()
            audit = connection.execute(
                "SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), who, verb, detail FROM dead_letter_audit "
                "WHERE letter_id = %s ORDER BY at",
                [letter_id],
            ).fetchall()
        assert row is not None and behind is not None
        return letter.shown() | {
            "original": _text(row[0]), "edited_by": row[1], "waiting_behind": behind[0],
            "audit": [dict(zip(("at", "who", "verb", "detail"), line, strict=True)) for line in audit],
        }  # fmt: skip

    def edit(self, letter_id: int, value: bytes) -> Letter:
        """Let a letter be tried again as `value`; the original is kept. Raises ConfigError for what is no JSON, or is done with."""
        letter = self._one(letter_id)
        if letter.state not in OPEN:
            raise ConfigError(f"letter {letter_id} is {letter.state}", remedy="only open letters can be edited")
        if letter.topic.startswith("raw."):
            try:
                msgspec.json.decode(value)
            except msgspec.DecodeError as error:
                raise ConfigError(
                    f"the edit is not JSON: {error}", remedy="edit what `opshub dlq show` prints as `value`"
                ) from error
        with self._connect() as connection:
            connection.execute(
                "UPDATE dead_letter SET edited = %s, edited_by = %s, changed_at = now() WHERE id = %s",
                [value, self._who, letter_id],
            )
            self._audit(connection, [letter_id], "edit", f"{len(letter.value or b'')} -> {len(value)} bytes")
        return self._one(letter_id)

    def retry(self, wanted: Filter, *, limit: int = 1000, force: bool = False, dry_run: bool = False) -> list[Letter]:
        """Try letters again, each key in order; those that were marked come back.

        One that failed `MOST_TRIES` times is left alone, but by `force`.
        """
        chosen = self._chosen(wanted, ("dead", "retry"), limit)
        if not force:
            chosen = [letter for letter in chosen if letter.tried < MOST_TRIES]
        if dry_run or not chosen:
            return chosen
        raw = [letter for letter in chosen if letter.topic.startswith("raw.")]
        messages = [letter for letter in chosen if not letter.topic.startswith("raw.")]
        producer = self._producer()
        with self._connect() as connection:
            connection.execute(
                "UPDATE dead_letter SET state = 'retry', changed_at = now() WHERE id = ANY(%s)",
                [[letter.id for letter in raw]],
            )
            self._audit(connection, [letter.id for letter in chosen], "retry", "by force" if force else "")
        send_control(producer, {(letter.topic, letter.partition, letter.key) for letter in raw})
        for letter in messages:
            producer.produce(letter.topic, value=letter.value, key=letter.key, partition=letter.partition)
        if producer.flush(20):
            raise EnvironmentFault(
                f"Kafka at {self._settings.kafka} did not take the retries",
                remedy="they stay marked: the workers send them again themselves; `opshub dlq list --state retry` shows them",
            )
        if messages:
            with self._connect() as connection:
                connection.execute(
                    "UPDATE dead_letter SET state = 'retried', changed_at = now() WHERE id = ANY(%s)",
                    [[letter.id for letter in messages]],
                )
        return chosen

    def left_alone(self, wanted: Filter, chosen: Iterable[Letter], *, force: bool = False) -> list[str]:
        """Why `retry` did not choose what was asked for, in words."""
        taken = {letter.id for letter in chosen}
        told: list[str] = []
        named = (
            {letter.id: letter for letter in self.find(Filter(ids=wanted.ids), len(wanted.ids))} if wanted.ids else {}
        )
        for one in wanted.ids:
            letter = named.get(one)
            if letter is None:
                told.append(f"there is no letter {one}")
            elif letter.state == "parked":
                told.append(f"letter {one} waits behind another of its key, and is tried with that")
            elif letter.state not in OPEN:
                told.append(f"letter {one} is {letter.state} already")
            elif one not in taken and letter.tried >= MOST_TRIES and not force:
                told.append(f"letter {one} failed {letter.tried} times: mend the cause first, then say --force")
        if not wanted.ids:
            every = self.count(msgspec.structs.replace(wanted, states=("dead", "retry")))
            if every > len(taken):
                limit = "" if force else f" (--force takes those, too, that failed {MOST_TRIES} times)"
                told.append(f"{every - len(taken):,} more match: a larger --limit takes them{limit}")
        return told

    def drop(self, wanted: Filter, reason: str, *, limit: int = 1000, dry_run: bool = False) -> list[Letter]:
        """Give letters up for good; what waits behind them goes on. Raises ConfigError without a reason."""
        if not reason.strip():
            raise ConfigError("a letter is dropped for a reason", remedy="say --reason")
        chosen = self._chosen(wanted, OPEN, limit)
        if dry_run or not chosen:
            return chosen
        keys = {(letter.topic, letter.partition, letter.key) for letter in chosen if letter.topic.startswith("raw.")}
        with self._connect() as connection:
            ids = [letter.id for letter in chosen]
            connection.execute("UPDATE dead_letter SET state = 'dropped', changed_at = now() WHERE id = ANY(%s)", [ids])
            self._audit(connection, ids, "drop", reason)
        producer = self._producer()
        send_control(producer, keys)
        producer.flush(20)
        return chosen

    def _chosen(self, wanted: Filter, states: Iterable[str], limit: int) -> list[Letter]:
        if not wanted.states:
            wanted = msgspec.structs.replace(wanted, states=tuple(states))
        return self.find(wanted, limit)

    def _one(self, letter_id: int) -> Letter:
        found = self.find(Filter(ids=(letter_id,)), 1)
        if not found:
            raise ConfigError(f"there is no letter {letter_id}", remedy="`opshub dlq list` shows their numbers")
        return found[0]

    def _audit(self, connection: psycopg.Connection[Any], ids: list[int], verb: str, detail: str) -> None:
        connection.execute(
            "INSERT INTO dead_letter_audit (who, verb, letter_id, detail) SELECT %s, %s, id, %s FROM unnest(%s::bigint[]) AS id",
            [self._who, verb, detail, ids],
        )

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            return psycopg.connect(self._settings.hub, **KEEPALIVE)
        except psycopg.OperationalError as error:
            raise EnvironmentFault(
                f"the hub does not answer: {str(error).strip()}", remedy="`opshub up`, or check OPSHUB_HUB_DSN"
            ) from error

    def _producer(self) -> Producer:
        return idempotent_producer(self._settings.kafka)


def _text(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"hex:{value.hex()}"
