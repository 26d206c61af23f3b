"""Preflight of `opshub doctor`: can capture and pipeline run, and run correctly?

In: settings, systems, and a role for each of them. Out: findings with a code and a remedy, the severe ones first.
Nothing is changed. What is checked in a source database is in `streams/monitor/source_preflight.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import psycopg
from confluent_kafka import KafkaException

from streams.capture.accounting import account_summary
from streams.capture.finding import Finding
from streams.capture.guard import check_capture
from streams.errors import EnvironmentFault, OpshubError
from streams.hub.migrate import pending
from streams.kafka.clients import admin_client
from streams.monitor.disk import check_disk
from streams.monitor.feeds import feed_findings
from streams.monitor.hub_guard import check_hub_is_complete, check_workers_read
from streams.monitor.source_preflight import check_source
from streams.provision import connectors
from streams.provision.systems import System, database_dsns, load_systems
from streams.provision.topics import missing_topics, wanted_topics
from streams.settings import Settings
from streams.stack.environment import load_env, remedy_here, servers_are_elsewhere

TIMEOUT_S = 5


def check_installation(settings: Settings) -> list[Finding]:
    """As `check_everything`, for the systems of the settings and their roles. Raises ConfigError for a wrong file."""
    systems, env = load_systems(settings), load_env(settings)
    return check_everything(settings, systems, database_dsns(systems, env))


def check_everything(settings: Settings, systems: list[System], dsns: dict[str, str]) -> list[Finding]:
    """Everything that can be seen to be wrong. `dsns`: system → its database, with the role that captures it."""
    findings = _check_servers(settings, systems) + check_disk(settings)
    codes = {finding.code for finding in findings}
    if "kafka-away" not in codes:
        findings += check_workers_read(settings)
    if not codes & {"hub-away", "hub-behind"}:
        findings += check_hub_is_complete(settings) + _check_account(settings)
    if not codes & {"hub-away", "hub-behind"}:
        findings += feed_findings(settings, systems)
    for system in systems:
        if not system.has_database:
            continue
        findings += check_source(system, dsns[system.name])
        if "connect-away" not in codes:
            findings += _check_connector(settings, system)
        if "hub-away" not in codes:
            try:
                capture = check_capture(settings, system, dsns[system.name])
                # Each of its parts is a finding of `check_source` already.
                findings += [finding for finding in capture if finding.code != "table-changed"]
            except psycopg.errors.UndefinedTable:
                pass  # pending migrations of the hub are a finding of their own
    # The same finding may come from two checks (a database that does not answer).
    return sorted(dict.fromkeys(findings), key=lambda finding: not finding.severe)


def exit_code(findings: list[Finding]) -> int:
    """0 without a severe finding, 2 when a file that a person wrote is wrong, 3 when the environment is."""
    severe = [finding for finding in findings if finding.severe]
    if not severe:
        return 0
    return 2 if any(finding.side == "input" for finding in severe) else 3


def _check_servers(settings: Settings, systems: list[System]) -> list[Finding]:
    return (
        _check_kafka(settings, systems)
        + _check_http("registry-away", settings, settings.registry, "/subjects", "OPSHUB_REGISTRY_URL")
        + _check_http("connect-away", settings, settings.connect, "/connectors", "OPSHUB_CONNECT_URL")
        + _check_hub(settings)
    )


def _check_kafka(settings: Settings, systems: list[System]) -> list[Finding]:
    try:
        # Held in a name: librdkafka crashes when an answer comes for a client that was freed.
        admin = admin_client(settings.kafka)
        cluster = admin.list_topics(timeout=TIMEOUT_S)
        topics = missing_topics(settings, systems)
    except (KafkaException, EnvironmentFault) as error:
        what, remedy = f"no broker answers: {error}", _start(settings, "the brokers", "OPSHUB_BOOTSTRAP_SERVERS")
        return [Finding("kafka-away", settings.kafka, what, remedy)]
    replicas = {
        topic: min((len(partition.replicas) for partition in cluster.topics[topic].partitions.values()), default=0)
        for topic in wanted_topics(systems)
        if topic in cluster.topics
    }
    return [
        Finding("topic-missing", topic, "the topic does not exist", "`opshub apply` creates it") for topic in topics
    ] + judge_replicas(len(cluster.brokers), replicas)


def judge_replicas(brokers: int, replicas: Mapping[str, int]) -> list[Finding]:
    """A finding when there are several brokers, and topics that are lost with one of them. `replicas`: by topic."""
    single = sorted(topic for topic, count in replicas.items() if count == 1)
    if brokers < 2 or not single:
        return []
    what = f"{len(single)} topics have one replica, on a cluster of {brokers} brokers: one that fails takes them along"
    remedy = (
        "kafka-reassign-partitions.sh gives them more; OPSHUB_REPLICATION_FACTOR, or the brokers' "
        "default.replication.factor, is for new topics"
    )
    return [Finding("replication-one", f"{single[0]}, …" if len(single) > 1 else single[0], what, remedy, severe=False)]


def _start(settings: Settings, server: str, variable: str) -> str:
    """The remedy for a server that is away."""
    remedy = f"start {server}, or check {variable}"
    return remedy if servers_are_elsewhere(settings) else f"`opshub up`; or {remedy}"


def _check_http(code: str, settings: Settings, url: str, path: str, variable: str) -> list[Finding]:
    try:
        httpx.get(url + path, timeout=TIMEOUT_S).raise_for_status()
    except httpx.HTTPError as error:
        return [Finding(code, url, f"does not answer: {error}", _start(settings, "it", variable))]
    return []


def _check_connector(settings: Settings, system: System) -> list[Finding]:
    """A finding when Connect runs a connector with other options than those of source.json, which were checked."""
    try:
        action = connectors.differs(settings, system)
    except EnvironmentFault as error:
        return [Finding("connect-away", system.connector_name, str(error), remedy_here(error, settings))]
    if action != "update":
        return []  # one that is not registered is a finding of `check_capture`
    what = "Kafka Connect runs it with other options than source.json has"
    return [Finding("connector-differs", system.connector_name, what, "`opshub plan`, then `opshub apply`")]


def _check_hub(settings: Settings) -> list[Finding]:
    try:
        migrations = pending(settings.hub)
    except OpshubError as error:
        return [Finding("hub-away", "hub", str(error), remedy_here(error, settings))]
    what = "the hub's tables are of an older version of opshub"
    return [Finding("hub-behind", name, what, "`opshub apply` migrates them") for name in migrations]


def _check_account(settings: Settings) -> list[Finding]:
    account = account_summary(settings)
    findings = []
    if account.parked_keys:
        what = f"{account.open['dead']:,} records failed, and {account.open['parked']:,} are parked behind them"
        findings.append(Finding("dead-letters", "hub", what, "`opshub dlq list` says why", severe=False))
    if not account.balances:
        what = "the raw records that were read, what became of them and what the hub holds do not balance"
        findings.append(Finding("accounts", "hub", what, "`opshub verify` lists the differences"))
    return findings
