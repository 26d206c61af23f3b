"""Registers, stops, resumes and asks about Debezium connectors, through the REST API of Kafka Connect."""

from __future__ import annotations

import re
import time
from functools import cache
from typing import Any

import httpx
import msgspec

from streams.errors import ConfigError, EnvironmentFault, ServerAway
from streams.provision.feed_state import feed_state
from streams.provision.systems import System
from streams.settings import Settings

_certificates = cache(httpx.create_ssl_context)
"""Read once: reading the certificates of all authorities takes longer than an answer of Connect, and the watcher asks
often.
"""


class _Member(msgspec.Struct):
    """A connector or one of its tasks, as Connect reports it."""

    state: str
    trace: str = ""


class _Status(msgspec.Struct):
    connector: _Member
    tasks: list[_Member]


def _call(
    settings: Settings, method: str, path: str, timeout: float = 60.0, json: dict[str, Any] | None = None
) -> httpx.Response:
    """The answer of Connect, once it is not rebalancing; EnvironmentFault when there is none."""
    deadline = time.monotonic() + 60
    while True:
        try:
            response = httpx.request(
                method, settings.connect + path, timeout=timeout, verify=_certificates(), json=json
            )
        except httpx.HTTPError as error:
            raise ServerAway(
                f"Kafka Connect does not answer at {settings.connect}: {error}",
                remedy="check that it runs, and OPSHUB_CONNECT_URL",
            ) from error
        if response.status_code != 409 or time.monotonic() > deadline:
            return response
        time.sleep(0.3)  # 409: Connect is rebalancing, and answers so until it is done


def require_ready(settings: Settings) -> None:
    """Raise ServerAway while Connect does not answer, or does not know its connectors yet."""
    if not _has_read_configuration(settings, 10):
        raise ServerAway(
            f"Kafka Connect at {settings.connect} is starting: it has not read its configuration yet",
            remedy="wait; if it lasts, its log says why",
        )


def _has_read_configuration(settings: Settings, timeout: float) -> bool:
    """Whether Connect knows its connectors. It serves requests before it has read them, and answers that it has none.

    KIP-1017; Connect before 3.9 has no such page, says so as JSON, and is believed. A 404 as HTML comes from its web
    server, which listens some seconds before Connect is behind it.
    """
    answer = _call(settings, "GET", "/health", timeout)
    is_old = answer.status_code == 404 and "json" in answer.headers.get("content-type", "")
    return answer.status_code == 200 or is_old


_SECRET = re.compile(r"\$\{env:(\w+_(?:PASSWORD|SECRET|TOKEN|KEY))\}")


def with_secrets_elsewhere(config: dict[str, Any], provider: str) -> dict[str, Any]:
    """A connector's configuration whose secrets Connect reads from files: `${env:X_PASSWORD}` becomes
    `${directory:/run/secrets:X_PASSWORD}` for the provider `directory:/run/secrets`. Unchanged without a provider.
    """
    if not provider:
        return config
    return {
        key: _SECRET.sub(lambda match: f"${{{provider}:{match.group(1)}}}", value) if isinstance(value, str) else value
        for key, value in config.items()
    }


def differs(settings: Settings, system: System) -> str | None:
    """`create`, `update` or None: what `put` would do to this system's connector."""
    response = _call(settings, "GET", f"/connectors/{system.connector_name}/config")
    if response.status_code == 404:
        require_ready(settings)
        return "create"
    # Connect adds `name` to what it was given, and keeps every value as text.
    existing = {key: value for key, value in response.json().items() if key != "name"}
    config = with_secrets_elsewhere(system.config, settings.connect_secrets)
    wanted = {key: str(value) for key, value in config.items() if key != "name"}
    return None if existing == wanted else "update"


def put(settings: Settings, system: System) -> None:
    """Register the connector as source.json describes it, and wait until its task runs.

    Raises ConfigError with Connect's message when it refuses the configuration, EnvironmentFault when the task fails.
    """
    put_config(settings, system.connector_name, system.config, str(system.folder / "source.json"))


def put_config(settings: Settings, name: str, config: dict[str, Any], file: str = "") -> None:
    """As `put`, for a configuration that comes from anywhere; the error names `file` when Connect refuses it."""
    config = with_secrets_elsewhere(config, settings.connect_secrets)
    response = _call(settings, "PUT", f"/connectors/{name}/config", json=config)
    if response.status_code >= 400:
        message = response.json().get("message", response.text) if response.text.startswith("{") else response.text
        raise ConfigError(
            f"Kafka Connect refuses {file or name}: {message.strip()}",
            remedy="`opshub doctor` checks the database, its role and wal_level; Connect takes the values of ${env:…} "
            "from its own environment, or from OPSHUB_CONNECT_SECRETS",
        )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state, trace = status(settings, name)
        if state in ("RUNNING", "PAUSED"):
            return  # a person may have paused it: it stays so with the new configuration
        if state == "FAILED":
            raise EnvironmentFault(
                f"the connector {name} failed: {trace}",
                remedy="`opshub doctor` checks the database, its role and wal_level",
            )
        time.sleep(0.2)
    raise EnvironmentFault(f"the connector {name} did not start within 60 s", remedy="see the log of Kafka Connect")


def stop(settings: Settings, name: str) -> None:
    """End the connector's tasks until it is resumed; its offsets stay."""
    _call(settings, "PUT", f"/connectors/{name}/stop").raise_for_status()


def pause(settings: Settings, name: str) -> None:
    """Let the connector read nothing more until it is resumed. Its session with the database, its slot and a snapshot
    that runs stay. Raises EnvironmentFault when Connect does not do it.
    """
    response = _call(settings, "PUT", f"/connectors/{name}/pause")
    if response.is_error:
        raise EnvironmentFault(
            f"Kafka Connect does not pause {name} (HTTP {response.status_code})", remedy="its log says why"
        )


def offsets(settings: Settings, name: str) -> dict[str, Any]:
    """What the connector last kept of where it is; empty before it kept anything."""
    response = _call(settings, "GET", f"/connectors/{name}/offsets", 10)
    if response.is_error:
        return {}
    listed = response.json().get("offsets") or [{}]
    return dict(listed[0].get("offset") or {})


def delete_offsets(settings: Settings, name: str) -> None:
    """Forget where the connector was, so that it begins with a snapshot. Connect allows it for a stopped connector
    only.
    """
    _call(settings, "DELETE", f"/connectors/{name}/offsets").raise_for_status()


def resume(settings: Settings, name: str) -> None:
    """Go on after `stop`."""
    _call(settings, "PUT", f"/connectors/{name}/resume").raise_for_status()


def status(settings: Settings, name: str, timeout: float = 60.0) -> tuple[str, str]:
    """(state, cause) of a connector and its tasks: RUNNING only when all of it runs; the cause is the root of the
    trace. STARTING, too, while Connect has not read its configuration.
    """
    response = _call(settings, "GET", f"/connectors/{name}/status", timeout)
    if response.status_code == 404:
        return ("MISSING" if _has_read_configuration(settings, timeout) else "STARTING"), ""
    answer = msgspec.json.decode(response.content, type=_Status)
    if answer.connector.state == "STOPPED":
        return "STOPPED", ""
    members = [answer.connector, *answer.tasks]
    for member in members:
        if member.state == "FAILED":
            # Lines of a Java trace that are not indented are the exceptions; the last one is the root cause.
            causes = [line for line in member.trace.splitlines() if not line.startswith("\t")]
            return "FAILED", (causes[-1] if causes else "no trace").removeprefix("Caused by: ")
    if not answer.tasks:
        return "STARTING", ""
    return ("RUNNING" if all(member.state == "RUNNING" for member in members) else members[-1].state), ""


def state_of(settings: Settings, system: System, timeout: float = 60.0) -> tuple[str, str]:
    """As `status`, of whatever brings the raw records of a system. A feed has no connector: RUNNING while each of its
    tables was read when it was last tried, FAILED with the first problem, STARTING before the first read.
    """
    return feed_state(settings, system) if not system.has_database else status(settings, system.connector_name, timeout)
