"""Conflicts in the inbox: by cause, side by side, decided by people."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from streams.console.masking import is_masked, mask_value, masked
from streams.console.operation import Context, Scope, operation
from streams.console.operations.inbox import Filtered, whose_of
from streams.console.people import Person
from streams.console.place import Hub
from streams.console.problems import NotFound
from streams.dictionary.typed_values import readable_value
from streams.errors import ConfigError
from streams.hub import inbox
from streams.hub.conflicts import LoggedConflict, conflicts_by_id
from streams.hub.inbox import Care, ConflictCause, OpenFlow, Reference
from streams.hub.record_names import record_names
from streams.identity import conflict_inbox
from streams.inbox import conflict_decisions, progress, write_back
from streams.inbox.conflict_decisions import Choice, seen_token
from streams.inbox.progress import Progress
from streams.inbox.write_back import FollowUp

Which = Literal["open", "standing", "decided"]
PAIRS = ("match_key", "reference")
"""Kinds of conflicts that are about two records."""


class WantedConflicts(Filtered, frozen=True, kw_only=True):
    """Which conflicts; `which`: open waits for people, standing also those that a rule settled, decided by people."""

    which: Which = "open"
    entity: str | None = None
    conflict_kind: str | None = None


class ListedCause(msgspec.Struct, frozen=True):
    """Conflicts of one cause, with the newest of them."""

    cause: ConflictCause
    latest: ShownConflict | None


class ConflictCauses(msgspec.Struct, frozen=True):
    causes: list[ListedCause]


class WantedEach(WantedConflicts, frozen=True, kw_only=True):
    """Each conflict by itself, the newest first."""

    group: str | None = None
    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """What one system says. `stands`: its value is the golden one now."""

    system: str
    value: str
    """As people read it; of a record, its name."""
    record: str | None
    """Id, where the value is a record."""
    stands: bool
    position: str | None
    us: int | None
    tx: str | None


class ShownConflict(msgspec.Struct, frozen=True, kw_only=True):
    """A conflict as people read it. `seen`: the token of what is shown."""

    id: str
    kind: str
    outcome: str
    entity: str
    entity_id: str
    name: str
    field: str
    rule: str
    winner: str | None
    turns: int
    seen_at: str
    resolved_at: str | None
    decided_by: str | None
    group: str
    sides: list[Side]
    seen: str
    care: Care | None = None

    @property
    def waits(self) -> bool:
        """Whether a person is asked."""
        return self.outcome in ("open", "flip_flop") and self.resolved_at is None


class ConflictList(msgspec.Struct, frozen=True):
    """A page of conflicts. `after` gives the next page; null: this is the last one."""

    conflicts: list[ShownConflict]
    after: str | None


class WantedConflict(msgspec.Struct, frozen=True):
    """A conflict by its id, or the first letters of it."""

    id: str


class ConflictDetails(msgspec.Struct, frozen=True, kw_only=True):
    """A conflict with what follows from it."""

    conflict: ShownConflict
    progress: Progress | None
    """How far the last decision is."""
    written_to: list[FollowUp]
    """Which rules write this field, and where to."""
    references: list[Reference]
    flows: list[OpenFlow]
    otherwise: str
    """What settles it, where no value does."""


class ConflictDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What a person decides: one of system, value, release, keep_separate, keep_merged. `seen`: the token of what the
    person saw.
    """

    id: str
    system: str | None = None
    """Let this system's value stand."""
    value: Annotated[str, msgspec.Meta(max_length=20_000)] | None = None
    """Let this value stand, as people write it."""
    release: bool = False
    keep_separate: bool = False
    keep_merged: bool = False
    reason: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    seen: str | None = None


class Sent(msgspec.Struct, frozen=True):
    """What was decided, in a sentence, and how far it is."""

    text: str
    progress: Progress | None


def conflict_places(hub: Hub, wanted: msgspec.Struct) -> list[Scope]:
    """Where a conflict works, for rights by entity."""
    conflicts = conflicts_by_id(hub, [str(wanted.id).lower()])  # type: ignore[attr-defined]
    return [Scope(None, conflict.entity) for conflict in conflicts[:1]]


@operation("GET", "/inbox/conflicts", permission="see", command="opshub conflicts list")
def list_conflict_causes(context: Context, wanted: WantedConflicts) -> ConflictCauses:
    """List conflicts by their cause: what waits for people first, then the newest."""
    with context.place.hub() as hub:
        causes = inbox.conflict_causes(
            hub, whose_of(context, wanted), which=wanted.which, entity=wanted.entity, kind=wanted.conflict_kind
        )[:200]
        latest = conflicts_by_id(hub, [cause.latest for cause in causes])
        shown = {c.id: c for c in shown_conflicts(hub, latest, context.person)}
    return ConflictCauses([ListedCause(cause, shown.get(cause.latest)) for cause in causes])


@operation(
    "GET", "/inbox/conflicts/each", permission="see",
    command=lambda w: f"opshub conflicts list --group {w.group}" if w.group else "opshub conflicts list --each",
)  # fmt: skip
def list_each_conflict(context: Context, wanted: WantedEach) -> ConflictList:
    """List conflicts, the newest first; of one group or all."""
    with context.place.hub() as hub:
        conflicts = inbox.conflicts_for_people(
            hub, whose_of(context, wanted), which=wanted.which, entity=wanted.entity, kind=wanted.conflict_kind,
            group_id=wanted.group, after=wanted.after, limit=wanted.limit,
        )  # fmt: skip
        shown = shown_conflicts(hub, conflicts, context.person)
    return ConflictList(shown, shown[-1].id if len(shown) == wanted.limit else None)


@operation("GET", "/inbox/conflicts/{id}", permission="see", command=lambda w: f"opshub conflicts show {w.id}")
def show_conflict(context: Context, wanted: WantedConflict) -> ConflictDetails:
    """Show a conflict: what each system says, since when, what stands and why, and what follows from a decision."""
    with context.place.hub() as hub:
        try:
            conflict = conflict_inbox.get(hub, wanted.id)
        except ConfigError as error:
            raise NotFound(str(error), remedy=error.remedy) from error
        (shown,) = shown_conflicts(hub, [conflict], context.person)
        ids = [conflict.entity_id]
        return ConflictDetails(
            conflict=shown,
            progress=progress.follow(hub, "conflict", conflict.id),
            written_to=write_back.written_to(context.place.settings, conflict.entity, conflict.field),
            references=inbox.references_to(hub, ids),
            flows=inbox.open_flows(hub, ids),
            otherwise=conflict_decisions.OTHERWISE.get(conflict.kind, ""),
        )


@operation(
    "POST", "/inbox/conflicts/{id}", permission="decide", scope=conflict_places, keeps_result=False,
    command=lambda w: _command(w),
)  # fmt: skip
def decide_conflict(context: Context, wanted: ConflictDecision) -> Sent:
    """Decide a conflict. The value stands until the decision is taken back. A second decision is refused (409)."""
    choice = Choice(
        system=wanted.system, value=wanted.value, release=wanted.release, keep_separate=wanted.keep_separate,
        keep_merged=wanted.keep_merged,
    )  # fmt: skip
    settings = context.place.settings
    with context.place.hub() as hub:
        decided = conflict_decisions.decide(
            settings, hub, wanted.id, choice, who=context.person.name, reason=wanted.reason.strip(), seen=wanted.seen
        )
        return Sent(decided.text, progress.follow(hub, "conflict", decided.conflict.id))


def shown_conflicts(hub: Hub, conflicts: list[LoggedConflict], person: Person) -> list[ShownConflict]:
    """Conflicts as people read them: values in readable form, records by name, personal data masked."""
    values = [v["value"] for c in conflicts for v in c.values.values()]
    names = record_names(hub, [*values, *(c.entity_id for c in conflicts if c.kind in PAIRS)])
    cares = inbox.care_of(hub, "conflict", [conflict.id for conflict in conflicts])
    shown = []
    for conflict in conflicts:
        sides = []
        for system, asserted in conflict.values.items():
            value = asserted["value"]
            if conflict.kind in PAIRS and system != "holder":
                value = conflict.entity_id  # the claimant's side is its key in its system
            is_record = isinstance(value, str) and value in names
            sides.append(
                Side(
                    system=system,
                    value=names[value].text if is_record else _value(conflict, value, person),  # type: ignore[index]
                    record=value if is_record else None,  # type: ignore[arg-type]
                    stands=system == conflict.winner, position=asserted.get("position"), us=asserted.get("us"),
                    tx=asserted.get("tx"),
                )
            )  # fmt: skip
        shown.append(
            ShownConflict(
                id=conflict.id, kind=conflict.kind, outcome=conflict.outcome, entity=conflict.entity,
                entity_id=conflict.entity_id, name=conflict_decisions.name_of(conflict), field=conflict.field,
                rule=conflict.rule, winner=conflict.winner, turns=conflict.turns, seen_at=conflict.seen_at,
                resolved_at=conflict.resolved_at, decided_by=conflict.decided_by, group=conflict.group_id, sides=sides,
                seen=seen_token(conflict), care=cares.get(conflict.id),
            )
        )  # fmt: skip
    return shown


def _value(conflict: LoggedConflict, value: Any, person: Person) -> str:
    if isinstance(value, list) and conflict.kind == "shared_key":
        return f"{len(value)} records"
    if is_masked(conflict.entity, conflict.field, person):
        return str(masked(mask_value(value, conflict.entity, conflict.field, person)))
    return readable_value(conflict.entity, conflict.field, value)


def _command(wanted: ConflictDecision) -> str:
    flags = [
        f"--{name.replace('_', '-')}" for name in ("release", "keep_separate", "keep_merged") if getattr(wanted, name)
    ]
    flags += [f"--{name} '{value}'" for name in ("system", "value", "reason") if (value := getattr(wanted, name))]
    return " ".join(["opshub conflicts resolve", wanted.id, *flags])
