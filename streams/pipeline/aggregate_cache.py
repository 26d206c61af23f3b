"""The aggregates that a worker keeps in memory, so that their next change needs no read of the hub."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping

from streams.model.state import AggregateState


class AggregateCache:
    """A cache limited by the number of entities, since some flows have ten thousand lines and most have a dozen.

    The aggregates that were used last stay. Every entry can be dropped at any time.
    """

    def __init__(self, max_entities: int) -> None:
        self._max_entities = max_entities
        self._states: OrderedDict[str, AggregateState] = OrderedDict()
        self._members: dict[str, int] = {}
        self.members = 0
        """Entities in the cache, as of the last `trim`."""

    def __len__(self) -> int:
        return len(self._states)

    def get(self, key: str) -> AggregateState | None:
        state = self._states.get(key)
        if state is not None:
            self._states.move_to_end(key)
        return state

    def peek(self, key: str) -> AggregateState | None:
        """As `get`, but it does not count as use."""
        return self._states.get(key)

    def put(self, states: Mapping[str, AggregateState]) -> None:
        for key, state in states.items():
            self._states[key] = state
            self._states.move_to_end(key)

    def drop(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._states.pop(key, None)
            self.members -= self._members.pop(key, 0)

    def clear(self) -> None:
        self._states.clear()
        self._members.clear()
        self.members = 0

    def trim(self, used: Collection[str]) -> None:
        """Count the entities of the aggregates that were just used, then drop the oldest aggregates until the limit
        holds.

        The used ones stay, even if they alone exceed the limit.
        """
        for key in used:
            state = self._states.get(key)
            if state is not None:
                members = max(1, len(state.members))
                self.members += members - self._members.get(key, 0)
                self._members[key] = members
        while len(self._states) > len(used) and self.members > self._max_entities:
            key, _ = self._states.popitem(last=False)
            self.members -= self._members.pop(key, 0)
