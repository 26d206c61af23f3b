"""Systems: the state of each table and source, pause and resume, snapshots of tables, what a new system needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec

from streams.capture import pauses, snapshot_progress
from streams.capture.epoch import begin_whole
from streams.capture.finding import Finding
from streams.capture.pauses import PauseQueue
from streams.capture.snapshot_progress import SnapshotProgress
from streams.console.installed import installed_rules, installed_systems
from streams.console.operation import Context, Scope, operation
from streams.console.place import Hub, Place
from streams.console.problems import NotFound
from streams.console.server_answers import ServerAnswer
from streams.hub.intent_review import TargetAway, resume_scope, targets_away
from streams.hub.systems import TableSnapshot, table_snapshots
from streams.monitor.new_system import NewSystem, check_new_system
from streams.monitor.preflight import check_installation
from streams.monitor.status import WorkerRow, workers
from streams.monitor.table_status import WORST_FIRST, SystemStatus, systems_status
from streams.provision.systems import System, capture_dsn, database_dsns
from streams.settings import Settings
from streams.stack.environment import load_env
from streams.verify.read_again import ReadAgain, read_again
from streams.writeback.rule_states import RuleState, pause_rule, rule_states

ANSWERS_WITHIN_S = 1.5
"""What Kafka, Connect and each database are given: a page is to be there within two seconds."""
WHOLE = 600.0
"""Seconds that a snapshot of a whole system is given before what it did not bring is deleted."""


class WantedNothing(msgspec.Struct, frozen=True):
    """No parameters."""


class WantedSystem(msgspec.Struct, frozen=True):
    """A system by its name."""

    name: str


class WantedScope(msgspec.Struct, frozen=True):
    """A system, or one table of it as <system>/<schema.table>; of write-back one rule as <system>/<rule>."""

    scope: str


class WantedPause(msgspec.Struct, frozen=True):
    """What to pause, and why."""

    scope: str
    reason: str = ""


class WantedTable(msgspec.Struct, frozen=True):
    """A table to read again; `where`: an SQL condition on its rows."""

    system: str
    table: str
    where: str | None = None
    reason: str = ""


class WantedSnapshot(msgspec.Struct, frozen=True):
    """A snapshot by its number."""

    id: int


class WantedWhole(msgspec.Struct, frozen=True):
    """A system to capture again as a whole."""

    name: str
    reason: str = ""


class WantedCheck(msgspec.Struct, frozen=True):
    """A database that may become a system. `dsn` and `password` are used for the check alone: they are kept nowhere."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    dsn: str
    password: str = ""
    schemas: list[str] | None = None
    tables: list[str] | None = None


class SystemList(msgspec.Struct, frozen=True):
    """All systems, worst first; what is paused; tables that are read again; workers. `late`: which of these parts were
    not known in time, and are those of before; `age_s`: the seconds since the oldest part came.
    """

    systems: list[SystemStatus]
    paused: list[PauseQueue]
    snapshots: list[SnapshotProgress]
    workers: list[WorkerRow]
    age_s: float
    late: list[str]


class RuleList(msgspec.Struct, frozen=True):
    """Write-back rules with their intents, and targets that do not answer."""

    rules: list[RuleState]
    away: list[TargetAway]


class Findings(msgspec.Struct, frozen=True):
    """Everything that can be seen to be wrong, the severe first."""

    findings: list[Finding]


class Resumed(msgspec.Struct, frozen=True):
    """Whether it was paused."""

    was_paused: bool


class Begun(msgspec.Struct, frozen=True):
    """The number of the new epoch."""

    epoch: int


class Snapshots(msgspec.Struct, frozen=True):
    """Tables that are read again, and those of the last week, the newest first."""

    snapshots: list[SnapshotProgress]


def _scope_of(hub: Hub, wanted: WantedScope | WantedPause) -> Iterable[Scope]:
    return [Scope(system=wanted.scope.partition("/")[0])]


def _name_of(hub: Hub, wanted: WantedWhole) -> Iterable[Scope]:
    return [Scope(system=wanted.name)]


def _system_of_snapshot(hub: Hub, wanted: WantedSnapshot) -> Iterable[Scope]:
    listed = table_snapshots(hub)
    return [Scope(system=snapshot.system) for snapshot in listed if snapshot.id == wanted.id]


@operation("GET", "/systems", permission="see", command="opshub systems list")
def list_systems(context: Context, wanted: WantedNothing) -> SystemList:
    """Show each source with its tables, worst first, what is paused, which tables are read again, and the workers.

    Servers are asked side by side, at most every three seconds, and none is waited for longer than two.
    """
    answers = _answers(context.place)
    late = [name for name, answer in answers.items() if answer.is_late]
    parts = {name: answer.value or [] for name, answer in answers.items()}
    systems = answers["systems"].needed()
    for answer in answers.values():
        if answer.problem is not None and not answer.is_late:
            raise answer.problem
    age = max(answer.age_s for answer in answers.values())
    return SystemList(systems, parts["paused"], parts["snapshots"], parts["workers"], age, late)


@operation("GET", "/systems/findings", permission="see", command="opshub doctor")
def list_findings(context: Context, wanted: WantedNothing) -> Findings:
    """Check databases, Kafka, registry, Connect and rights, and list everything that is wrong. Takes seconds."""
    return Findings(check_installation(context.place.settings))


@operation("GET", "/systems/{name}", permission="see", command="opshub systems list")
def show_system(context: Context, wanted: WantedSystem) -> SystemStatus:
    """Show one source: its connector, its slot, and each of its tables."""
    name = _system(context.place.settings, wanted.name).name
    systems: list[SystemStatus] = _answers(context.place)["systems"].needed()
    return next(status for status in systems if status.name == name)


@operation("POST", "/systems/pause", permission="operate", scope=_scope_of, command=lambda w: _pause_command(w))
def pause_capture(context: Context, wanted: WantedPause) -> PauseQueue:
    """Stop reading a source or a table. Its changes wait in their order, and nothing is lost."""
    settings = context.place.settings
    with context.place.hub() as hub:
        pauses.pause(settings, hub, wanted.scope, who=context.person.name, reason=wanted.reason)
        context.place.server_answers.forget()
        queues = pauses.queues(settings, hub, installed_systems(settings))
        return next(queue for queue in queues if queue.scope == wanted.scope)


@operation(
    "POST", "/systems/resume", permission="operate", scope=_scope_of,
    command=lambda w: f"opshub systems resume {w.scope}",
)  # fmt: skip
def resume_capture(context: Context, wanted: WantedScope) -> Resumed:
    """Read on where the pause began."""
    with context.place.hub() as hub:
        was_paused = pauses.resume(context.place.settings, hub, wanted.scope)
    context.place.server_answers.forget()
    return Resumed(was_paused)


@operation("GET", "/snapshots", permission="see", command="opshub systems snapshots")
def list_snapshots(context: Context, wanted: WantedNothing) -> Snapshots:
    """Show the tables that are read again: how far that is, and how long it will take."""
    settings = context.place.settings
    with context.place.hub() as hub:
        return Snapshots(snapshot_progress.snapshot_progress(settings, hub, installed_systems(settings)))


@operation("POST", "/snapshots", permission="operate", command=lambda w: _table_command(w))
def read_table_again(context: Context, wanted: WantedTable) -> ReadAgain:
    """Read the rows of a table once more while capture goes on. Records that no row makes any more leave the hub."""
    settings = context.place.settings
    system = _system(settings, wanted.system)
    dsn = capture_dsn(system, load_env(settings))
    with context.place.hub() as hub:
        pauses.refuse_paused(hub, system.name)
    where = (wanted.where or "").strip() or None
    reading = read_again(settings, system, dsn, [wanted.table], where, who=context.person.name)
    context.place.server_answers.forget()
    return reading


@operation(
    "POST", "/snapshots/{id}/cancel", permission="operate", scope=_system_of_snapshot,
    command=lambda w: f"opshub systems cancel {w.id}",
)  # fmt: skip
def cancel_snapshot(context: Context, wanted: WantedSnapshot) -> TableSnapshot:
    """End the snapshot of a table before it is complete; the rows that were read stay."""
    settings = context.place.settings
    systems, env = installed_systems(settings), load_env(settings)
    dsns = database_dsns(systems, env)
    with context.place.hub() as hub:
        ended = snapshot_progress.cancel(hub, systems, dsns, wanted.id)
    context.place.server_answers.forget()
    return ended


@operation(
    "POST", "/systems/{name}/resync", permission="administer", scope=_name_of,
    command=lambda w: f"opshub resync {w.name}",
)  # fmt: skip
def resync_system(context: Context, wanted: WantedWhole) -> Begun:
    """Capture a system again as a whole: a new epoch, a new snapshot; what the source does not have any more goes."""
    settings = context.place.settings
    system = _system(settings, wanted.name)
    begun = Begun(begin_whole(settings, system, sweep_after=WHOLE))
    context.place.server_answers.forget()
    return begun


@operation(
    "POST", "/systems/check", permission="administer", writes=False, secret=("dsn", "password"),
    command=lambda w: f"opshub systems check postgresql://… --system {w.name}",
)  # fmt: skip
def check_system(context: Context, wanted: WantedCheck) -> NewSystem:
    """Check a database before it becomes a system: what is wrong, and the SQL that mends it. Changes nothing."""
    return check_new_system(
        wanted.name, wanted.dsn, password=wanted.password or None, schemas=wanted.schemas, tables=wanted.tables
    )


@operation("GET", "/writeback", permission="see", command="opshub writeback status")
def list_rules(context: Context, wanted: WantedNothing) -> RuleList:
    """Show every write-back rule with its intents by state, what is paused, and targets that do not answer."""
    rules = installed_rules(context.place.settings)
    with context.place.hub() as hub:
        return RuleList(rule_states(hub, rules), targets_away(hub))


@operation(
    "POST", "/writeback/pause", permission="operate", scope=_scope_of,
    command=lambda w: f"opshub writeback pause {w.scope}" + (f" --reason '{w.reason}'" if w.reason else ""),
)  # fmt: skip
def pause_writeback(context: Context, wanted: WantedPause) -> RuleList:
    """Stop deliveries to a system, or by one rule. New intents are kept, and delivered after it is resumed."""
    rules = installed_rules(context.place.settings)
    with context.place.hub() as hub:
        pause_rule(hub, rules, wanted.scope, who=context.person.name, reason=wanted.reason)
        return RuleList(rule_states(hub, rules), targets_away(hub))


@operation(
    "POST", "/writeback/resume", permission="operate", scope=_scope_of,
    command=lambda w: f"opshub writeback resume {w.scope}",
)  # fmt: skip
def resume_writeback(context: Context, wanted: WantedScope) -> Resumed:
    """Start deliveries again, with the intents that were kept meanwhile."""
    with context.place.hub() as hub:
        return Resumed(resume_scope(hub, wanted.scope))


def _answers(place: Place) -> dict[str, ServerAnswer]:
    """What is known of all systems: the parts of a `SystemList` by name."""
    settings = place.settings
    systems = installed_systems(settings)

    def statuses() -> list[SystemStatus]:
        with place.hub() as hub:
            listed = systems_status(settings, hub, systems, within=ANSWERS_WITHIN_S)
        return sorted(listed, key=_worst_of)

    def paused() -> list[PauseQueue]:
        with place.hub() as hub:
            return pauses.queues(settings, hub, systems)

    def snapshots() -> list[SnapshotProgress]:
        with place.hub() as hub:
            return snapshot_progress.snapshot_progress(settings, hub, systems)

    return place.server_answers.ask(
        {"systems": statuses, "paused": paused, "snapshots": snapshots, "workers": lambda: workers(settings)}
    )


def _worst_of(status: SystemStatus) -> int:
    return min(WORST_FIRST.index(state) for state in (status.state, *(table.state for table in status.tables)))


def _system(settings: Settings, name: str) -> System:
    for system in installed_systems(settings):
        if system.name == name:
            return system
    raise NotFound(f"there is no system {name!r}", remedy=f"one of {', '.join(settings.systems)}")


def _pause_command(wanted: WantedPause) -> str:
    return f"opshub systems pause {wanted.scope}" + (f" --reason '{wanted.reason}'" if wanted.reason else "")


def _table_command(wanted: WantedTable) -> str:
    where = f' --where "{wanted.where}"' if wanted.where else ""
    return f"opshub resync {wanted.system} --table {wanted.table}{where}"
