"""The pages of systems: what is healthy, pause and resume, snapshots, and what a new system needs."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streams.console.handling import ask, back, do, read_form, wanted_of
from streams.console.operations.systems import (
    RuleList,
    WantedCheck,
    WantedNothing,
    WantedPause,
    WantedScope,
    WantedSnapshot,
    WantedSystem,
    WantedTable,
    cancel_snapshot,
    check_system,
    list_findings,
    list_rules,
    list_systems,
    pause_capture,
    pause_writeback,
    read_table_again,
    resume_capture,
    resume_writeback,
    show_system,
)
from streams.console.render import page, text_of
from streams.errors import EnvironmentFault, OpshubError
from streams.monitor.new_system import NewSystem
from streams.monitor.servers import server_status
from streams.monitor.table_status import SystemStatus, TableStatus
from streams.stack.native import ServerStatus

SERVERS_WITHIN_S = 0.5


def systems(request: Request) -> Response:
    """All sources, worst first."""
    wanted = WantedNothing()
    try:
        listed = ask(request, list_systems, wanted)
    except EnvironmentFault as error:
        return page(request, "systems_away.html", calls=[(list_systems, wanted)], error=error, servers=servers(request))
    rules, rules_error = _rules(request)
    calls = [(list_systems, wanted), (list_rules, wanted)]
    return page(
        request, "systems.html", calls=calls, listed=listed, worst=worst_tables(listed.systems), rules=rules,
        rules_error=rules_error, slots=worst_slots(listed.systems),
    )  # fmt: skip


def servers(request: Request) -> list[ServerStatus]:
    """The servers of this installation; none while they take too long to say."""
    place = request.app.state.place
    known = place.server_answers.ask({"servers": lambda: server_status(place.settings)}, within=SERVERS_WITHIN_S)
    return list(known["servers"].value or [])


def worst_tables(statuses: list[SystemStatus]) -> list[TableStatus]:
    """The tables of all systems that are not healthy, the worst first; without those that are only paused."""
    order = {"bad": 0, "warn": 1}
    tables = [table for status in statuses for table in status.tables if table.state in order]
    return sorted(tables, key=lambda table: (order[table.state], table.system, table.table))


def worst_slots(statuses: list[SystemStatus]) -> list[SystemStatus]:
    """The sources with a slot, those with the least left first."""
    with_slot = [status for status in statuses if status.slot is not None]
    return sorted(with_slot, key=lambda status: status.slot.left_share if status.slot else 1.0)


def system(request: Request) -> Response:
    """One source with its tables."""
    wanted = wanted_of(request, WantedSystem)
    status = ask(request, show_system, wanted)
    listed = ask(request, list_systems, WantedNothing())
    queues = [queue for queue in listed.paused if queue.scope.partition("/")[0] == wanted.name]
    snapshots = [snapshot for snapshot in listed.snapshots if snapshot.system == wanted.name]
    rules, rules_error = _rules(request)
    mine = [rule for rule in rules.rules if rule.target == wanted.name] if rules else []
    return page(
        request, "system.html", calls=[(show_system, wanted)], source=status, queues=queues, snapshots=snapshots,
        rules=mine, rules_error=rules_error,
    )  # fmt: skip


def findings(request: Request) -> Response:
    """What `opshub doctor` finds: the page at once, the list when every server was asked."""
    return page(request, "findings.html", calls=[(list_findings, WantedNothing())])


def list_of_findings(request: Request) -> Response:
    """The list of that page."""
    return page(request, "findings_list.html", findings=ask(request, list_findings, WantedNothing()).findings)


async def pause(request: Request) -> Response:
    """Pause a source or a table."""
    wanted = await read_form(request, WantedPause)
    queue = await do(request, pause_capture, wanted)
    _ = text_of(request)
    done = _("{scope} is paused. {sentence}", scope=wanted.scope, sentence=queue.sentence)
    return back(request, _page_of(wanted.scope), done=done)


async def resume(request: Request) -> Response:
    """Resume a source or a table."""
    wanted = await read_form(request, WantedScope)
    await do(request, resume_capture, wanted)
    _ = text_of(request)
    return back(request, _page_of(wanted.scope), done=_("{scope} is resumed", scope=wanted.scope))


async def pause_deliveries(request: Request) -> Response:
    """Pause deliveries by a rule or to a system."""
    wanted = await read_form(request, WantedPause)
    await do(request, pause_writeback, wanted)
    _ = text_of(request)
    done = _("{scope} is paused: intents are kept", scope=wanted.scope)
    return back(request, f"{_page_of(wanted.scope)}#rules", done=done)


async def resume_deliveries(request: Request) -> Response:
    """Resume deliveries."""
    wanted = await read_form(request, WantedScope)
    await do(request, resume_writeback, wanted)
    _ = text_of(request)
    done = _("{scope} is resumed", scope=wanted.scope)
    return back(request, f"{_page_of(wanted.scope)}#rules", done=done)


async def read_again(request: Request) -> Response:
    """Read the rows of a table again."""
    wanted = await read_form(request, WantedTable)
    reading = await do(request, read_table_again, wanted)
    _ = text_of(request)
    done = _(
        "{rows} rows of {table} are read again", rows=sum(reading.rows.values()), table=wanted.table
    )  # fmt: skip
    return back(request, f"/systems/{wanted.system}#snapshots", done=done)


async def cancel(request: Request) -> Response:
    """End a snapshot."""
    wanted = await read_form(request, WantedSnapshot)
    ended = await do(request, cancel_snapshot, wanted)
    _ = text_of(request)
    done = _("the snapshot of {table} ends", table=ended.table_name)
    return back(request, f"/systems/{ended.system}#snapshots", done=done)


def new(request: Request) -> Response:
    """The form of a new system."""
    return _new(request, WantedCheck("", ""), None, None)


async def check(request: Request) -> Response:
    """What a database needs before it becomes a system. The password is not in the answer."""
    error: OpshubError | None = None
    report: NewSystem | None = None
    wanted = WantedCheck("", "")
    try:
        wanted = await read_form(request, WantedCheck)
        report = await do(request, check_system, wanted)
    except OpshubError as raised:
        if not wanted.name:
            raise  # the form itself was refused
        error = raised
    return _new(request, wanted, report, error)


def _new(request: Request, wanted: WantedCheck, report: NewSystem | None, error: OpshubError | None) -> Response:
    shown = msgspec.structs.replace(wanted, password="", dsn="" if _has_secret(wanted.dsn) else wanted.dsn)
    calls = [(check_system, shown)] if wanted.name else []
    status = 422 if error else 200
    return page(request, "new_system.html", calls=calls, status=status, wanted=shown, report=report, error=error)


def _has_secret(dsn: str) -> bool:
    """Whether an address may hold a password: then the page does not repeat it."""
    rest = dsn.partition("://")[2]
    return "password" in dsn or ":" in rest.rpartition("@")[0]


def _rules(request: Request) -> tuple[RuleList | None, OpshubError | None]:
    try:
        return ask(request, list_rules, WantedNothing()), None
    except OpshubError as error:
        return None, error


def _page_of(scope: str) -> str:
    return f"/systems/{scope.partition('/')[0]}"


ROUTES = [
    Route("/systems", systems),
    Route("/systems/new", new),
    Route("/systems/new", check, methods=["POST"]),
    Route("/systems/findings", findings),
    Route("/systems/findings/list", list_of_findings),
    Route("/systems/pause", pause, methods=["POST"]),
    Route("/systems/resume", resume, methods=["POST"]),
    Route("/systems/deliveries/pause", pause_deliveries, methods=["POST"]),
    Route("/systems/deliveries/resume", resume_deliveries, methods=["POST"]),
    Route("/systems/read-again", read_again, methods=["POST"]),
    Route("/systems/snapshots/{id}/cancel", cancel, methods=["POST"]),
    Route("/systems/{name}", system),
]
