"""Register Debezium connectors with Kafka Connect."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import httpx

from streams.errors import ConfigError, EnvironmentFault
from streams.provision.systems import System
from streams.settings import Settings

_certificates = cache(httpx.create_ssl_context)
"""Read once: the certificates of all authorities take longer to read than Connect to answer, and the guard asks often."""


def _call(settings: Settings, method: str, path: str, timeout: float = 60.0, **options: Any) -> httpx.Response:
    deadline = time.monotonic() + 60
    while True:
        try:
            response = httpx.request(
                method, settings.connect + path, timeout=timeout, verify=_certificates(), **options
            )
        except httpx.HTTPError as error:
            raise EnvironmentFault(
                f"Kafka Connect does not answer at {settings.connect}: {error}",
                remedy="`opshub up` starts the native stack",
            ) from error
        if response.status_code != 409 or time.monotonic() > deadline:
            return response
        time.sleep(0.3)  # 409: Connect is rebalancing, and says so until it is done


def differs(settings: Settings, system: System) -> str | None:
    """`create`, `update` or None: what `put` would do to this system's connector."""
    response = _call(settings, "GET", f"/connectors/{system.source['name']}/config")
    if response.status_code == 404:
        return "create"
    there = {key: value for key, value in response.json().items() if key != "name"}
    wanted = {key: str(value) for key, value in system.source["config"].items() if key != "name"}
    return None if there == wanted else "update"


def put(settings: Settings, system: System) -> None:
    """Make the connector be as source.json says, and wait until its task runs.

    Raises ConfigError with Connect's words when it refuses the configuration, EnvironmentFault when the task fails.
    """
    put_config(settings, system.source["name"], system.source["config"], str(system.folder / "source.json"))


def put_config(settings: Settings, name: str, config: dict[str, Any], file: str = "") -> None:
    """`put` for a configuration that comes from anywhere; `file` is named when it is refused."""
    response = _call(settings, "PUT", f"/connectors/{name}/config", json=config)
    if response.status_code >= 400:
        message = response.json().get("message", response.text) if response.text.startswith("{") else response.text
        raise ConfigError(
            f"Kafka Connect refuses {file or name}: {message.strip()}",
            remedy="`opshub doctor` checks the database, its role and wal_level; values of ${env:…} are those that Connect was "
            "started with: a line for each in <state_dir>/env, then `opshub up` again",
        )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state, trace = status(settings, name)
        if state == "RUNNING":
            return
        if state == "FAILED":
            raise EnvironmentFault(
                f"the connector {name} failed: {trace}",
                remedy="`opshub doctor` checks the database, its role and wal_level",
            )
        time.sleep(0.2)
    raise EnvironmentFault(f"the connector {name} did not start within 60 s", remedy="see the log of Kafka Connect")


def stop(settings: Settings, name: str) -> None:
    """End the connector's tasks and keep its offsets, until it is resumed."""
    _call(settings, "PUT", f"/connectors/{name}/stop").raise_for_status()


def resume(settings: Settings, name: str) -> None:
    """Go on after `stop`."""
    _call(settings, "PUT", f"/connectors/{name}/resume").raise_for_status()


def status(settings: Settings, name: str, timeout: float = 60.0) -> tuple[str, str]:
    """(state, cause) of a connector and its tasks: RUNNING only when all of it runs; the cause is the root of the trace."""
    response = _call(settings, "GET", f"/connectors/{name}/status", timeout)
    if response.status_code == 404:
        return "MISSING", ""
    told = response.json()
    if told["connector"]["state"] == "STOPPED":
        return "STOPPED", ""
    parts = [told["connector"], *told["tasks"]]
    for part in parts:
        if part["state"] == "FAILED":
            causes = [line for line in part.get("trace", "").splitlines() if not line.startswith("\t")]
            return "FAILED", (causes[-1] if causes else "no trace").removeprefix("Caused by: ")
    if not told["tasks"]:
        return "STARTING", ""
    return ("RUNNING" if all(part["state"] == "RUNNING" for part in parts) else parts[-1]["state"]), ""
