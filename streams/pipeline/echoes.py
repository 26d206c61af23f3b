"""Which changes of a batch write-back made over an interface whose rows do not tell who wrote them.

In: changes. Out: (source id, transaction) of the echoes. The hub knows what was asked for and when (`echo_due`): a request has one echo,
the first change of its row that says what was written, at the time of the request, and whatever else the same transaction changed. A
person's edit a moment later is another transaction, and no echo, even with the same values. Asked again of the same changes, the answer is
the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

import msgspec

from streams.model.change import Change
from streams.pipeline.settle import transaction

SKEW_US = 2_000_000
"""The clocks of hub and target may be so far apart."""

_encode = msgspec.json.Encoder().encode


async def echoes_among(
    changes: Iterable[Change], over_http: Collection[str], rows: Callable[..., Awaitable[list[Any]]]
) -> frozenset[tuple[str, str]]:
    """Costs nothing where no system is written over HTTP."""
    told = [
        {
            "system": change.system, "entity": change.entity, "row_id": change.id, "made": change.op == "c", "tx": transaction(change),
            "us": change.source_us, "fields": change.fields, "number": number,
        }
        for number, change in enumerate(changes)
        if change.system in over_http and change.kind == "change" and not change.deleted and change.op not in ("r", "part_read")
    ]  # fmt: skip
    if not told:
        return frozenset()
    found = await rows("claim_echoes", {"changes": _encode(told), "skew": SKEW_US})
    return frozenset((str(row[0]), str(row[1])) for row in found)
