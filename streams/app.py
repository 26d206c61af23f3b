"""The wiring: settings → a Faust app with its agents, steps, hub connections and health page."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from mode.utils.logging import get_logger

from streams.agents import add_assemble, add_ingest
from streams.decode.envelope import Decoder
from streams.emit.change_codec import decode_change, encode_change
from streams.emit.conflict_codec import conflict_maker
from streams.emit.schema_registry import register_all
from streams.emit.wire import output_maker
from streams.errors import BadRecord, ConfigError, EnvironmentFault, OpshubError
from streams.flow.invariants import InvariantLimits
from streams.hub.accounts import MappingNote
from streams.hub.store import HubStore
from streams.kafka.clients import idempotent_producer
from streams.maintenance.periodic import tend
from streams.mapping.row_errors import LookupMissing
from streams.model.change import Mapped, Position, RowChange
from streams.model.state import Conflict
from streams.monitor.watcher import Watch
from streams.paths import connectors_dir
from streams.pipeline.assemble import Assemble
from streams.pipeline.ingest import Ingest
from streams.pipeline.invariant_checks import Checking
from streams.pipeline.refreshes import Refreshing
from streams.pipeline.sums import Summing
from streams.provision.systems import System, capture_dsn, load_systems
from streams.provision.topics import change_topics
from streams.resolve.ownership import load_ownership
from streams.runtime.code_tables import CodeTables
from streams.runtime.fault_points import fault_point
from streams.runtime.faust_app import LaneApp
from streams.runtime.health import Health, Slowest, serve_waiting
from streams.runtime.thread_loop import run_apart
from streams.settings import Settings
from streams.stack.environment import load_env, resolve_placeholders
from streams.writeback.deliver import Deliverer
from streams.writeback.http import HttpAdapter
from streams.writeback.load import load_rules
from streams.writeback.planner import IntentPlanner
from streams.writeback.rules import HttpTarget, SqlTarget
from streams.writeback.sql import SqlAdapter
from streams.writeback.work import Adapter

logger = get_logger(__name__)

STUCK_LEAVES_WITHIN = 3.0
"""Seconds that a stuck worker may take to leave before it just ends."""

MAX_TOLD = 200
"""Characters of a note's reason and key."""

ROLES = ("ingest", "assemble", "deliver")


def readable(text: str) -> str:
    """A text that Postgres takes, and that fits a line."""
    return text[:MAX_TOLD].replace("\0", "\\0")


class SystemRoute:
    """decode and map for the topics of one system."""

    def __init__(self, system: System, bootstrap: str = "") -> None:
        dictionary: Any = system.dictionary
        self.decoder = Decoder(
            dictionary,
            prefix=system.source["config"]["topic.prefix"],
            on_drift=lambda drift: logger.warning("%s", drift),
        )
        self.decode = self.decoder.decode
        self._tables = system.dictionary.tables
        self._topics = system.topics
        self._dictionary = system.dictionary
        self.notes = system.dictionary.notes
        looked_into = [topic for topic, name in self._topics.items() if name in system.dictionary.lookup_tables]
        self._codes = CodeTables(bootstrap, looked_into, self._learn) if looked_into else None
        self._read_codes = False
        self._begins = True
        self._learned = 0

    def contributes(self, topic: str) -> tuple[str, list[str], list[str]]:
        """(system, entities that the table of this topic makes, those that it gives and other tables make too)."""
        name = self._topics[topic]
        own = self._tables[name]
        others = {entity for other, table in self._tables.items() if other != name for entity in table.own_entities}
        return self.decoder.system, list(own.own_entities), [entity for entity in own.entities if entity in others]

    def mapping_notes(self, change: RowChange) -> list[MappingNote]:
        """What the dictionary changed or forgave in this row: with its key, without any value of it."""
        key = self._tables[change.table].readable_key(change.key, change.after or change.before)
        return [
            MappingNote(self.decoder.system, table, field, kind, readable(reason), readable(key))
            for table, field, kind, reason, _ in self.notes.take()
        ]

    def at_epoch(self, epoch: int) -> None:
        """The records that come next are of this epoch of the source."""
        self.decoder.epoch = epoch

    def begin(self) -> None:
        """Rows of another batch come: whoever wrote one may have written just before what it looks up."""
        self._begins = True

    def map(self, change: RowChange) -> list[Mapped]:
        """What the row says. Raises MappingError, or RetryLater while the tables that it looks into cannot be read."""
        table = self._tables[change.table]
        if self._codes is None or not table.uses_lookups:
            return table.map_change(change)
        if not self._read_codes:
            self._codes.catch_up()
            self._read_codes = True
        self._codes.follow(at_once=self._begins)
        self._begins = False
        try:
            return table.map_change(change)
        except LookupMissing:
            self._codes.follow(at_once=True)  # the row that is looked for may have come just now
            return table.map_change(change)

    def _learn(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Take in one record of a table that is looked into; one that says nothing of use is only told of."""
        try:
            change = self.decoder.decode(topic, key, value)
            if change is not None and change.op != "t":
                # Each partition is read in order and once: what comes later is newer, whatever epoch it is of.
                self._learned += 1
                self._dictionary.update_lookups(msgspec.structs.replace(change, position=Position(0, self._learned, 0)))
        except BadRecord as error:
            logger.warning("%s: not looked into: %s", topic, error)


def build_app(settings: Settings, *, roles: tuple[str, ...] = ROLES) -> tuple[LaneApp, Health]:
    """A worker's Faust app. Raises ConfigError or EnvironmentFault when it can not start."""
    app = LaneApp(settings)
    schema_ids = register_all(settings.registry)
    counts: dict[str, Counter[str]] = {}
    latencies: list[int] = []
    notes: Counter[tuple[str, str, str, str]] = Counter()
    slowest: Slowest = lambda _: (0, "")  # noqa: E731
    if "ingest" in roles:
        routes: dict[str, Any] = {}
        for system in load_systems(settings):
            route = SystemRoute(system, settings.kafka)
            routes |= dict.fromkeys(route.decoder.topics, route)
        ingest = Ingest(routes, encode_change)
        add_ingest(app, ingest, HubStore(settings.hub, f"opshub-ingest-{settings.worker_name}"), list(routes))
        counts["ingest"] = ingest.counts
        notes = ingest.notes
    if "assemble" in roles:
        store = HubStore(settings.hub, f"opshub-assemble-{settings.worker_name}")
        ownership = load_ownership(connectors_dir(settings) / "ownership.yaml")
        rules = load_rules(connectors_dir(settings), settings.systems)
        planner = IntentPlanner(rules, ownership.restored)
        for entity, owned in ownership.entities.items():
            planner.check_restored(entity, [name for name, rule in owned.fields.items() if rule.restores])
        conflict_message = conflict_maker(schema_ids)
        assemble = Assemble(
            store,
            decode_change,
            encode_change,
            output_maker(schema_ids),
            ownership,
            settings.cache_entities,
            conflict_message,
            planner,
            frozenset(system for system, told in rules.items() if isinstance(told.target, HttpTarget)),
        )
        add_assemble(app, assemble, change_topics())
        counts["assemble"] = assemble.counts
        app.beside += _beside_assemble(settings, assemble, conflict_message)
        latencies = assemble.latencies
        slowest = assemble.take_slowest
    if "deliver" in roles:
        app.deliverer = build_deliverer(settings)
        counts["deliver"] = app.deliverer.counts
    return app, Health(app, counts, latencies, slowest, notes, deliverer=app.deliverer)


def _beside_assemble(
    settings: Settings,
    assemble: Assemble,
    conflict_message: Callable[[Conflict, int], tuple[str, bytes, bytes]],
) -> list[Any]:
    """What looks at flows that came to rest, what tells aggregates later that something they refer to was linked, and what sums."""
    name = settings.worker_name
    producer = idempotent_producer(settings.kafka)
    policy = InvariantLimits(
        settings.invoice_policy, int(settings.order_within_seconds * 1_000_000), settings.header_charge_percent
    )
    looking = HubStore(settings.hub, f"opshub-invariants-{name}")
    return [
        Checking(looking, assemble, policy, conflict_message, producer),
        Refreshing(HubStore(settings.hub, f"opshub-refresh-{name}"), producer, encode_change),
        Summing(HubStore(settings.hub, f"opshub-sums-{name}"), producer, encode_change),
    ]


def build_deliverer(settings: Settings) -> Deliverer:
    """What serves the intents of every system that has a writeback.yaml. Raises ConfigError for one that is wrong."""
    env = load_env(settings)
    rules = load_rules(
        connectors_dir(settings), settings.systems, lambda text, path: resolve_placeholders(text, env, path)
    )
    name = settings.worker_name
    adapters: dict[str, Adapter] = {
        system: SqlAdapter(told.target, name, fault=fault_point)
        if isinstance(told.target, SqlTarget)
        else HttpAdapter(told.target, fault=fault_point)
        for system, told in rules.items()
    }
    return Deliverer(settings.hub, f"{name}-{os.getpid()}", rules, adapters)


def run_worker(settings: Settings, *, roles: tuple[str, ...] = ROLES) -> None:
    """Run one worker until SIGTERM or SIGINT; a batch in flight is finished first. Exits 1 when the worker can not go on."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    for chatty in ("faust", "mode", "aiohttp", "httpx", "streams.runtime.faust_app"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    asyncio.run(_leave_in_time(settings, roles))


async def _leave_in_time(settings: Settings, roles: tuple[str, ...]) -> None:
    """Run, and leave within a bounded time when that ends: a task of Faust's that lets no cancellation through would hold the process
    for ever, with its page still answering, so that no supervisor would start it again.
    """
    try:
        await _run(settings, roles)
    except Exception as error:
        logger.error("worker %s leaves: %s", settings.worker_name, error)
        raise
    finally:
        asyncio.get_running_loop().call_later(STUCK_LEAVES_WITHIN, os._exit, EnvironmentFault.exit_code)


def _end(name: str, crash: BaseException) -> None:
    """Leave without whatever does not let go; who supervises goes by the exit code."""
    logger.error("worker %s ends: %s", name, crash)
    os._exit(getattr(crash, "exit_code", EnvironmentFault.exit_code))


def _watch(settings: Settings, stopped: dict[str, str]) -> Watch:
    """What watches the sources whose addresses are known here."""
    env = load_env(settings)
    systems = load_systems(settings)
    dsns: dict[str, str] = {}
    for system in systems:
        if system.dictionary.kind == "postgres":
            try:
                dsns[system.name] = capture_dsn(system, env)
            except ConfigError as unknown:
                logger.warning("%s is not watched from here: %s", system.name, unknown)
    return Watch(settings, systems, dsns, stopped)


async def _registry_answers(settings: Settings, stopping: asyncio.Event) -> bool:
    """Wait for the registry, and say so where health is asked for; False when told to stop meanwhile."""
    runner: web.AppRunner | None = None
    pause = 0.5
    try:
        while not stopping.is_set():
            try:
                await asyncio.get_running_loop().run_in_executor(None, register_all, settings.registry)
                return True
            except EnvironmentFault as away:
                logger.warning("the worker waits: %s", away)
                if runner is None:
                    runner = await serve_waiting(settings, f"waits to start: {away}")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await stopping.wait()
                pause = min(pause * 2, 10.0)
        return False
    finally:
        if runner is not None:
            await runner.cleanup()


def calm_collector() -> None:
    """Let the cycle collector look at new objects every 50,000, not every 700: a batch makes many that live until its end, none of them in
    a cycle, and looking at them took a quarter of the CPU. What was built at the start is never looked at again.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


async def _run(settings: Settings, roles: tuple[str, ...]) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if not await _registry_answers(settings, stopping):
        return
    app, health = build_app(settings, roles=roles)
    calm_collector()
    app.loop = loop
    runner = await health.serve(settings.host, settings.metrics_port)
    port = runner.addresses[0][1]
    note = settings.state_dir / "run" / f"worker-{settings.worker_name}.port"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"pid": os.getpid(), "port": port}), encoding="utf-8")
    await app.start()
    logger.warning(
        "worker %s is up: %s; http://%s:%s/stats", settings.worker_name, ", ".join(app.lanes), settings.host, port
    )
    crashed = asyncio.ensure_future(app.wait_until_stopped())
    delivering: asyncio.Future[None] | None = None
    if app.deliverer is not None:
        # In a thread: a delivery is many questions and answers, and each would wait until a batch of assemble is settled.
        delivering = asyncio.ensure_future(run_apart(app.deliverer.run, "deliver"))
    asked = asyncio.ensure_future(stopping.wait())
    tending = asyncio.ensure_future(tend(settings)) if "ingest" in roles else None
    beside = [asyncio.ensure_future(one.run()) for one in app.beside]
    watching = None
    if "ingest" in roles:
        watch = _watch(settings, app.stopped)
        health.firing = lambda: watch.firing
        watching = asyncio.ensure_future(watch.run())
    stuck = asyncio.ensure_future(health.until_stuck())
    awaited = {one for one in (crashed, asked, stuck, delivering, tending, *beside) if one is not None}
    await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    crash = app.crash_reason
    for aside in (tending, *beside):
        if aside is not None:
            if aside.done() and not aside.cancelled():
                crash = crash or aside.exception()
            aside.cancel()
    if watching is not None:
        watching.cancel()
    if stuck.done():
        logger.error("worker %s leaves, to be started again: %s", settings.worker_name, stuck.result())
        crash = crash or EnvironmentFault(stuck.result(), remedy="the supervisor starts this worker again; see its log")
    stuck.cancel()
    if delivering is not None and delivering.done() and not delivering.cancelled():
        crash = crash or delivering.exception()
    if crash is not None:
        # What is stuck may not let go, nor may a lane beside the one that crashed, in a call that never comes back.
        loop.call_later(STUCK_LEAVES_WITHIN, _end, settings.worker_name, crash)
    if delivering is not None:
        delivering.cancel()
        await asyncio.gather(delivering, return_exceptions=True)
    await app.stop()
    asked.cancel()
    crashed.cancel()
    await runner.cleanup()
    Path(note).unlink(missing_ok=True)
    if crash is not None:
        if isinstance(crash, OpshubError):
            raise crash
        raise RuntimeError(f"the worker can not go on: {crash!r}") from crash
