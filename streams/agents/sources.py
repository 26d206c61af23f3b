"""The readers of systems without a database, the receiver of webhooks, and the schedules of captured tables."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from functools import partial

import uvicorn
from mode.utils.logging import get_logger

from streams.provision.systems import System
from streams.settings import Settings
from streams.sources.batches import Batches
from streams.sources.feeds import load_feeds
from streams.sources.reader import SystemReader, hub_connection
from streams.sources.sender import Sender
from streams.sources.webhooks import Webhooks

logger = get_logger(__name__)

BIND_AGAIN_S = 5.0
"""Another worker of this machine may receive; when it ends, this one takes its place."""
MOST_AT_ONCE = 50


class Sources:
    """All that a worker does for systems without a database. Raises ConfigError for a source.yaml that is wrong."""

    def __init__(self, settings: Settings, systems: list[System]) -> None:
        self._settings = settings
        self.counts: Counter[str] = Counter()
        # With the process id: the lease of a worker that was killed must not count as that of its successor.
        holder = f"{settings.worker}-{socket.gethostname()}-{os.getpid()}"
        feeds = load_feeds(settings, systems)
        sender = Sender(settings.hub, settings.kafka)
        self._feeds = {feed.name: feed for feed in feeds}
        self._readers = {
            feed.name: SystemReader(feed, settings.hub, holder, sender, self.counts) for feed in feeds
        }  # fmt: skip
        self._webhooks = Webhooks(self._feeds, partial(hub_connection, settings.hub), sender, self._wake)
        self._webhooks.counts = self.counts
        self._batches = Batches(settings, systems, holder)

    @property
    def waiting(self) -> dict[str, str]:
        """System → the server that its reader waits for, while it does."""
        return {name: reader.waiting for name, reader in self._readers.items() if reader.waiting is not None}

    def _wake(self, system: str) -> None:
        self._readers[system].wake.set()

    async def run(self) -> None:
        """Read and receive until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for reader in self._readers.values():
                tasks.create_task(reader.run())
            tasks.create_task(self._batches.run())
            if any(feed.source.receiver is not None for feed in self._feeds.values()):
                tasks.create_task(self._receive())

    async def _receive(self) -> None:
        host, port = self._settings.webhook_host or self._settings.host, self._settings.webhook_port
        while True:
            listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listening.bind((host, port))
            except OSError as error:
                listening.close()
                logger.info("webhooks are not received here: %s:%s: %s", host, port, error.strerror)
                await asyncio.sleep(BIND_AGAIN_S)
                continue
            logger.warning("webhooks are received at http://%s:%s/webhooks/<system>", host, port)
            config = uvicorn.Config(
                self._webhooks.app(), log_config=None, access_log=False, lifespan="off",
                limit_concurrency=MOST_AT_ONCE, timeout_keep_alive=5, server_header=False,
            )  # fmt: skip
            await uvicorn.Server(config).serve(sockets=[listening])
            return
