"""Whether the servers answer that `opshub apply` works on, and waiting until they do: in containers all start at once.

In: settings and systems. Out: nothing, or the error of the first server that does not answer in time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import httpx
import psycopg
from confluent_kafka import KafkaException

from streams.errors import ServerAway
from streams.hub.session import hub_session
from streams.kafka.clients import admin_client, kafka_away
from streams.mariadb_session import is_binlog_address, open_mariadb
from streams.postgres_login import login_fault
from streams.provision import connectors
from streams.provision.systems import System, capture_dsn
from streams.provision.waiting import wait_for
from streams.settings import Settings

TIMEOUT_S = 5.0


def wait_for_servers(
    settings: Settings, systems: Sequence[System], env: dict[str, str], seconds: float, report: Callable[[str], object]
) -> None:
    """Return once hub, Kafka, registry, Connect and the systems' databases answer. Raises ServerAway after `seconds`
    (0: each is tried once), AccessDenied at once for a login that is refused.
    """
    checks: dict[str, Callable[[], object]] = {
        "the hub": partial(_reach_hub, settings),
        "Kafka": partial(_reach_kafka, settings),
        "the schema registry": partial(_reach_registry, settings),
        "Kafka Connect": partial(connectors.require_ready, settings),
    }
    for system in systems:
        if system.has_database:
            name = f"the database of {system.name}"
            checks[name] = partial(_reach_source, name, system, env)
    wait_for(checks, seconds, report)


def _reach_hub(settings: Settings) -> None:
    with hub_session(settings.hub):
        pass


def _reach_kafka(settings: Settings) -> None:
    # Held in a name: librdkafka crashes when an answer comes for a client that was freed.
    admin = admin_client(settings.kafka)
    try:
        admin.list_topics(timeout=TIMEOUT_S)
    except KafkaException as error:
        raise kafka_away(settings.kafka, error) from error


def _reach_registry(settings: Settings) -> None:
    try:
        httpx.get(f"{settings.registry}/subjects", timeout=TIMEOUT_S).raise_for_status()
    except httpx.HTTPError as error:
        raise ServerAway(
            f"the schema registry does not answer at {settings.registry}: {error}",
            remedy="check that it runs, and OPSHUB_REGISTRY_URL",
        ) from error


def _reach_source(name: str, system: System, env: dict[str, str]) -> None:
    dsn = capture_dsn(system, env)
    if is_binlog_address(dsn):
        try:
            open_mariadb(dsn, timeout_s=TIMEOUT_S).connection.close()
        except psycopg.Error as error:
            remedy = (
                f"check that it runs, its address and login: the variables that {system.folder / 'source.json'} names"
            )
            raise ServerAway(f"{name} does not answer: {error}", remedy=remedy) from error
        return
    try:
        psycopg.connect(dsn, connect_timeout=int(TIMEOUT_S)).close()
    except psycopg.OperationalError as error:
        variables = f"the variables that {system.folder / 'source.json'} names"
        raise login_fault(dsn, error, name, variables=variables) from error
