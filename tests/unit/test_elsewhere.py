"""Where the servers run decides what a person reads: `opshub up` is a remedy for the native stack only."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.errors import ConfigError, ServerAway
from streams.monitor.preflight import judge_replicas
from streams.monitor.servers import server_status
from streams.settings import Settings
from streams.stack.environment import remedy_here, servers_are_elsewhere, write_environment

NOBODY = {
    "hub_dsn": "postgresql://opshub:secret@127.0.0.1:1/opshub",
    "bootstrap_servers": "127.0.0.1:1",
    "registry_url": "http://127.0.0.1:1",
    "connect_url": "http://127.0.0.1:1",
}


def settings(folder: Path, **values: object) -> Settings:
    return Settings(_env_file=None, state_dir=folder, **values)  # type: ignore[call-arg, arg-type]


def test_addresses_of_the_native_stack_are_ours(tmp_path: Path) -> None:
    assert not servers_are_elsewhere(settings(tmp_path))
    written = write_environment(settings(tmp_path))
    assert not servers_are_elsewhere(settings(tmp_path, hub_dsn=written["OPSHUB_HUB_DSN"]))
    assert servers_are_elsewhere(settings(tmp_path, connect_url="http://connect:8083"))


def test_up_is_a_remedy_for_our_own_servers_only(tmp_path: Path) -> None:
    away = ServerAway("the hub does not answer", remedy="check OPSHUB_HUB_DSN")
    assert remedy_here(away, settings(tmp_path)) == "check OPSHUB_HUB_DSN; `opshub up` starts the native stack"
    assert remedy_here(away, settings(tmp_path, **NOBODY)) == "check OPSHUB_HUB_DSN"
    assert remedy_here(ConfigError("x", remedy="correct it"), settings(tmp_path)) == "correct it"


def test_servers_elsewhere_are_shown_with_their_address_and_no_secret(tmp_path: Path) -> None:
    servers = {server.name: server for server in server_status(settings(tmp_path, **NOBODY))}
    assert servers.keys() == {"hub", "kafka", "connect", "registry"}
    assert servers["hub"].address == "127.0.0.1:1/opshub"
    assert not any(server.healthy or server.pid or "secret" in server.address for server in servers.values())


@pytest.mark.parametrize(
    ("brokers", "replicas", "found"), [(1, {"a": 1}, False), (3, {"a": 3, "b": 1}, True), (3, {"a": 2}, False)]
)
def test_topic_with_one_replica_on_several_brokers_is_a_finding(
    brokers: int, replicas: dict[str, int], found: bool
) -> None:
    findings = judge_replicas(brokers, replicas)
    assert bool(findings) is found
    assert all(finding.code == "replication-one" and "b" in finding.where for finding in findings)
