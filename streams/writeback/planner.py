"""(what an aggregate was, what it is, who said so) → intents. Pure; it runs in the hot path of assemble.

An intent arises when
- a rule with `becomes`: the record has these values and had not before: one intent, keyed by rule and record, and one more for each time
  that what it had given rise to (`unless`) was cancelled or deleted since: a deal that is won again gives a new order;
- a rule with `values`: what the subject is to say changed, or differs from what the target says of it when an aggregate
  was joined; keyed by rule, record and revision of its row; of several for one subject that wait only the newest stays;
- a rule with `values`, where people of the target changed a field whose value is restored there (`restore` in ownership.yaml).

None arises from what was read by a snapshot, nor from an echo (`is_echo`), nor else from what people said in the target itself: the
target is not told what it said. What an echo teaches goes on through `after` rules, with what the delivery returned.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec

from streams.errors import ConfigError
from streams.model.state import AggregateState, EntityState
from streams.writeback.rules import Rule, Writeback
from streams.writeback.values import value_of

ORIGIN = "opshub"
PEOPLE = "opshub"
"""The system as which people decide."""

Restored = Callable[[str, dict[str, Any]], Collection[str]]
"""(entity, record) → the fields of which a system that says something else is given the value that stands."""


def is_echo(origin: str | None) -> bool:
    """Whether a change says what write-back wrote: by the replication origin under which it was written."""
    return origin is not None and (origin == ORIGIN or origin.startswith("opshub-"))


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One change that the hub wants `target` to make. `key` makes it idempotent."""

    key: str
    rule: str
    target: str
    entity: str
    entity_id: str
    aggregate_id: str
    subject_id: str
    customer_id: str | None
    version: int
    cause_us: int
    given: dict[str, Any] = {}
    supersedes: bool = False
    restores: bool = False
    """It gives the target what stands again, after people had changed it there."""
    fields: list[str] = []
    """Fields of the record that it tells: while two systems overwrite each other's value of one of them, it is not added."""


class Changed(msgspec.Struct, frozen=True):
    """One record before and after a batch. `before` is None for one that was not there."""

    member: EntityState
    before: dict[str, Any] | None
    said: dict[str, dict[str, Any]] = {}
    """What each system said of it before."""


class Planner:
    """The rules of all targets, by the entity that sets them off. `NONE` plans nothing."""

    def __init__(self, writebacks: Mapping[str, Writeback], restored: Restored = lambda *_: ()) -> None:
        self._rules: dict[str, list[tuple[str, str, Rule]]] = {}
        self._restored = restored
        for system, told in writebacks.items():
            for name, rule in told.rules.items():
                if rule.after is None and rule.mode != "off":
                    self._rules.setdefault(rule.entity, []).append((f"{system}/{name}", system, rule))

    def check_restored(self, entity: str, fields: Iterable[str]) -> None:
        """Raise ConfigError for a field that is to be restored, and that no rule gives anybody."""
        given = {field for _, _, rule in self._rules.get(entity, ()) if not rule.subject for field in told_fields(rule)}
        for field in fields:
            if field not in given:
                raise ConfigError(
                    f"ownership.yaml: entities.{entity}.fields.{field}.restore: no writeback.yaml gives a system {entity}.{field}",
                    remedy=f"add a rule for entity {entity} with values: {{{field}: record.{field}}}",
                )

    def reads(self, entity: str) -> bool:
        """Whether any rule is set off by this entity."""
        return entity in self._rules

    def rule(self, name: str, entity: str) -> Rule | None:
        """A rule that is set off by this entity, by `system/name`."""
        return next((rule for known, _, rule in self._rules.get(entity, ()) if known == name), None)

    def carries(self, entity: str, field: str, target: str, told: dict[str, Any]) -> bool:
        """Whether a rule certainly gives `target` a field of this entity, of which `told` is what paths begin with."""
        return any(
            system == target
            and not rule.subject
            and rule.mode == "live"
            and rule.share >= 1
            and field in told_fields(rule)
            and not holds(rule.skip_when, desired(rule, told))
            for _, system, rule in self._rules.get(entity, ())
        )

    def plan(
        self, state: AggregateState, changed: Iterable[Changed], causes: Mapping[str, int], joined: bool
    ) -> list[Intent]:
        """What these changes of one aggregate give rise to. `causes`: system → newest commit time (µs) of what people said there;
        `joined`: members came from another aggregate, so that `before` does not tell all.
        """
        found: list[Intent] = []
        for one in changed:
            member = one.member
            for name, target, rule in self._rules.get(member.entity, ()):
                cause = max((at for system, at in causes.items() if system != target), default=None)
                restores = bool(rule.values) and self._restores(one, target, rule, causes)
                if restores and cause is None:
                    cause = causes[target]
                anew = target not in one.said and target in said_by(member)
                joins = not member.contributions
                if cause is None and (anew or joins):
                    # The target knows it only now, or an echo made a join whole: what others said before is news there.
                    cause = _newest_live(state.members.values() if joins else [member], target)
                if cause is None or member.deleted or member.merged_into is not None:
                    continue
                intent = _of_rule(name, target, rule, state, one, cause, joined or anew, restores)
                if intent is not None:
                    found.append(intent)
        return found

    def _restores(self, one: Changed, target: str, rule: Rule, causes: Mapping[str, int]) -> bool:
        """Whether people said something in the target, or decided, of which the target is to be given what stands."""
        member = one.member
        fields = self._restored(member.entity, member.record)
        if not fields or rule.subject or not (target in causes or PEOPLE in causes):
            return False
        said, before = said_by(member).get(target, {}), one.said.get(target, {})
        return any(
            said.get(field) is not None
            and member.record.get(field) is not None
            and said[field] != member.record[field]
            and (PEOPLE in causes or said[field] != before.get(field))
            for field in told_fields(rule)
            if field in fields
        )


def _of_rule(
    name: str, target: str, rule: Rule, state: AggregateState, one: Changed, cause: int, joined: bool, restores: bool
) -> Intent | None:
    member = one.member
    subject = member.record.get(rule.subject) if rule.subject else member.id
    if not subject:
        return None
    if rule.becomes:
        if not holds(rule.becomes, member.record) or holds(rule.becomes, one.before or {}):
            return None
        ended = _ended(rule, state)
        if ended is None:
            return None
        key = f"{name}:{member.id}" + (f":{ended + 1}" if ended else "")
    else:
        if rule.subject and (one.before or {}).get(rule.subject) != subject:
            joined = True  # another subject, or the first: what it is to say is news to it, whoever named it
        wanted = desired(rule, document_of(member))
        if holds(rule.skip_when, wanted):
            return None
        written = member if subject == member.id else state.members.get(subject)
        if written is not None and written.contributions and target not in said_by(written):
            return None  # the target has no such record; once it has, what was said before is looked at again
        before = None if one.before is None else desired(rule, document(one.before, one.said))
        moved = before != wanted
        if not restores and not moved and not (joined and _differs(wanted, state.members.get(subject), target)):
            return None
        if not restores and moved and one.before is None and not _differs(wanted, state.members.get(subject), target):
            return None
        key = f"{name}:{member.id}:{member.revision}"
    return Intent(
        key=sys.intern(key),
        rule=name,
        target=target,
        entity=member.entity,
        entity_id=member.id,
        aggregate_id=state.id,
        subject_id=subject,
        customer_id=member.id if member.entity == "customer" else member.record.get("customer_id"),
        version=member.version,
        cause_us=cause,
        supersedes=not rule.becomes,
        restores=restores,
        fields=[] if rule.becomes else told_fields(rule),
    )


def _ended(rule: Rule, state: AggregateState) -> int | None:
    """How many of the entities of `unless` were there and are no more; None while one is live."""
    ended = 0
    for member in state.members.values():
        if member.entity in rule.unless:
            if is_live(member):
                return None
            ended += member.version > 0 and member.merged_into is None
    return ended


def told_fields(rule: Rule) -> list[str]:
    """Fields of the record that a rule with `values` gives its subject under their own names."""
    return [field for field, spec in rule.values.items() if spec.path == f"record.{field}"]


def _newest_live(members: Iterable[EntityState], target: str) -> int | None:
    """Commit time of the newest that people said of these in other systems than the target."""
    lives = (
        said.source_us
        for member in members
        for said in member.contributions.values()
        if said.live and said.system != target
    )
    return max(lives, default=None)


def is_live(member: EntityState) -> bool:
    """Whether it is there and was not cancelled."""
    return (
        not member.deleted
        and member.merged_into is None
        and member.version > 0
        and member.record.get("status") != "cancelled"
    )


def holds(wanted: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether the record has all of these values; a list is any of them. Holds nothing when nothing is wanted."""
    if not wanted:
        return False
    for field, value in wanted.items():
        found = record.get(field)
        if found not in value if isinstance(value, list) else found != value:
            return False
    return True


def desired(rule: Rule, told: dict[str, Any]) -> dict[str, Any]:
    """What the subject is to say, by field."""
    return {field: value_of(spec, told) for field, spec in rule.values.items()}


def document_of(member: EntityState) -> dict[str, Any]:
    """What a rule's paths begin with at planning: `record` and `said.<system>`, what each system says of it."""
    return document(member.record, said_by(member))


def said_by(member: EntityState) -> dict[str, dict[str, Any]]:
    """system → the fields that it says, of live contributions."""
    return {said.system: said.fields or {} for said in member.contributions.values() if not said.deleted}


def document(record: dict[str, Any], said: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The same, of values from before."""
    return {"record": record, "said": said}


def said_of(fields: Mapping[str, Any], field: str) -> Any:
    """A field, or with `attributes.` before it an attribute, as a system says it."""
    if field.startswith("attributes."):
        return (fields.get("attributes") or {}).get(field.removeprefix("attributes."))
    return fields.get(field)


def _differs(wanted: dict[str, Any], subject: EntityState | None, target: str) -> bool:
    """Whether the target, as far as the hub knows, says something else."""
    if subject is None:
        return False
    for said in subject.contributions.values():
        if said.system == target and not said.deleted:
            return any(said_of(said.fields or {}, field) != value for field, value in wanted.items())
    return False


NONE = Planner({})
