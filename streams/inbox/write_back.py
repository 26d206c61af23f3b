"""Intents as people decide on them: what would be written, before and after, why people are asked, who was faster."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from streams.dictionary.readable import readable
from streams.errors import ConfigError, OpshubError
from streams.hub.identity import entity_by_id
from streams.hub.intent_review import Hub, IntentView, LogEntry
from streams.identity.masters import decode_contributions
from streams.inbox.progress import DecidedBefore
from streams.model.entities import ENTITIES
from streams.paths import connectors_dir
from streams.settings import Settings
from streams.writeback import commands
from streams.writeback.commands import NotWaiting, WouldSend
from streams.writeback.http import HttpAdapter
from streams.writeback.jobs import Adapter
from streams.writeback.load import FILE, load_rules
from streams.writeback.rule_book import RuleBook, rules_of
from streams.writeback.rules import SqlTarget, WritebackConfig, WritebackRule
from streams.writeback.sql import SqlAdapter


class FieldChange(msgspec.Struct, frozen=True):
    """One value of a target, as people read it. `is_known`: whether the hub knows what the target has now."""

    name: str
    before: object
    after: object
    is_known: bool = True

    @property
    def differs(self) -> bool:
        return not self.is_known or self.before != self.after


class TargetChange(msgspec.Struct, frozen=True, kw_only=True):
    """What an intent changes in its target. `is_new`: it adds a record."""

    system: str
    what: str
    is_new: bool
    fields: list[FieldChange]
    lines: list[dict[str, Any]] = []


class FollowUp(msgspec.Struct, frozen=True):
    """What is written to another system once the target did it."""

    rule: str
    target: str
    about: str


class IntentDetails(msgspec.Struct, frozen=True, kw_only=True):
    """One intent with everything that a person needs to decide. `seen`: the token of what is shown here."""

    intent: IntentView
    about: str
    """What its rule does, in a sentence."""
    would_send: WouldSend | None
    changes: list[TargetChange]
    follow_ups: list[FollowUp]
    approved_by: list[str]
    log: list[LogEntry]
    seen: str


def details(settings: Settings, hub: Hub, which: str) -> IntentDetails:
    """Raises ConfigError where there is no such intent."""
    intent = commands.get_intent(hub, which)
    configs = _configs(settings)
    rules, adapters = _rules_and_adapters(configs)
    rule = rules.get(intent.rule)
    sends = None
    if intent.state in (*commands.UNFINISHED, "dead", "expired"):
        try:
            sends = commands.would_send(settings.hub, intent.id, rules, adapters)
        except (OpshubError, KeyError) as error:
            sends = WouldSend(reason=f"what would be sent cannot be shown: {error}")
    request = (sends.request if sends else intent.request) or []
    following = RuleBook(configs).following(intent.rule)
    return IntentDetails(
        intent=intent,
        about=" ".join(rule.about.split()) if rule else "",
        would_send=sends,
        changes=_changes(hub, intent, rule, request) if rule else [],
        follow_ups=[FollowUp(named.name, named.target, " ".join(named.rule.about.split())) for named in following],
        approved_by=approvers_of(intent),
        log=commands.get_log(hub, intent),
        seen=seen_token(intent),
    )


def would_send(settings: Settings, number: int) -> WouldSend:
    """What would be sent for this intent as things are now."""
    return commands.would_send(settings.hub, number, *_rules_and_adapters(_configs(settings)))


def approvers_of(intent: IntentView) -> list[str]:
    """Who approved it for the reasons for which people are asked now."""
    return sorted({d.who for d in intent.decisions if d.what == "approve" and d.reasons == intent.reasons})


def seen_token(intent: IntentView) -> str:
    """What a page sends back: an approval holds for what the person saw."""
    return hashlib.sha256(msgspec.json.encode([intent.reasons, intent.people], order="deterministic")).hexdigest()[:16]


def decide(
    hub: Hub, which: str, what: Literal["approve", "reject"], *, who: str, reason: str = "",
    account: str | None = None, seen: str | None = None,
) -> IntentView:  # fmt: skip
    """Approve or reject; the intent as it is afterwards.

    Raises DecidedBefore where it waits for nobody, where this person approved it, or where it is not what was `seen`;
    ConfigError for a rejection without a reason; SamePerson for a second approval by one account.
    """
    if what == "reject" and not reason.strip():
        raise ConfigError("a rejection needs a reason", remedy="say why: people will ask")
    intent = commands.get_intent(hub, which)
    if intent.state == "waiting" and seen is not None and seen != seen_token(intent):
        raise DecidedBefore(
            f"why people are asked about intent {intent.id} changed while you looked at it", remedy="look at it again"
        )
    if intent.state == "waiting" and what == "approve" and who in approvers_of(intent):
        raise DecidedBefore(
            f"{who} approved intent {intent.id} before: {len(approvers_of(intent))} of {intent.people} people did",
            remedy="somebody else must approve it, too",
        )
    try:
        return commands.decide_intent(hub, which, what, who=who, reason=reason, account=account)
    except NotWaiting as error:
        raise DecidedBefore(faster(commands.get_intent(hub, which)), remedy=error.remedy) from error


def faster(intent: IntentView) -> str:
    """Why an intent waits for nobody, with who decided it."""
    if intent.decisions:
        last = intent.decisions[-1]
        verdict = "approved" if last.what == "approve" else "rejected"
        why = f" ({last.why})" if last.why else ""
        return f"{last.who} was faster, and {verdict} intent {intent.id}{why}; it is {intent.state} now"
    if intent.state == "waiting":
        return f"the time to decide about intent {intent.id} is over"
    return f"intent {intent.id} is {intent.state}: it waits for nobody"


def written_to(settings: Settings, entity: str, field: str) -> list[FollowUp]:
    """The live rules that write this field of an entity, and where to: what a changed value leads to."""
    return [
        FollowUp(named.name, named.target, " ".join(named.rule.about.split()))
        for named in rules_of(_configs(settings))
        if named.rule.mode != "off" and named.rule.subject_entity == entity and field in named.rule.values
    ]


def _changes(hub: Hub, intent: IntentView, rule: WritebackRule, request: list[dict[str, Any]]) -> list[TargetChange]:
    """The request as differences. Values that the hub knows of the target stand as `before`."""
    subject = entity_by_id(hub, intent.subject_id)
    contributions = decode_contributions(subject.contributions).values() if subject else ()
    has = next((c for c in contributions if c.system == intent.target and not c.deleted), None)
    current: Mapping[str, object] = (has.fields if has and has.fields is not None else {}) if has else {}
    changes: list[TargetChange] = []
    for item in request:
        if "update" in item and rule.sql is not None and rule.sql.update is not None:
            fields = {column: field for field, column in rule.sql.update.columns.items()}
            entity = ENTITIES.get(rule.subject_entity)
            rows = [
                FieldChange(
                    fields.get(column, column),
                    _shown(entity, fields.get(column, column), current),
                    value,
                    has is not None,
                )
                for column, value in item["set"].items()
            ]
            what = f"{item['update']} {item.get('key') or ''}".strip()
            changes.append(TargetChange(system=intent.target, what=what, is_new=False, fields=rows))
        elif "params" in item:
            rows = [FieldChange(name, None, value) for name, value in item["params"].items() if value is not None]
            changes.append(
                TargetChange(
                    system=intent.target, what=_steps(request), is_new=True, fields=rows, lines=item.get("lines") or []
                )
            )
        elif "method" in item:
            body = item.get("json", item.get("body"))
            values = body if isinstance(body, dict) else {"body": body} if body is not None else {}
            rows = [FieldChange(str(name), None, value) for name, value in values.items()]
            what = f"{item['method']} {item.get('path', '')}"
            changes.append(TargetChange(system=intent.target, what=what, is_new=item["method"] == "POST", fields=rows))
    return changes


def _steps(request: list[dict[str, Any]]) -> str:
    return ", ".join(str(item["step"]) for item in request if "step" in item)


def _shown(entity: Any, field: str, current: Mapping[str, object]) -> object:
    value = current.get(field)
    kind = entity.fields.get(field) if entity is not None else None
    return readable(kind, value) if kind is not None else value


def _configs(settings: Settings) -> dict[str, WritebackConfig]:
    folder = connectors_dir(settings)
    files = tuple(folder / system / FILE for system in settings.systems)
    stamps = tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files)
    return _load(folder, tuple(settings.systems), stamps)


@lru_cache(maxsize=4)
def _load(folder: Path, systems: tuple[str, ...], stamps: tuple[int, ...]) -> dict[str, WritebackConfig]:
    """`stamps`: when the files were changed, so that a changed file is read again."""
    return load_rules(folder, list(systems))


def _rules_and_adapters(
    configs: Mapping[str, WritebackConfig],
) -> tuple[dict[str, WritebackRule], dict[str, Adapter]]:
    """(rules by <system>/<rule>, adapters by system), to show what would be sent. No adapter is connected."""
    adapters: dict[str, Adapter] = {
        system: SqlAdapter(config.target, "show")
        if isinstance(config.target, SqlTarget)
        else HttpAdapter(config.target)
        for system, config in configs.items()
    }
    return {named.name: named.rule for named in rules_of(configs)}, adapters
