"""The wiring of a worker: settings → agents, background jobs, deliverer, watcher and health page, and their life
together.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from mode.utils.logging import get_logger

from streams.agents.assemble import add_assemble, build_assemble, build_jobs
from streams.agents.deliver import build_deliverer
from streams.agents.ingest import add_ingest, build_ingest, follow_column_types, follow_pauses
from streams.agents.own_name import require_own_name
from streams.agents.report import reachable_host, report_periodically
from streams.agents.sources import Sources
from streams.capture.followed_rows import run_followed_rows
from streams.capture.pauses import paused_topics
from streams.emit.schema_registry import register_all
from streams.errors import ConfigError, EnvironmentFault
from streams.hub.intents import Intent
from streams.hub.migrate import require_same_version
from streams.hub.store import HubStore
from streams.maintenance.periodic import run_maintenance
from streams.monitor.thresholds import stuck_limits
from streams.monitor.watcher import Watcher
from streams.provision.column_types import types_version, with_types
from streams.provision.systems import System, capture_dsn, load_systems
from streams.provision.topics import change_topics
from streams.runtime.faust_adapter import LaneApp
from streams.runtime.health import Health
from streams.runtime.health_page import announced_page
from streams.runtime.logs import set_up_logs
from streams.runtime.metrics import NoteKey, SlotFigures, Slowest, WorkerMetrics
from streams.runtime.startup import calm_collector, stop_on_signals, wait_for_server
from streams.runtime.supervisor import WorkerTask, leave_in_time, run_until_stopped
from streams.runtime.thread_loop import run_in_thread_loop
from streams.runtime.timings import Timings
from streams.runtime.traces import Traces, traces_of
from streams.runtime.worker_state import WorkerState
from streams.settings import Settings
from streams.stack.environment import load_env

logger = get_logger(__name__)

ROLES = ("ingest", "assemble", "deliver", "sources")


@dataclass
class Worker:
    """The parts of one worker, built and not started."""

    app: LaneApp
    state: WorkerState
    metrics: WorkerMetrics
    tasks: list[WorkerTask] = field(default_factory=list)


def build_worker(settings: Settings, roles: tuple[str, ...] = ROLES) -> Worker:
    """Raises ConfigError or EnvironmentFault when the worker can not start."""
    app = LaneApp(settings)
    state = WorkerState(settings.worker, app.lanes)
    schema_ids = register_all(settings.registry)
    counts: dict[str, Counter[str]] = {}
    latencies: list[int] = []
    notes: Counter[NoteKey] = Counter()
    stages: dict[str, Timings] = {}
    traces = traces_of(settings)
    slowest: Slowest = lambda _: (0, "")  # noqa: E731
    tasks: list[WorkerTask] = []
    watcher: Watcher | None = None
    if "ingest" in roles:
        systems, types = with_types(settings, load_systems(settings))
        ingest, raw_topics = build_ingest(settings, systems)
        add_ingest(app, state, ingest, HubStore(settings.hub, f"opshub-ingest-{settings.worker}"), raw_topics, traces)
        # Before the lane reads: a worker that starts keeps the pauses.
        app.lanes["ingest"].pause_topics(paused_topics(settings, systems))
        counts["ingest"] = ingest.counts
        stages["capture"] = ingest.captured
        notes = ingest.notes
        watcher = build_watcher(settings, state.stopped_systems)
        # Any worker may do both, and a lock in the hub lets one watch at a time: no worker is special.
        tasks += [
            WorkerTask("maintenance", partial(run_maintenance, settings, stuck_limits(settings))),
            WorkerTask("watcher", watcher.run),
            WorkerTask("followed rows", partial(run_followed_rows, settings, systems, _addresses(settings, systems))),
            WorkerTask("pauses", partial(follow_pauses, settings, systems, app.lanes["ingest"])),
            WorkerTask("column types", partial(follow_column_types, settings, systems, types, ingest)),
        ]
    if "assemble" in roles:
        assemble = build_assemble(settings, schema_ids)
        add_assemble(app, state, assemble, change_topics(), traces)
        counts["assemble"] = assemble.counts
        latencies, slowest = assemble.latencies, assemble.take_slowest
        tasks += [WorkerTask(job.name, job.run) for job in build_jobs(settings, assemble, schema_ids)]
    if "deliver" in roles:
        deliverer = build_deliverer(settings)
        state.deliverer = deliverer
        counts["deliver"] = deliverer.counts
        stages["write_back"] = Timings()
        deliverer.on_written = partial(_written, stages["write_back"], traces)
        # In a thread: a delivery is many requests and answers, and each would wait until a batch of assemble is
        # settled.
        run_deliverer = partial(run_in_thread_loop, deliverer.run, "deliver")
        tasks.append(WorkerTask("deliver", run_deliverer, finishes_first=True))
    if "sources" in roles:
        sources = Sources(settings, load_systems(settings))
        state.sources = sources
        counts["sources"] = sources.counts
        # In a thread, as deliver: each read is many requests and answers.
        tasks.append(WorkerTask("sources", partial(run_in_thread_loop, sources.run, "sources")))
    metrics = WorkerMetrics(state, counts, latencies, slowest, notes, stages)
    if watcher is not None:
        metrics.active_alerts = lambda: watcher.firing
        metrics.slots = lambda: slots_of(watcher)
    return Worker(app, state, metrics, tasks)


def _written(timings: Timings, traces: Traces | None, intent: Intent, now: float) -> None:
    """Measure a delivery. What waited for people says nothing about us."""
    if not intent.decisions:
        timings.observe(now - intent.cause_us / 1e6)
    if traces is not None and intent.trace is not None:
        traces.written(intent.trace, intent.id, intent.rule, intent.target, intent.cause_us, int(now * 1e6))


def slots_of(watcher: Watcher) -> dict[str, SlotFigures]:
    """System → what its slot holds back and may still hold back, and the age of its heartbeat."""
    return {
        system: SlotFigures(slot.kept_bytes, slot.left_bytes, slot.heartbeat_age_s)
        for system, slot in watcher.slots.items()
    }


def build_watcher(settings: Settings, stopped_systems: dict[str, str]) -> Watcher:
    """The watcher of the sources whose addresses are known to this worker."""
    systems = load_systems(settings)
    return Watcher(settings, systems, _addresses(settings, systems), stopped_systems)


def _addresses(settings: Settings, systems: list[System]) -> dict[str, str]:
    """System → the address of its database, for those whose addresses this worker knows."""
    env = load_env(settings)
    dsns: dict[str, str] = {}
    for system in systems:
        if system.has_database:
            try:
                dsns[system.name] = capture_dsn(system, env)
            except ConfigError as unknown:
                logger.warning("%s is not watched from here: %s", system.name, unknown)
    return dsns


def run_worker(settings: Settings, *, roles: tuple[str, ...] = ROLES) -> None:
    """Run one worker until SIGTERM or SIGINT; a batch in flight is finished first. Raises the error that ended it."""
    set_up_logs(settings, settings.worker)
    asyncio.run(leave_in_time(settings.worker, _live(settings, roles)))


async def _live(settings: Settings, roles: tuple[str, ...]) -> None:
    stopping = stop_on_signals()
    host, port, name = settings.metrics_address, settings.metrics_port, settings.worker
    # The registry first: schema ids are part of what a worker is built with.
    if not await wait_for_server(partial(register_all, settings.registry), stopping, host, port):
        return
    # Then the hub, and its tables: `opshub apply` of this version may still be at work on them.
    if not await wait_for_server(partial(require_same_version, settings.hub), stopping, host, port):
        return
    reached = reachable_host(settings.metrics_address)
    if not await wait_for_server(partial(require_own_name, settings.hub, name, reached), stopping, host, port):
        return
    # It knows the types of the columns, which ingest's dictionaries are compiled with.
    if "ingest" in roles and not await wait_for_server(partial(types_version, settings), stopping, host, port):
        return
    worker = build_worker(settings, roles)
    app, health = worker.app, Health(worker.state)
    calm_collector()  # after the building: what is built lives as long as the worker
    app.loop = asyncio.get_running_loop()
    port_file = settings.state_dir / "run" / f"worker-{name}.port"
    async with announced_page(health, worker.metrics, host, port, port_file) as listens_on:
        await app.start()
        logger.warning("worker %s is up: %s; http://%s:%s/stats", name, ", ".join(app.lanes), host, listens_on)
        tasks = [
            WorkerTask("lanes", partial(_lanes, app)),
            WorkerTask("health", partial(_stuck, health)),
            WorkerTask(
                "report", partial(report_periodically, settings, worker.state, worker.metrics, roles, listens_on)
            ),
            *worker.tasks,
        ]
        await run_until_stopped(name, tasks, stopping, app.stop)


async def _lanes(app: LaneApp) -> None:
    """Ends when a lane crashed, with its error."""
    await app.wait_until_stopped()
    if app.crash_reason is not None:
        raise app.crash_reason


async def _stuck(health: Health) -> None:
    """Ends when this worker is alive and makes no progress: a new process does."""
    problem = await health.until_stuck()
    raise EnvironmentFault(problem, remedy="the supervisor starts this worker again; see its log")
