"""Names that several rooms share: speakers that are no source system, and the topics of changes."""

from __future__ import annotations

PEOPLE = "opshub"
"""The system as which a person's decision speaks. It goes before all source systems."""

HUB = "hub"
"""The system as which the hub speaks of what it computed from other records, such as sums."""

MATCHER = "match"
"""The system as which a link by a match key speaks."""

REFERENCE = "reference"
"""The system as which a link speaks that a reference (`same_as`) won after its record had waited for it."""

_CHANGES = "changes."


def changes_topic(aggregate: str) -> str:
    """The topic of changes of one kind of aggregate, such as `changes.customer`."""
    return _CHANGES + aggregate


def aggregate_of_topic(topic: str) -> str:
    """The kind of aggregate whose changes a topic carries: the reverse of `changes_topic`."""
    return topic.removeprefix(_CHANGES)
