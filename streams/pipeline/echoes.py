"""Which changes of a batch write-back made, over an interface whose rows do not say who wrote them.

In: changes. Out: (source id, transaction) of the echoes. The hub's table `echo_due` holds what was requested, and when.
A request has one echo: the first change of its row that has the requested values, at the time of the request, and
whatever else the same transaction changed. A person's edit a moment later is another transaction and no echo, even with
the same values. The same changes get the same answer each time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable

import msgspec

from streams.model.change import READ_BY_SNAPSHOT, Change
from streams.pipeline.settle.batch import transaction_of

CLOCK_SKEW_US = 2_000_000
"""How far the clocks of the hub and of a target may differ."""

ClaimEchoes = Callable[[bytes, int], Awaitable[Collection[tuple[str, str]]]]
"""(changes as JSON, clock skew in µs) → (source id, transaction) of each echo: `HubStore.claim_echoes`."""

_encode = msgspec.json.Encoder().encode


async def echoes_among(
    changes: Iterable[Change], systems: Collection[str], claim_echoes: ClaimEchoes
) -> frozenset[tuple[str, str]]:
    """The echoes among `changes`, of systems that are written over HTTP (`systems`). Without any such change the hub is
    not asked.
    """
    candidates = [
        {
            "system": change.system,
            "entity": change.entity,
            "row_id": change.id,
            "made": change.op == "c",
            "tx": transaction_of(change),
            "us": change.source_us,
            "fields": change.fields,
            "number": number,
        }
        for number, change in enumerate(changes)
        if change.system in systems
        and change.kind == "change"
        and not change.deleted
        and change.op not in READ_BY_SNAPSHOT
    ]
    return frozenset(await claim_echoes(_encode(candidates), CLOCK_SKEW_US)) if candidates else frozenset()
