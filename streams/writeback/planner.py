"""Plan intents: an aggregate before and after a batch, and who caused the change → the intents to add. Pure; in the
hot path of assemble.

An intent arises when
- a rule with `becomes`: the record has these values and did not have them before. One intent for each rule and
  record, and one more each time that what it led to (`unless`) was cancelled or deleted since: a deal that is won
  again gives a new order.
- a rule with `values`: what the subject should say changed, or differs from what the target contributes when an
  aggregate was joined. The key is rule, record and revision of its row. Of several intents for one subject that
  wait, only the newest stays.
- a rule with `values`, when people of the target changed a field whose value is restored there (`restore` in
  ownership.yaml).

No intent arises from a snapshot, from an echo (`is_echo`), or from what people changed in the target itself: the
target knows its own values (a rule with `also_by_target` answers it there). Facts that an echo brings (the number of
the new order) go on by `after` rules, which get what the delivery returned. What write-back enters in a document that
serves the flow (a purchase that it requests) reaches the flow as a share: what that changes in the joined record is
news to the targets, and its cause is what people did before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec

from streams.errors import ConfigError
from streams.model.intent import NewIntent
from streams.model.names import HUB, PEOPLE
from streams.model.state import AggregateState, EntityState
from streams.writeback.rule_book import NamedRule, rules_of
from streams.writeback.rule_inputs import (
    build_document,
    contributed_fields,
    copied_fields,
    desired_values,
    entity_document,
    field_value,
    is_live,
    matches,
)
from streams.writeback.rules import WritebackConfig, WritebackRule
from streams.writeback.values import Fields

ORIGIN = "opshub"

RestoredFields = Callable[[str, Fields], Collection[str]]
"""(entity, record) → the fields whose value is restored in a system that contributes another one."""


def is_echo(origin: str | None) -> bool:
    """Whether write-back itself made a change: it wrote under a replication origin of this name."""
    return origin is not None and (origin == ORIGIN or origin.startswith("opshub-"))


class ChangedEntity(msgspec.Struct, frozen=True):
    """One entity after a batch, with its record and contributions from before. `before` is None for an entity that is
    new.
    """

    entity: EntityState
    before: Fields | None
    contributions_before: dict[str, Fields] = {}
    """system → the fields that it contributed before."""


class IntentPlanner:
    """The rules of all targets, by the entity that triggers them. `NO_RULES` plans nothing."""

    def __init__(
        self, writebacks: Mapping[str, WritebackConfig], restored: RestoredFields = lambda entity, record: ()
    ) -> None:
        self._rules: dict[str, list[NamedRule]] = {}
        self._restored = restored
        for named in rules_of(writebacks):
            if named.rule.after is None and named.rule.mode != "off":
                self._rules.setdefault(named.rule.entity, []).append(named)

    def check_restored(self, entity: str, fields: Iterable[str]) -> None:
        """Raise ConfigError for a field that ownership.yaml restores, and that no rule writes to any system."""
        written = {
            field
            for named in self._rules.get(entity, ())
            if not named.rule.subject
            for field in copied_fields(named.rule)
        }
        for field in fields:
            if field not in written:
                raise ConfigError(
                    f"ownership.yaml: entities.{entity}.fields.{field}.restore: "
                    f"no writeback.yaml gives a system {entity}.{field}",
                    remedy=f"add a rule for entity {entity} with values: {{{field}: record.{field}}}",
                )

    def has_rules_for(self, entity: str) -> bool:
        """Whether this entity triggers any rule."""
        return entity in self._rules

    def rule(self, name: str, entity: str) -> WritebackRule | None:
        """The rule `<system>/<rule>`, if this entity triggers it."""
        return next((named.rule for named in self._rules.get(entity, ()) if named.name == name), None)

    def surely_writes(self, entity: str, field: str, target: str, document: Mapping[str, object]) -> bool:
        """Whether a live rule certainly writes this field to `target`. `document`: see `build_document`."""
        return any(
            system == target
            and not rule.subject
            and rule.mode == "live"
            and rule.share >= 1
            and field in copied_fields(rule)
            and not matches(rule.skip_when, desired_values(rule, document))
            for _, system, rule in self._rules.get(entity, ())
        )

    def plan(
        self, state: AggregateState, changed: Iterable[ChangedEntity], causes: Mapping[str, int], joined: bool
    ) -> list[NewIntent]:
        """The intents that these changes of one aggregate lead to.

        `causes`: system → newest commit time (µs) of what people changed there. `joined`: entities came from
        another aggregate, so `before` does not show all that is new here.
        """
        intents: list[NewIntent] = []
        for change in changed:
            entity = change.entity
            for named in self._rules.get(entity.entity, ()):
                target, rule = named.target, named.rule
                others = (at for system, at in causes.items() if system != target or rule.also_by_target)
                cause = max(others, default=None)
                restores = bool(rule.values) and self._restores(change, target, rule, causes)
                if restores and cause is None:
                    cause = causes[target]
                is_new_in_target = target not in change.contributions_before and target in contributed_fields(entity)
                is_joined_record = not entity.contributions
                if cause is None and (is_new_in_target or is_joined_record):
                    # The target knows the record only now, or an echo completed a join: older changes of others are
                    # news there.
                    cause = _newest_change(state.members.values() if is_joined_record else [entity], target)
                if cause is None and is_joined_record and _has_written_share(state):
                    cause = _newest_change(state.members.values())
                if cause is None or entity.deleted or entity.merged_into is not None:
                    continue
                intent = _intent_of_rule(named, state, change, cause, joined or is_new_in_target, restores)
                if intent is not None:
                    intents.append(intent)
        return intents

    def _restores(self, change: ChangedEntity, target: str, rule: WritebackRule, causes: Mapping[str, int]) -> bool:
        """Whether people changed something in the target, or decided in the hub, so that the target gets back the
        value that stands.
        """
        entity = change.entity
        fields = self._restored(entity.entity, entity.record)
        if not fields or rule.subject or not (target in causes or PEOPLE in causes):
            return False
        now = contributed_fields(entity).get(target, {})
        before = change.contributions_before.get(target, {})
        return any(
            now.get(field) is not None
            and entity.record.get(field) is not None
            and now[field] != entity.record[field]
            and (PEOPLE in causes or now[field] != before.get(field))
            for field in copied_fields(rule)
            if field in fields
        )


def _intent_of_rule(
    named: NamedRule, state: AggregateState, change: ChangedEntity, cause: int, joined: bool, restores: bool
) -> NewIntent | None:
    name, target, rule = named
    entity = change.entity
    subject = entity.record.get(rule.subject) if rule.subject else entity.id
    if not subject:
        return None
    if rule.becomes:
        if not matches(rule.becomes, entity.record) or matches(rule.becomes, change.before or {}):
            return None
        # What ended counts into the key: won again, the deal gives a new order, and a replay the same key.
        ended = _ended_results(rule, state)
        if ended is None:
            return None
        key = f"{name}:{entity.id}" + (f":{ended + 1}" if ended else "")
    else:
        if not _should_write(target, rule, state, change, subject, joined, restores):
            return None
        key = f"{name}:{entity.id}:{entity.revision}"
    return NewIntent(
        key=sys.intern(key),
        rule=name,
        target=target,
        entity=entity.entity,
        entity_id=entity.id,
        aggregate_id=state.id,
        subject_id=subject,
        customer_id=entity.id if entity.entity == "customer" else entity.record.get("customer_id"),
        version=entity.version,
        cause_us=cause,
        supersedes=not rule.becomes,
        restores=restores,
        fields=[] if rule.becomes else copied_fields(rule),
    )


def _should_write(
    target: str,
    rule: WritebackRule,
    state: AggregateState,
    change: ChangedEntity,
    subject: str,
    joined: bool,
    restores: bool,
) -> bool:
    """Whether a rule with `values` has news for its subject in the target."""
    entity = change.entity
    if rule.subject and (change.before or {}).get(rule.subject) != subject:
        joined = True  # Another subject, or the first one: all values are news to it, whoever named it.
    wanted = desired_values(rule, entity_document(entity))
    if matches(rule.skip_when, wanted):
        return False
    written = entity if subject == entity.id else state.members.get(subject)
    if written is not None and written.contributions and target not in contributed_fields(written):
        return False  # The target has no such record. Once it has, older changes are looked at again.
    before = (
        None
        if change.before is None
        else desired_values(rule, build_document(change.before, change.contributions_before))
    )
    if restores:
        return True
    if before == wanted:
        return joined and _target_differs(wanted, written, target)
    if entity.contributions and written is None:
        return True  # The subject lives in another aggregate: what the target has of it is seen at delivery.
    return change.before is not None or _target_differs(wanted, written, target)


def _ended_results(rule: WritebackRule, state: AggregateState) -> int | None:
    """How many entities of `unless` existed and are cancelled or deleted now; None while one of them is live."""
    ended = 0
    for entity in state.members.values():
        if entity.entity in rule.unless:
            if is_live(entity):
                return None
            ended += entity.version > 0 and entity.merged_into is None
    return ended


def _has_written_share(state: AggregateState) -> bool:
    """Whether write-back entered another document of which this flow has a share, such as the purchase that its order
    needs: no rule comes `after` that for this flow, so it is news to every target.
    """
    return any(
        contribution.echo and contribution.system == HUB
        for entity in state.members.values()
        for contribution in entity.contributions.values()
    )


def _newest_change(entities: Iterable[EntityState], target: str | None = None) -> int | None:
    """Newest commit time (µs) of what people changed of these entities in systems other than the target."""
    times = (
        contribution.source_us
        for entity in entities
        for contribution in entity.contributions.values()
        if contribution.live and contribution.system != target
    )
    return max(times, default=None)


def _target_differs(wanted: Fields, subject: EntityState | None, target: str) -> bool:
    """Whether the target, as far as the hub knows, has other values than the rule wants."""
    if subject is None:
        return False
    for contribution in subject.contributions.values():
        if contribution.system == target and not contribution.deleted:
            return any(field_value(contribution.fields or {}, field) != value for field, value in wanted.items())
    return False


NO_RULES = IntentPlanner({})
