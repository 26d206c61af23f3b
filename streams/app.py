"""The wiring: settings → a Faust app with its agents, steps, hub connections and health page."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from mode.utils.logging import get_logger

from streams.agents import add_assemble, add_ingest
from streams.decode.envelope import Decoder
from streams.emit.change_codec import change_decoder, change_encoder
from streams.emit.registry import register_all
from streams.emit.wire import output_maker
from streams.errors import OpshubError
from streams.hub.store import HubStore
from streams.model.change import Mapped, RowChange
from streams.paths import connectors_dir
from streams.provision.systems import System, load_systems
from streams.provision.topics import change_topics
from streams.resolve.ownership import load_ownership
from streams.runtime.faust_app import LaneApp
from streams.runtime.health import Health, Slowest
from streams.settings import Settings
from streams.walk.assemble import Assemble
from streams.walk.ingest import Ingest

logger = get_logger(__name__)

ROLES = ("ingest", "assemble")


class SystemRoute:
    """decode and map for the topics of one system."""

    def __init__(self, system: System) -> None:
        dictionary: Any = system.dictionary
        self.decoder = Decoder(dictionary, prefix=system.source["config"]["topic.prefix"])
        self.decode = self.decoder.decode
        self._tables = system.dictionary.tables
        self._topics = system.topics

    def contributes(self, topic: str) -> tuple[str, list[str], list[str]]:
        """(system, entities that the table of this topic gives, those of them that other tables give too)."""
        name = self._topics[topic]
        own = list(self._tables[name].entities)
        others = {entity for other, table in self._tables.items() if other != name for entity in table.entities}
        return self.decoder.system, own, [entity for entity in own if entity in others]

    def at_epoch(self, epoch: int) -> None:
        """The records that come next are of this epoch of the source."""
        self.decoder.epoch = epoch

    def map(self, change: RowChange) -> list[Mapped]:
        return self._tables[change.table].map_change(change)


def build_app(settings: Settings, *, roles: tuple[str, ...] = ROLES) -> tuple[LaneApp, Health]:
    """A worker's Faust app. Raises ConfigError or EnvironmentFault when it can not start."""
    app = LaneApp(settings)
    schema_ids = register_all(settings.registry)
    encode_change = change_encoder(schema_ids)
    counts: dict[str, Counter[str]] = {}
    latencies: list[int] = []
    slowest: Slowest = lambda _: (0, "")  # noqa: E731
    if "ingest" in roles:
        routes: dict[str, Any] = {}
        for system in load_systems(settings):
            route = SystemRoute(system)
            routes |= dict.fromkeys(route.decoder.topics, route)
        ingest = Ingest(routes, encode_change)
        add_ingest(app, ingest, HubStore(settings.hub, f"opshub-ingest-{settings.worker_name}"), list(routes))
        counts["ingest"] = ingest.counts
    if "assemble" in roles:
        store = HubStore(settings.hub, f"opshub-assemble-{settings.worker_name}")
        assemble = Assemble(
            store,
            change_decoder(),
            encode_change,
            output_maker(schema_ids),
            load_ownership(connectors_dir(settings) / "ownership.yaml"),
            settings.cache_aggregates,
        )
        add_assemble(app, assemble, change_topics())
        counts["assemble"] = assemble.counts
        latencies = assemble.latencies
        slowest = assemble.take_slowest
    return app, Health(app, counts, latencies, slowest)


def run_worker(settings: Settings, *, roles: tuple[str, ...] = ROLES) -> None:
    """Run one worker until SIGTERM or SIGINT; a batch in flight is finished first. Exits 1 when the worker can not go on."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    for chatty in ("faust", "mode", "aiohttp", "httpx", "streams.runtime.faust_app"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    asyncio.run(_run(settings, roles))


async def _run(settings: Settings, roles: tuple[str, ...]) -> None:
    app, health = build_app(settings, roles=roles)
    loop = asyncio.get_running_loop()
    app.loop = loop
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
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
    asked = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({crashed, asked}, return_when=asyncio.FIRST_COMPLETED)
    crash = app.crash_reason
    await app.stop()
    asked.cancel()
    crashed.cancel()
    await runner.cleanup()
    Path(note).unlink(missing_ok=True)
    if crash is not None:
        if isinstance(crash, OpshubError):
            raise crash
        raise RuntimeError(f"the worker can not go on: {crash!r}") from crash
