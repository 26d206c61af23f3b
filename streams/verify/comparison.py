"""The result of `opshub verify`."""

from __future__ import annotations

from typing import Literal

import msgspec

EXAMPLES = 20
"""Examples that are kept of each kind of difference."""

Kind = Literal["lost", "doubled", "differing", "gone_back", "rejected"]


class Comparison(msgspec.Struct):
    """What was compared (`source_rows`, `entities`, `records`) and what differs: each other number should be 0."""

    source_rows: int = 0
    entities: int = 0
    """Records of the hub."""
    records: int = 0
    """Records of canonical topics."""
    lost: int = 0
    """In the source and not in the hub, or in the hub and never emitted."""
    doubled: int = 0
    """One source record in two records of the hub, or two different records with one version in a topic."""
    differing: int = 0
    gone_back: int = 0
    """A lower version behind a higher one, in a canonical topic."""
    rejected: int = 0
    """Source rows that the dictionary cannot map: they are dead letters."""
    accounts_balance: bool = True
    """Whether each raw record is counted once, and the hub holds the dead and parked ones."""
    examples: list[str] = []
    """The first of each kind."""

    def add(self, kind: Kind, text: str) -> None:
        """Count a difference, and keep it as an example if there are few of its kind."""
        setattr(self, kind, getattr(self, kind) + 1)
        if sum(1 for example in self.examples if example.startswith(kind)) < EXAMPLES:
            self.examples.append(f"{kind}: {text}")

    @property
    def holds(self) -> bool:
        """Whether sources, hub and topics agree. A rejected row is a known dead letter, and no difference."""
        return self.accounts_balance and not (self.lost or self.doubled or self.differing or self.gone_back)
