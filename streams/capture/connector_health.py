"""The state of a connector in Kafka Connect, as findings; and the request to restart what failed."""

from __future__ import annotations

import httpx

from streams.capture.finding import Finding
from streams.errors import EnvironmentFault
from streams.provision import connectors
from streams.provision.systems import System
from streams.settings import Settings

STATUS_TIMEOUT_S = 10.0
"""For Connect to answer. While it accepts connections and does not answer, the watcher waits and checks nothing
else.
"""


def connector_findings(settings: Settings, system: System, *, is_slot_unused: bool) -> list[Finding]:
    """What is wrong with the connector of a system. `is_slot_unused`: its database says that nobody reads its slot."""
    name = system.connector_name
    try:
        state, cause = connectors.status(settings, name, STATUS_TIMEOUT_S)
    except EnvironmentFault as error:
        return [Finding("connect-away", name, str(error), error.remedy)]
    return judge_connector(name, state, cause, is_slot_unused=is_slot_unused)


def judge_connector(name: str, state: str, cause: str, *, is_slot_unused: bool) -> list[Finding]:
    """Findings for a state that Connect reports (`connectors.status`)."""
    if state == "MISSING":
        return [Finding("connector-missing", name, "the connector is not registered", "`opshub apply` registers it")]
    if state == "FAILED":
        return [
            Finding(
                "connector-failed",
                name,
                f"a task failed: {cause}",
                "the watcher restarts it; `opshub doctor` checks the database",
            )
        ]
    if state in ("STOPPED", "PAUSED"):
        # A resync that was killed may leave it so. `guard.py` leaves this out where opshub stopped it for a reason.
        return [
            Finding(
                "connector-stopped",
                name,
                f"the connector is {state.lower()}: nothing is captured, and its slot holds back WAL",
                f"`opshub resync` of its system if one was broken off; else `PUT <connect>/connectors/{name}/resume`",
            )
        ]
    if is_slot_unused:
        # The task has ended and Connect could not write that down, for instance while its own topics refused records
        # ("Clocks" in docs/guides/operating.md). Connect goes on reporting RUNNING, so nothing else shows it. Or no
        # worker of Connect takes the task: UNASSIGNED.
        return [
            Finding(
                "connector-silent",
                name,
                f"Connect reports that it is {state.lower()}, and it has no session with its database",
                "the watcher restarts it if that lasts",
                severe=False,
            )
        ]
    return []


def restart_failed(settings: Settings, system: System, *, include_running: bool = False) -> bool:
    """Ask Connect to restart the failed tasks of a connector, or with `include_running` all of it; whether it was
    asked.

    The caller waits between two requests. Raises EnvironmentFault when Connect answers and cannot do it,
    httpx.HTTPError when it does not answer.
    """
    name = system.connector_name
    state, _ = connectors.status(settings, name)
    if state != "FAILED" and not (include_running and state == "RUNNING"):
        return False
    answer = httpx.post(
        f"{settings.connect}/connectors/{name}/restart",
        params={"includeTasks": "true", "onlyFailed": "false" if include_running else "true"},
        timeout=30,
    )
    if answer.is_server_error:
        raise EnvironmentFault(
            f"Kafka Connect answers, and cannot restart {name} (HTTP {answer.status_code})",
            remedy="restart Kafka Connect; its log says why",
        )
    return True
