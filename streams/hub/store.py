"""The hub for one lane of a worker: load aggregates, save a batch in one transaction, and run named statements.

Entities travel as JSON in one parameter, which costs the client least. Every write names the row revision that was
read, and every transaction names the fencing tokens of the partitions that it was read from: a worker that was given up
as dead writes nothing once another worker has read from its partitions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import args_row, dict_row

from streams.errors import BadRecord, EnvironmentFault, OpshubError, RetryLater
from streams.hub.dead_letters import add_dead_letter
from streams.hub.entity_rows import loaded_entity
from streams.hub.identity import known_links
from streams.hub.save import (
    Answers,
    DueTime,
    HeldKey,
    IdentityLink,
    LogOutcome,
    Referring,
    ReleasedKey,
    Saved,
    SaveRequest,
    Statement,
    log_conflicts,
    raise_if_refused,
    share_keys,
    statements_of,
)
from streams.hub.session import KEEPALIVE, SERVER_SESSION_LIMITS, is_usable
from streams.hub.shared_keys import SharedKey, carriers_of, shared_key_conflicts
from streams.hub.statements import SQL, Parameters, Row, columns
from streams.model.change import Position
from streams.model.dead_letter import DeadLetter
from streams.model.partition import Partition
from streams.model.state import AggregateState, Conflict, EntityState


class Forward(NamedTuple):
    """Where an id lives, and the source position that said so; `waits_for`, `left`: see `AggregateState`."""

    source_id: str
    target: str
    linked_at: list[int]
    waits_for: str | None
    left: list[str]


class OrderLineElsewhere(NamedTuple):
    """Lines of documents in the aggregate `home` name an order line that lives in `aggregate_id`."""

    home: str
    order_line: str
    aggregate_id: str


class HubStore:
    """The hub, for one lane. Every method raises RetryLater while the hub does not answer."""

    def __init__(self, dsn: str, name: str) -> None:
        self._dsn = dsn
        self._name = name
        self._connection: AsyncConnection[Any] | None = None

    async def connection(self) -> AsyncConnection[Any]:
        if self._connection is None or self._connection.closed:
            try:
                self._connection = await AsyncConnection.connect(
                    self._dsn, autocommit=True, application_name=self._name, prepare_threshold=1, **KEEPALIVE
                )
                await self._connection.execute(SERVER_SESSION_LIMITS)
            except psycopg.OperationalError as error:
                raise RetryLater(f"the hub does not answer: {str(error).strip()}") from error
        return self._connection

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def failed(self, error: psycopg.Error) -> OpshubError:
        """The error by its class (see `translated`). A session that it left unusable is closed."""
        if self._connection is not None and not is_usable(self._connection):
            await self._connection.close()
        return translated(error)

    async def rows(self, name: str, *parameters: Any) -> list[Any]:
        """The rows of one named statement; a single dict gives its parameters by name."""
        connection = await self.connection()
        try:
            named = parameters[0] if len(parameters) == 1 and isinstance(parameters[0], dict) else parameters
            cursor = await connection.execute(SQL[name], named)
            return await cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise await self.failed(error) from error

    async def fetch(self, row: type[Row], name: str, parameters: Parameters = ()) -> list[Row]:
        """The rows of one named statement as structs of `row`; columns of JSON become structs, too."""
        connection = await self.connection()
        try:
            async with connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(SQL[name], parameters)
                return [msgspec.convert(columns, row) for columns in await cursor.fetchall()]
        except psycopg.Error as error:
            raise await self.failed(error) from error

    async def load(self, kinds: Mapping[str, str]) -> dict[str, AggregateState]:
        """These aggregates (id → kind) as the hub has them; an aggregate that it does not know is empty."""
        states = {key: AggregateState(key, kind, members={}, sources={}) for key, kind in kinds.items()}
        wanted = [list(states)]
        connection = await self.connection()
        try:
            async with connection.pipeline():
                forwards = await connection.cursor(row_factory=args_row(Forward)).execute(SQL["forwards"], wanted)
                members = await connection.cursor(row_factory=args_row(loaded_entity)).execute(
                    SQL["load_aggregates"], wanted
                )
            for forward in await forwards.fetchall():
                state = states[forward.source_id]
                state.left = tuple(forward.left)
                if forward.target != forward.source_id:
                    state.forward, state.forward_at = forward.target, Position(*forward.linked_at)
                elif forward.waits_for is not None:
                    state.waits_for, state.waits_since = forward.waits_for, Position(*forward.linked_at)
                else:
                    state.unmerged = True
            rows = await members.fetchall()
        except psycopg.Error as error:
            raise await self.failed(error) from error
        for aggregate_id, entity in rows:
            add_member(states[aggregate_id], entity)
        return states

    async def save(self, request: SaveRequest) -> Saved:
        """Write one batch in one transaction.

        Raises Fenced, Circle, NewlySame or Stale, with nothing written, where what the batch was settled with no longer
        holds; see `raise_if_refused`.
        """
        connection = await self.connection()
        answers = Answers()
        try:
            async with connection.transaction():
                async with connection.pipeline():
                    cursors = [(s, await _execute(connection, s)) for s in statements_of(request)]
                    for statement, cursor in cursors:
                        if statement.row is not None:
                            answers.add(statement.name, await cursor.fetchall())
                raise_if_refused(request, answers)
                referring: list[Referring] = answers.all("aggregates_that_refer") + answers.all("waiting_references")
                released: list[ReleasedKey] = answers.all("release_keys")
                if released:
                    # A statement of its own, so that it sees claims that were logged while the release waited for their
                    # transaction.
                    waiting = Statement("waiting_claimants", columns(released), Referring)
                    referring += await (await _execute(connection, waiting)).fetchall()
                holders: list[list[HeldKey]] = answers.each("claim_keys")
                logged: list[LogOutcome] = answers.all("log_conflicts") + answers.all("note_turns")
                key_conflicts = request.key_conflicts(holders)
                shared: list[SharedKey] = answers.all("share_keys")
                carriers = carriers_of(key_conflicts, request.key_limits)
                if carriers:
                    shared += await (await _execute(connection, share_keys(carriers))).fetchall()
                shared_keys = {(key.entity, key.key) for key in shared}
                key_conflicts = [c for c in key_conflicts if (c.entity, c.field) not in shared_keys]
                key_conflicts += shared_key_conflicts(shared)
                if key_conflicts:
                    # In the transaction that claimed, so that a holder who releases the key finds who waits for it.
                    logged += await (await _execute(connection, log_conflicts(key_conflicts))).fetchall()
            outcomes = {conflict.id: conflict.outcome for conflict in logged}
            return Saved(answers.all("same_since"), referring, outcomes, holders, key_conflicts, shared_keys)
        except psycopg.Error as error:
            raise await self.failed(error) from error

    async def homes(self, ids: Sequence[str]) -> dict[str, str]:
        """entity id → the aggregate in which it lives, of those that the hub has."""
        return {row[0]: row[1] for row in await self.rows("homes", list(ids))}

    async def order_lines_elsewhere(
        self, named: Collection[tuple[str, str]], new: Collection[str]
    ) -> list[OrderLineElsewhere]:
        """Which order lines live in another aggregate than the lines of documents that name them: of `named`
        (aggregate of the document, order line), and of all documents that name one of the order lines `new`.
        """
        homes, lines = [home for home, _ in named], [line for _, line in named]
        rows = await self.rows("order_lines_elsewhere", {"homes": homes, "named": lines, "new": list(new)})
        return [OrderLineElsewhere(*row) for row in rows]

    async def known_links(self, ids: Sequence[str]) -> dict[str, IdentityLink]:
        """Where these records were linked to, of those that were."""
        return await known_links(self.rows, ids)

    async def claim_echoes(self, changes: bytes, skew_us: int) -> set[tuple[str, str]]:
        """(source id, transaction) of the echoes among these changes; see streams/pipeline/echoes.py."""
        rows = await self.rows("claim_echoes", {"changes": changes, "skew": skew_us})
        return {(str(row[0]), str(row[1])) for row in rows}

    async def add_dead_letter(self, dead_letter: DeadLetter) -> None:
        await add_dead_letter(self.rows, dead_letter)

    async def take(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Take over these partitions: their new fencing tokens."""
        rows = await self.rows("take_partitions", *columns(partitions))
        return {(topic, partition): token for topic, partition, token in rows}

    async def mark_due(self, due: Sequence[DueTime]) -> None:
        """Mark these as due so many seconds from now."""
        await self.rows("mark_due", *columns(due))

    async def log_conflicts(self, conflicts: list[Conflict]) -> list[Conflict]:
        """Log these; those that are new, or came back, are returned with the outcome that they got."""
        if not conflicts:
            return []
        statement = log_conflicts(conflicts)
        assert not isinstance(statement.parameters, Mapping)
        return as_logged(conflicts, dict(await self.rows(statement.name, *statement.parameters)))


async def _execute(connection: AsyncConnection[Any], statement: Statement) -> AsyncCursor[Any]:
    cursor: AsyncCursor[Any]
    if statement.row is None:
        cursor = connection.cursor()
    else:
        cursor = connection.cursor(row_factory=args_row(statement.row))
    return await cursor.execute(SQL[statement.name], statement.parameters)


def add_member(state: AggregateState, entity: EntityState) -> None:
    """Put an entity that was read into the aggregate that it lives in."""
    state.members[entity.id] = entity
    if entity.merged_into is None:
        for source in entity.contributions:
            if source != entity.id:
                state.sources[source] = entity.id


def as_logged(conflicts: Iterable[Conflict], logged: Mapping[str, str]) -> list[Conflict]:
    """Those that were logged (id → outcome), with the outcome that they got."""
    return [
        conflict
        if conflict.outcome == logged[conflict.id]
        else msgspec.structs.replace(conflict, outcome=logged[conflict.id])
        for conflict in conflicts
        if conflict.id in logged
    ]


def translated(error: psycopg.Error) -> OpshubError:
    """By SQLSTATE. Classes 08, 25, 40, 53, 55, 57: wait and do it again. 22, 23: a value that the hub can not hold.
    What is left is a fault of the hub's schema or rights.
    """
    state = error.sqlstate or ""
    if state[:2] in ("22", "23"):
        return BadRecord(
            f"the hub can not hold this: {str(error).strip()}",
            remedy="look at the record; a text may hold what Postgres refuses",
        )
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) or state[:2] in (
        "08",
        "25",
        "40",
        "53",
        "55",
        "57",
    ):
        return RetryLater(f"the hub does not answer: {str(error).strip()}")
    return EnvironmentFault(
        f"the hub refused: {str(error).strip()}", remedy="`opshub doctor` checks the hub's schema and rights"
    )
