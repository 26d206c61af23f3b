"""Preflight of `opshub doctor`: can capture and pipeline run, and run correctly?

In: settings, systems, and a role for each of them. Out: findings with a code and a remedy, the severe ones first.
Nothing is changed. What is checked in a source database is in `streams/monitor/source_preflight.py`.
"""

from __future__ import annotations

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
from streams.monitor.hub_guard import check_hub_is_complete, check_workers_read
from streams.monitor.source_preflight import check_source
from streams.provision import connectors
from streams.provision.systems import System, capture_dsn, load_systems
from streams.provision.topics import missing_topics
from streams.settings import Settings
from streams.stack.environment import load_env

TIMEOUT_S = 5


def check_installation(settings: Settings) -> list[Finding]:
    """As `check_everything`, for the systems of the settings and their roles. Raises ConfigError for a wrong file."""
    systems, env = load_systems(settings), load_env(settings)
    return check_everything(settings, systems, {system.name: capture_dsn(system, env) for system in systems})


def check_everything(settings: Settings, systems: list[System], dsns: dict[str, str]) -> list[Finding]:
    """Everything that can be seen to be wrong. `dsns`: system → its database, with the role that captures it."""
    findings = _check_servers(settings, systems) + check_disk(settings)
    codes = {finding.code for finding in findings}
    if "kafka-away" not in codes:
        findings += check_workers_read(settings)
    if not codes & {"hub-away", "hub-behind"}:
        findings += check_hub_is_complete(settings) + _check_account(settings)
    for system in systems:
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
        + _check_http("registry-away", settings.registry, "/subjects")
        + _check_http("connect-away", settings.connect, "/connectors")
        + _check_hub(settings)
    )


def _check_kafka(settings: Settings, systems: list[System]) -> list[Finding]:
    try:
        # Held in a name: librdkafka crashes when an answer comes for a client that was freed.
        admin = admin_client(settings.kafka)
        admin.list_topics(timeout=TIMEOUT_S)
        topics = missing_topics(settings, systems)
    except (KafkaException, EnvironmentFault) as error:
        what, remedy = f"no broker answers: {error}", "`opshub up`, or check OPSHUB_BOOTSTRAP_SERVERS"
        return [Finding("kafka-away", settings.kafka, what, remedy)]
    return [
        Finding("topic-missing", topic, "the topic does not exist", "`opshub apply` creates it") for topic in topics
    ]


def _check_http(code: str, url: str, path: str) -> list[Finding]:
    try:
        httpx.get(url + path, timeout=TIMEOUT_S).raise_for_status()
    except httpx.HTTPError as error:
        return [Finding(code, url, f"does not answer: {error}", "`opshub up`, or check its address in the settings")]
    return []


def _check_connector(settings: Settings, system: System) -> list[Finding]:
    """A finding when Connect runs a connector with other options than those of source.json, which were checked."""
    try:
        action = connectors.differs(settings, system)
    except EnvironmentFault as error:
        return [Finding("connect-away", system.connector_name, str(error), error.remedy)]
    if action != "update":
        return []  # one that is not registered is a finding of `check_capture`
    what = "Kafka Connect runs it with other options than source.json has"
    return [Finding("connector-differs", system.connector_name, what, "`opshub plan`, then `opshub apply`")]


def _check_hub(settings: Settings) -> list[Finding]:
    try:
        migrations = pending(settings.hub)
    except OpshubError as error:
        return [Finding("hub-away", "hub", str(error), error.remedy)]
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
