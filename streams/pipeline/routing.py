"""Where each change of ingest goes: the aggregate of its record, and the links that let children follow it. Pure.

A record that is the root of its aggregate goes to its own id, also where its row names another record with `same_as`:
the writer of its own aggregate reads what the row names in the order in which the row said it, and sends the change on.
A child goes to the aggregate in which its parent lives, or to the parent's own id where that is not known. A child that
may have children emits a link once: it says where the record lives, so that children that went to its own id can
follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from streams.model.change import Change
from streams.model.entities import ENTITIES
from streams.model.names import changes_topic
from streams.pipeline.canonical import MERGEABLE
from streams.pipeline.outcomes import EmittedChange
from streams.runtime.batch import Output


def _depth(entity: str) -> int:
    parent = ENTITIES[entity].parent
    return _depth(parent) + 1 if parent else 0


CHANGE_TOPIC = {name: changes_topic(entity.aggregate) for name, entity in ENTITIES.items()}
_MAY_HAVE_CHILDREN = {entity.parent for entity in ENTITIES.values() if entity.parent}
_DEPTH = {name: _depth(name) for name in ENTITIES}
_ROOTS = {name for name, depth in _DEPTH.items() if not depth}
"""Entities that are the root of an aggregate, or another name of one."""

_new = tuple.__new__
"""Makes a named tuple in half the time that its class takes; one is made for each record."""

Levels = list[list[EmittedChange]]


def by_depth(changes: Iterable[EmittedChange]) -> Levels:
    """Changes by the depth of their entity, parents first; in order within a level.

    Kafka gives no order between topics: lines may be read before their document. A line whose document has not come
    goes to where the document would be, and is sent on from there.
    """
    levels: Levels = [[] for _ in range(max(_DEPTH.values()) + 1)]
    depth = _DEPTH
    for change in changes:
        levels[depth[change[0]]].append(change)
    return levels


def unknown_ids(levels: Levels, known: Mapping[str, str]) -> set[str]:
    """Ids that routing needs and whose aggregate is not cached."""
    unknown: set[str] = set()
    parents: set[str] = set()
    for level in levels:
        for change in level:
            entity, own, parent, same_as = change[:4]
            target = same_as
            if target is None:
                if parent is not None:
                    if parent not in known:
                        parents.add(parent)
                    continue
                if entity in _ROOTS:
                    continue
                target = own
            if target not in known:
                unknown.add(target)
    if parents:
        # This batch brings some of these parents itself: they are routed before their children.
        unknown |= parents.difference(change.id for level in levels for change in level)
    return unknown


def route_changes(
    levels: Levels,
    known: Mapping[str, str],
    learn: Callable[[str, str], None],
    linked: Mapping[str, str],
    encode: Callable[[Change], bytes],
) -> tuple[list[Output], dict[str, str]]:
    """(each change for its aggregate and the links that are due, record → aggregate of these links).

    `known`: id → aggregate, which `learn` adds to. `linked`: links that were emitted before.
    """
    outputs: list[Output] = []
    links: dict[str, str] = {}
    emit = outputs.append
    aggregate_of = known.get
    for level in levels:
        for change in level:
            entity, own, parent, same_as, deleted, value = change[:6]
            target = same_as or parent or own
            aggregate = aggregate_of(target, target)
            goes_to_itself = parent is None and (
                entity in _ROOTS or same_as is not None or (entity in MERGEABLE and not deleted)
            )
            home = own if goes_to_itself else aggregate
            emit(_new(Output, (CHANGE_TOPIC[entity], home.encode(), value, None)))
            may_have_children = entity in _MAY_HAVE_CHILDREN
            # Children too: a delete gives its key and not its parent. It goes where the row went before.
            if (may_have_children or parent is not None) and not deleted and aggregate_of(own) != aggregate:
                learn(own, aggregate)
            if aggregate == own or parent is None or not (same_as is not None or may_have_children):
                continue
            if links.get(own, linked.get(own)) != aggregate:
                links[own] = aggregate
                emit(Output(CHANGE_TOPIC[entity], own.encode(), encode(_link(change, aggregate))))
    return outputs, links


def _link(change: EmittedChange, aggregate: str) -> Change:
    return Change(
        "link", change.entity, change.id, change.system, change.key, "u", *change.position, change.source_us,
        same_as=change.same_as, target=aggregate,
    )  # fmt: skip
