"""Identity in the hub: where ids live and which ids are the same record. One typed function for each statement.

Workers call those with a `Lookup`; the command calls those with a connection.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.hub.statements import Lookup


async def places(lookup: Lookup, ids: Sequence[str]) -> dict[str, str]:
    """id → the aggregate in which it lives, for those ids that the hub knows."""
    return dict(await lookup("places", ids))


async def newest_generation(lookup: Lookup) -> int:
    """The generation of the link that was written last; 0 without any."""
    ((generation,),) = await lookup("generation")
    return int(generation)


async def linked_targets(lookup: Lookup, source_ids: Sequence[str]) -> dict[str, str]:
    """source id → the id that it is linked to, for each step of each chain that begins at these ids."""
    return dict(await lookup("same", source_ids))
