"""Two views of identity, each a bounded cache over one batched look-up.

`Homes` serves ingest: a belief that may be stale, for the writer of the aggregate it names sends on what does not belong.
`Sameness` serves assemble: exact within a hub transaction, since what was learnt meanwhile is read at the start of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

Lookup = Callable[..., Awaitable[list[Any]]]
"""HubStore.rows: (name of a statement, parameters) → rows."""


class Bounded(dict[str, str]):
    """A dict that forgets its oldest half-dozen percent when it is full; insertion order stands for age."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def put(self, key: str, value: str) -> None:
        if len(self) >= self._size:
            for old in [key for key, _ in zip(self, range(max(1, self._size // 16)), strict=False)]:
                del self[old]
        self[key] = value


class Homes:
    """entity id → aggregate id, as far as is known here."""

    def __init__(self, size: int = 60_000) -> None:
        self.known = Bounded(size)

    async def learn(self, strangers: Iterable[str], lookup: Lookup) -> None:
        """Look up ids that are not known, in one go. One that the hub does not know is taken to be its own home."""
        missing = list(strangers)
        if missing:
            found = dict(await lookup("whereabouts", missing))
            for one in missing:
                self.known.put(one, found.get(one, one))


class Sameness:
    """source id → the id of the entity that it is, for customers, contacts and products.

    Kept link by link, not as where a chain of them ends: a link in the middle may be taken back.
    """

    def __init__(self, size: int = 60_000) -> None:
        self.known = Bounded(size)
        self.generation = 0
        self.hits = 0
        self.misses = 0

    async def start(self, lookup: Lookup) -> None:
        """Begin at the present generation, with nothing known."""
        self.known.clear()
        rows = await lookup("generation")
        self.generation = rows[0][0]

    async def learn(self, ids: Iterable[str], lookup: Lookup) -> None:
        """Look up what is not known of the chains that begin at `ids`, in one go."""
        missing = []
        for one in ids:
            end = self.chain(one)[-1]
            if end in self.known:
                self.hits += 1
            else:
                missing.append(end)
        if not missing:
            return
        self.misses += len(missing)
        found = dict(await lookup("same", missing))
        for one in {*missing, *found, *found.values()}:
            self.known.put(one, found.get(one, one))

    def apply(self, learnt: Iterable[tuple[str, str, int]]) -> None:
        """Take in links of later generations."""
        for source, target, generation in learnt:
            if source in self.known:
                self.known[source] = target
            self.generation = max(self.generation, generation)

    def chain(self, source_id: str) -> list[str]:
        """`source_id`, what it is, what that is…: as far as it is known here. A circle is left where it closes."""
        found = [source_id]
        while (following := self.known.get(found[-1])) is not None and following not in found:
            found.append(following)
        return found

    def of(self, source_id: str) -> str:
        """Follows links of links; of a circle, the last one before it closes."""
        following = self.known.get(source_id, source_id)
        return following if following == source_id else self.chain(following)[-1]
