"""Two views of identity, each a bounded cache over one batched look-up.

`RoutingCache` serves ingest. It may be stale: the writer of the aggregate that it names sends on what does not belong.
`Sameness` serves assemble. It is exact within a hub transaction, which reads first what was linked meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from streams.hub.identity import linked_targets, newest_generation, places
from streams.hub.statements import Lookup


class Bounded(dict[str, str]):
    """A dict that forgets the oldest sixteenth of its entries when it is full; insertion order stands for age."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def put(self, key: str, value: str) -> None:
        """Set an entry; it does not become younger by that."""
        if len(self) >= self._size:
            for old in [key for key, _ in zip(self, range(max(1, self._size // 16)), strict=False)]:
                del self[old]
        self[key] = value


class RoutingCache:
    """entity id → the aggregate in which it lives, as far as this worker knows."""

    def __init__(self, size: int = 60_000) -> None:
        self.known = Bounded(size)

    async def learn(self, ids: Collection[str], lookup: Lookup) -> None:
        """Look up ids that are not cached, all in one statement. An id that the hub does not know is its own
        aggregate.
        """
        if ids:
            aggregates = await places(lookup, list(ids))
            for entity_id in ids:
                self.known.put(entity_id, aggregates.get(entity_id, entity_id))


class Sameness:
    """source id → the id of the entity that it is, for customers, contacts and products.

    It keeps each link of a chain, not where the chain ends: people may take back a link in the middle.
    """

    def __init__(self, size: int = 60_000) -> None:
        self.known = Bounded(size)
        self.generation = 0
        """The newest link that is taken into account; links are numbered as they are written."""
        self.hits = 0
        self.misses = 0

    async def start(self, lookup: Lookup) -> None:
        """Begin at the newest generation, with nothing cached."""
        self.known.clear()
        self.generation = await newest_generation(lookup)

    async def learn(self, ids: Iterable[str], lookup: Lookup) -> None:
        """Look up the uncached ends of the chains that begin at `ids`, all in one statement."""
        missing = []
        for source_id in ids:
            end = self.chain(source_id)[-1]
            if end in self.known:
                self.hits += 1
            else:
                missing.append(end)
        if not missing:
            return
        self.misses += len(missing)
        targets = await linked_targets(lookup, missing)
        for source_id in {*missing, *targets, *targets.values()}:
            self.known.put(source_id, targets.get(source_id, source_id))

    def apply(self, links: Iterable[tuple[str, str, int]]) -> None:
        """Take over links of later generations: (source id, target, generation)."""
        for source_id, target, generation in links:
            if source_id in self.known:
                self.known[source_id] = target
            self.generation = max(self.generation, generation)

    def chain(self, source_id: str) -> list[str]:
        """`source_id`, what it is, what that is, and so on, as far as it is cached. A circle ends where it closes."""
        ids = [source_id]
        while (following := self.known.get(ids[-1])) is not None and following not in ids:
            ids.append(following)
        return ids

    def of(self, source_id: str) -> str:
        """The entity that a source id is, over all links; of a circle, the last id before it closes."""
        following = self.known.get(source_id, source_id)
        return following if following == source_id else self.chain(following)[-1]
