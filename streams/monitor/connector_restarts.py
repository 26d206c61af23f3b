"""Restarts failed connectors with growing pauses, and stops the connector of a system that may have lost changes.

In: the findings of a check. Out: requests to Kafka Connect, and findings about requests that it refused.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from mode.utils.logging import get_logger

from streams.capture.connector_health import restart_failed
from streams.capture.finding import Finding
from streams.errors import EnvironmentFault
from streams.provision import connectors
from streams.provision.systems import System
from streams.settings import Settings

logger = get_logger(__name__)

FIRST_PAUSE_S = 15.0
LONGEST_PAUSE_S = 600.0
"""The first restart is at once; each further one waits twice as long as the one before."""

SILENT_CHECKS = 3
"""Checks after which a connector without a database session is more than just being started."""

SILENT_ALERT_CHECKS = 12
"""Checks after which restarts have not helped: three minutes."""


def stop_lost(settings: Settings, systems: list[System], findings: list[Finding]) -> None:
    """Stop the connector of each system that may have lost changes, until a new epoch.

    Otherwise records from behind the gap would be taken for the whole.
    Raises EnvironmentFault or httpx.HTTPError when Connect does not do it.
    """
    lost = {finding.where for finding in findings if finding.code == "capture-lost"}
    for system in systems:
        name = system.connector_name
        if system.name in lost and connectors.status(settings, name)[0] not in ("STOPPED", "MISSING"):
            logger.error("stopping the connector %s: changes may be missing", name)
            connectors.stop(settings, name)


class ConnectorRestarts:
    """The restarts that were requested, and when the next one is due."""

    def __init__(self, settings: Settings, systems: list[System], clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._systems = systems
        self._clock = clock
        self._next: dict[str, tuple[float, float]] = {}
        """Connector → (when it is restarted next, the pause after that)."""
        self._refused: dict[str, Finding] = {}
        """Connectors that Connect could not restart when it was last asked."""
        self._silent: Counter[str] = Counter()
        """Connector → checks in a row at which it was said to run and had no session with its database."""

    def restart_due(self, findings: list[Finding]) -> list[Finding]:
        """Restart what failed and is due; a finding for each connector that Connect could not restart.

        Raises EnvironmentFault or httpx.HTTPError when Connect does not answer.
        """
        silent = {finding.where for finding in findings if finding.code == "connector-silent"}
        self._silent = Counter({name: self._silent[name] + 1 for name in silent})
        failed = {finding.where for finding in findings if finding.code == "connector-failed"}
        failed |= {name for name in silent if self._silent[name] >= SILENT_CHECKS}
        for system in self._systems:
            name = system.connector_name
            if name in failed:
                self._restart_if_due(system, is_silent=name in silent)
            else:
                self._next.pop(name, None)
                self._refused.pop(name, None)
        idle = [
            Finding(
                "connector-idle",
                name,
                f"it has had no session with its database for {checks} checks, whatever Connect reports",
                "see the log of Kafka Connect; restart Kafka Connect",
            )
            for name, checks in self._silent.items()
            if checks >= SILENT_ALERT_CHECKS
        ]
        return list(self._refused.values()) + idle

    def _restart_if_due(self, system: System, *, is_silent: bool) -> None:
        name = system.connector_name
        due, pause = self._next.get(name, (self._clock(), FIRST_PAUSE_S))
        if self._clock() < due:
            return
        logger.warning(
            "restarting the connector %s: %s", name, "it has no database session" if is_silent else "a task failed"
        )
        self._refused.pop(name, None)
        try:
            restart_failed(self._settings, system, include_running=is_silent)
        except EnvironmentFault as error:
            self._refused[name] = Finding("connect-refuses", name, str(error), error.remedy)
        self._next[name] = (self._clock() + pause, min(pause * 2, LONGEST_PAUSE_S))
