"""Load and save aggregates: one connection, whole batches, one transaction for each.

Entities travel as JSON in one parameter, which costs the client least. Every write names the row revision that it saw; `Stale` tells
which rows were others. Every transaction names the fencing tokens of the partitions that it comes from: a worker that was given up for
dead writes nothing once another has read from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import psycopg
from psycopg import AsyncConnection

from streams.errors import BadRecord, EnvironmentFault, Fenced, OpshubError, RetryLater
from streams.hub.dead_letters import dead_letter_row
from streams.hub.session import KEEPALIVE, SERVER_SESSION_LIMITS, is_usable
from streams.hub.statements import SQL
from streams.model.change import Position
from streams.model.dead_letter import DeadLetter
from streams.model.state import AggregateState, Conflict, Contribution, EntityState, Turn

_contributions = msgspec.json.Decoder(dict[str, Contribution])
_record = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.Encoder().encode


PART = 500
"""Entities in one statement: the hub works on one part while the next is made."""

REFRESHES_AT_ONCE = 1000
"""Aggregates that a batch which links records tells by itself to read themselves again; see streams/pipeline/refreshes.py."""


class Stale(OpshubError):
    """Rows are not as they were read: another writer had them, or they live in another aggregate."""

    def __init__(self, ids: list[str]) -> None:
        """`ids`: of the rows that were not written."""
        super().__init__(f"{len(ids)} rows changed under us")
        self.ids = ids


class Claims(msgspec.Struct):
    """Match keys of the records of a batch. `wanted`: a row for each; `holders` are all records whose keys these are, `has` a row for each
    key that each of them has (`reclaims`: it lets the key go first, and claims it again)."""

    wanted: list[dict[str, Any]] = []
    holders: list[str] = []
    has: list[dict[str, Any]] = []


Held = list[list[tuple[str, str, str, list[str]]]]
"""For each round of claims, (entity, match key, its holder, records that are the same as the holder by it)."""


class Saved(NamedTuple):
    """What a transaction found out."""

    learnt: list[tuple[str, str, int]]
    """Sameness learnt since the generation that was known."""
    referring: list[tuple[str, str, str]]
    """(aggregate id, customer, entity) of what refers to customers that were linked, or waits for a key that was given up."""
    logged: dict[str, str]
    """Conflicts that are new, or came back: id → outcome."""
    held: Held
    disputed: list[Conflict]
    """Keys that two records claim."""


class HubStore:
    """The hub, for one lane. Raises RetryLater while the hub is away."""

    def __init__(self, dsn: str, name: str) -> None:
        self._dsn = dsn
        self._name = name
        self._connection: AsyncConnection[Any] | None = None
        self.flip_flop_turns = 3
        self.flip_flop_window_us = 86_400_000_000
        """Edits of one field that write-back may write over within the window before it is a flip-flop."""

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
        """The error as `translated` tells it; a session that it left in no state to go on is closed."""
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

    async def load(self, kinds: Mapping[str, str]) -> dict[str, AggregateState]:
        """These aggregates, id → kind, as the hub has them; one that it does not know is empty."""
        states = {one: AggregateState(one, kind, members={}, sources={}) for one, kind in kinds.items()}
        wanted = [list(states)]
        connection = await self.connection()
        try:
            async with connection.pipeline():
                forwards = await connection.execute(SQL["forwards"], wanted)
                members = await connection.execute(SQL["load_aggregates"], wanted)
            for source, target, said_at in await forwards.fetchall():
                if target != source:
                    states[source].forward, states[source].forward_at = target, Position(*said_at)
                else:
                    states[source].unmerged = True
            rows = await members.fetchall()
        except psycopg.Error as error:
            raise await self.failed(error) from error
        for row in rows:
            entity = entity_of_row(row)
            state = states[row[2]]
            state.members[entity.id] = entity
            if entity.merged_into is None:
                for source in entity.contributions:
                    if source != entity.id:
                        state.sources[source] = entity.id
        return states

    async def save(
        self,
        entities: list[tuple[EntityState, str, str | None]],
        links: list[dict[str, Any]],
        conflicts: list[Conflict],
        *,
        same_known: int,
        used: dict[str, str | None],
        dead: Sequence[DeadLetter],
        intents: Sequence[msgspec.Struct] = (),
        contested: Iterable[str] = (),
        standing: Iterable[str] = (),
        claims: Sequence[Claims] = (),
        disputes: Callable[[Held], list[Conflict]] = lambda _: [],
        turns: Sequence[Turn] = (),
        due: Sequence[tuple[str, str, float]] = (),
        tokens: Mapping[tuple[str, int], int] = MappingProxyType({}),
    ) -> Saved:
        """One transaction. `entities`: (state with its new revision, aggregate id, source id of the customer it refers to).

        `contested`: entities of more than one source; of their conflicts only `standing` (ids) are left. `disputes` finds conflicts in who
        holds which key. `due`: (kind, id, seconds) of what is to be looked at or summed later. `tokens`: (topic, partition) → fencing
        token, of where this was read. Raises, with nothing written, Fenced when another worker took one of these partitions, Stale when a
        row is not as it was read, NewlySame when a reference that was used (source id → what it was taken for) is another by now, and
        Circle for links of which the target is the source already.
        """
        connection = await self.connection()
        same_links = [link["source_id"] for link in links if link["same"]]
        learnt: list[tuple[str, str, int]] = []
        written: set[str] = set()
        referring: list[tuple[str, str, str]] = []
        logged: dict[str, str] = {}
        held: Held = []
        released: list[tuple[str, str]] = []
        disputed: list[Conflict] = []
        circles: set[str] = set()
        lost: list[tuple[str, int]] = []
        told = list(contested)
        try:
            async with connection.transaction():
                async with connection.pipeline():
                    if tokens:
                        mine = _columns([(*partition, token) for partition, token in tokens.items()])
                        losing = await connection.execute(SQL["partitions_lost"], mine)
                    await connection.execute(SQL["own_identity" if same_links else "share_identity"])
                    news = await connection.execute(SQL["same_since"], [same_known])
                    if same_links:
                        same = [link for link in links if link["same"]]
                        closing = await connection.execute(SQL["circles"], [_encode(same)])
                    upserts = [
                        await connection.execute(
                            SQL["upsert_entities"], [_encode([_row(*entity) for entity in entities[at : at + PART]])]
                        )
                        for at in range(0, len(entities), PART)
                    ]
                    if links:
                        await connection.execute(SQL["upsert_identity"], [_encode(links)])
                    if same_links:
                        refer = await connection.execute(
                            SQL["aggregates_that_refer"], {"ids": same_links, "most": REFRESHES_AT_ONCE}
                        )
                    if conflicts:
                        log = await connection.execute(
                            SQL["log_conflicts"], [_encode([_conflict(c) for c in conflicts])]
                        )
                    if turns:
                        noted = await connection.execute(SQL["note_turns"], self._turns(turns))
                    if told:
                        # After they were logged: what came and went within the batch is over.
                        await connection.execute(SQL["end_conflicts"], [told, list(standing)])
                    releasing = [
                        await connection.execute(SQL["release_keys"], [one.holders, _encode(one.has)])
                        for one in claims
                        if one.holders
                    ]
                    claiming = [
                        await connection.execute(SQL["claim_keys"], [_encode(one.wanted)])
                        for one in claims
                        if one.wanted
                    ]
                    for one in claims:
                        if one.holders:
                            await connection.execute(SQL["end_claims"], [one.holders, _encode(one.has)])
                    if intents:
                        await connection.execute(SQL["plan_intents"], [_encode(intents)])
                    for letter in dead:
                        await connection.execute(SQL["add_dead_letter"], dead_letter_row(letter))
                    if due:
                        await connection.execute(SQL["mark_due"], _columns(due))
                    if tokens:
                        lost = await losing.fetchall()
                    learnt = await news.fetchall()
                    written = {row[0] for upsert in upserts for row in await upsert.fetchall()}
                    if same_links:
                        circles = {row[0] for row in await closing.fetchall()}
                        referring = await refer.fetchall()
                    if conflicts:
                        logged = dict(await log.fetchall())
                    if turns:
                        logged |= dict(await noted.fetchall())
                    released = [key for release in releasing for key in await release.fetchall()]
                    held = [await claim.fetchall() for claim in claiming]
                if lost:
                    raise Fenced(f"{len(lost)} of these partitions were taken by another worker")
                if circles:
                    raise Circle(circles)
                if any(used.get(source, target) not in (None, target) for source, target, _ in learnt):
                    raise NewlySame(learnt)
                if len(written) != len(entities):
                    raise Stale([entity.id for entity, _, _ in entities if entity.id not in written])
                if released:
                    # A statement of its own: it sees who logged a claim while the release waited for them.
                    entities_keys = [list(column) for column in zip(*released, strict=True)]
                    waiting = await connection.execute(SQL["waiting_claimants"], entities_keys)
                    referring += await waiting.fetchall()
                disputed = disputes(held)
                if disputed:
                    # In the transaction that claimed, so that a holder who gives the key up finds who waits for it.
                    log = await connection.execute(SQL["log_conflicts"], [_encode([_conflict(c) for c in disputed])])
                    logged |= dict(await log.fetchall())
            return Saved(learnt, referring, logged, held, disputed)
        except psycopg.Error as error:
            raise await self.failed(error) from error

    async def take(self, partitions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Take over these partitions, (topic, number) each: their new fencing tokens."""
        rows = await self.rows("take_partitions", *_columns(partitions))
        return {(topic, partition): token for topic, partition, token in rows}

    async def mark_due(self, due: Sequence[tuple[str, str, float]]) -> None:
        """Mark these, (kind, id, seconds) each, as due so many seconds from now."""
        await self.rows("mark_due", *_columns(due))

    async def log_conflicts(self, conflicts: list[Conflict]) -> list[Conflict]:
        """Log these; those that are new, or came back, are returned."""
        if not conflicts:
            return []
        rows = await self.rows("log_conflicts", _encode([_conflict(c) for c in conflicts]))
        return as_logged(conflicts, dict(rows))

    def _turns(self, turns: Sequence[Turn]) -> dict[str, Any]:
        told = [_conflict(turn.conflict) | {"target": turn.target, "at_us": turn.at_us} for turn in turns]
        return {"turns": _encode(told), "limit": self.flip_flop_turns, "window_us": self.flip_flop_window_us}


def as_logged(conflicts: Iterable[Conflict], logged: dict[str, str]) -> list[Conflict]:
    """Those that were logged, with the outcome that they got."""
    return [
        conflict
        if conflict.outcome == logged[conflict.id]
        else msgspec.structs.replace(conflict, outcome=logged[conflict.id])
        for conflict in conflicts
        if conflict.id in logged
    ]


class Circle(OpshubError):
    """Two records were each said to be the other at the same time: these came second."""

    def __init__(self, ids: set[str]) -> None:
        super().__init__(f"{len(ids)} links would close a circle")
        self.ids = ids


class NewlySame(OpshubError):
    """A reference that this batch used was linked meanwhile; `learnt` has the links."""

    def __init__(self, learnt: list[tuple[str, str, int]]) -> None:
        super().__init__("references changed under us")
        self.learnt = learnt


def entity_of_row(row: Any) -> EntityState:
    """An entity from a row of `load_aggregates` or `all_entities`."""
    record = _record.decode(row[9])
    contributions = _contributions.decode(row[10])
    for said in contributions.values():
        if said.fields is None:
            said.fields = record
    return EntityState(row[0], row[1], row[3], row[4], row[5], row[6], row[7], row[8], record, contributions)


def _row(entity: EntityState, aggregate_id: str, customer_ref: str | None) -> dict[str, Any]:
    contributions: Any = entity.contributions
    product_ref = next((ref for said in contributions.values() if (ref := (said.fields or {}).get("product_id"))), None)
    if len(contributions) == 1:
        ((source, said),) = contributions.items()
        if said.fields is not None and (said.fields is entity.record or said.fields == entity.record):
            contributions = {source: msgspec.structs.replace(said, fields=None)}
    return {
        "id": entity.id, "entity": entity.entity, "aggregate_id": aggregate_id, "parent_id": entity.parent,
        "merged_into": entity.merged_into, "customer_ref": customer_ref, "product_ref": product_ref,
        "version": entity.version, "revision": entity.revision,
        "deleted": entity.deleted, "updated_us": entity.updated_us, "record": entity.record, "contributions": contributions,
    }  # fmt: skip


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _conflict(conflict: Conflict) -> dict[str, Any]:
    asserted = {}
    for system, value in conflict.values.items():
        position, us, tx = conflict.asserted.get(system, (None, None, None))
        asserted[system] = {"value": value, "position": position, "us": us, "tx": tx}
    return {
        "id": conflict.id, "aggregate_id": conflict.aggregate_id, "entity": conflict.entity, "entity_id": conflict.entity_id,
        "field": conflict.field, "kind": conflict.kind, "asserted": asserted, "winner": conflict.winner, "rule": conflict.rule,
        "outcome": conflict.outcome,
    }  # fmt: skip


def translated(error: psycopg.Error) -> OpshubError:
    """By SQLSTATE. Classes 08, 25, 40, 53, 55, 57: wait and do it again. 22, 23: a value that the hub can not hold. What is left is a
    fault of the hub's schema or rights.
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
