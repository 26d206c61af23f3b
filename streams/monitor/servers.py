"""Servers that somebody else runs: whether they answer at the addresses that the settings give.

In: settings. Out: a `ServerStatus` for each, without a process id. The native stack reports its own (`NativeStack`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
from confluent_kafka import KafkaException
from psycopg import pq

from streams.errors import OpshubError
from streams.kafka.clients import admin_client
from streams.provision import connectors
from streams.settings import Settings
from streams.stack.environment import servers_are_elsewhere
from streams.stack.native import NativeStack, ServerStatus
from streams.stack.server import answers

TIMEOUT_S = 3


def server_status(settings: Settings) -> list[ServerStatus]:
    """The servers of this installation, wherever they run. A server that is not ours is never shown as stopped."""
    if not servers_are_elsewhere(settings):
        return NativeStack(settings).status()
    checks: list[tuple[str, str, Callable[[Settings], bool]]] = [
        ("hub", _hub_address(settings), _hub_answers),
        ("kafka", settings.kafka, _kafka_answers),
        ("connect", settings.connect, _connect_answers),
        ("registry", settings.registry, lambda of: answers(f"{of.registry}/subjects", TIMEOUT_S)),
    ]
    with ThreadPoolExecutor(len(checks)) as pool:
        healthy = pool.map(lambda check: check[2](settings), checks)
        return [
            ServerStatus(name, None, 0, is_healthy, address)
            for (name, address, _), is_healthy in zip(checks, healthy, strict=True)
        ]


def _hub_address(settings: Settings) -> str:
    """Host, port and database: the rest of the connection string may be secret."""
    hub = psycopg.conninfo.conninfo_to_dict(settings.hub)
    return f"{hub.get('host', '')}:{hub.get('port', 5432)}/{hub.get('dbname', '')}"


def _hub_answers(settings: Settings) -> bool:
    limited = psycopg.conninfo.make_conninfo(settings.hub, connect_timeout=TIMEOUT_S)
    return pq.PGconn.ping(limited.encode()) == pq.Ping.OK


def _kafka_answers(settings: Settings) -> bool:
    # Held in a name: librdkafka crashes when an answer comes for a client that was freed.
    admin = admin_client(settings.kafka)
    try:
        admin.list_topics(timeout=TIMEOUT_S)
    except KafkaException:
        return False
    return True


def _connect_answers(settings: Settings) -> bool:
    try:
        connectors.require_ready(settings)
    except OpshubError:
        return False
    return True
