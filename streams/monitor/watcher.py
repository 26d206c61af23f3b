"""Watches capture and the pipeline from within one worker, and sends alerts.

In: settings, the systems and a role for each. Every worker with the role ingest runs it; the one that holds an advisory
lock of the hub is the watcher: every 15 s it checks sources, Connect, Kafka, the hub and its own disk, restarts failed
connectors, stops those that may have lost changes, and sends alerts. Promised: a lost slot or another database is
reported within two checks. A problem that a check could not see, since a server did not answer, stays open. Open alerts
are kept in the hub: a worker that takes over repeats none of them, and sends the end of those that are over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import psycopg
from confluent_kafka import KafkaException
from mode.utils.logging import get_logger

from streams.capture.accounting import account_summary
from streams.capture.finding import Finding
from streams.capture.guard import check_capture
from streams.capture.pauses import ending_pauses
from streams.capture.schema_drift import record_table_changes
from streams.capture.slot import Slot
from streams.errors import EnvironmentFault, OpshubError
from streams.hub.alerts import count_pipeline, try_watcher_lock
from streams.hub.figures import figures_now, longest_stuck
from streams.hub.intent_review import targets_away
from streams.hub.session import KEEPALIVE, SERVER_SESSION_LIMITS
from streams.hub.source_state import load_alarms
from streams.monitor import alert_state
from streams.monitor.alerts import AlertSender, Problem
from streams.monitor.connector_restarts import ConnectorRestarts, stop_lost
from streams.monitor.disk import check_disk
from streams.monitor.feeds import feed_findings
from streams.monitor.hub_guard import check_hub_is_complete
from streams.monitor.lag import behind_since, late_lanes, read_lags
from streams.monitor.sinks import configured_sinks
from streams.monitor.targets import refusing
from streams.monitor.thresholds import Figures, exceeded, stuck_limits, was_checked
from streams.provision.source_session import source_session
from streams.provision.systems import System
from streams.settings import Settings

logger = get_logger(__name__)

CHECK_INTERVAL_S = 15.0

CHECKS_FAILED = "checks-failed"
"""The problem that nothing can be checked, as a rule since the hub is away. Only the worker that watched reports it,
and only that worker remembers it: the hub, where open alerts are kept, is what is missing.
"""

LOCK_KEY = 7365710004
"""Key of the advisory lock that makes one worker the watcher."""


class Watcher:
    """Checks everything, again and again. `dsns` has the systems that can be reached from here.

    `stopped`: system → why nothing more of it is captured; kept up to date in every worker, for `/readyz`.
    """

    firing: dict[str, str] | None = None
    """Name → text of each problem that exists now; None in a worker that is not the watcher."""
    slots: dict[str, Slot]
    """System → its slot as the last check saw it; empty in a worker that is not the watcher."""
    is_watching: bool | None = None
    """Whether this worker holds the lock; None while it could not ask yet."""

    def __init__(
        self, settings: Settings, systems: list[System], dsns: dict[str, str], stopped: dict[str, str] | None = None
    ) -> None:
        self._stopped = {} if stopped is None else stopped
        self._settings = settings
        self._captured = systems
        self._systems = [system for system in systems if system.name in dsns]
        self._dsns = dsns
        self._sender = AlertSender(configured_sinks(settings))
        self._restarts = ConnectorRestarts(settings, self._systems)
        self.slots = {}
        self._behind: dict[str, float] = {}
        """Lane → since when it has been behind."""
        self._lock: psycopg.Connection | None = None
        """The session that holds the advisory lock."""

    async def run(self) -> None:
        """Check until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await asyncio.sleep(CHECK_INTERVAL_S)
                try:
                    await loop.run_in_executor(None, self.check)
                except Exception:
                    # Nobody would notice a watcher that has ended, so no error may end it.
                    logger.exception("a check of capture and pipeline failed")
        finally:
            self.close()

    def close(self) -> None:
        """Let another worker watch."""
        if self._lock is not None:
            self._lock.close()

    def check(self) -> list[Problem]:
        """The problems that exist now, after alerts about them were sent; none while another worker watches."""
        try:
            # In every worker, also in those that do not watch: `/readyz` of each reports stopped systems.
            self._update_stopped()
            if not self._hold_lock():
                self.firing = None
                self.slots = {}
                self._send([], lambda name: name == CHECKS_FAILED)
                return []
            assert self._lock is not None
            findings = self._findings()
            problems = self._problems(self._lock, findings)
            self._send_and_remember(self._lock, problems, findings)
        except (OpshubError, psycopg.Error, httpx.HTTPError) as error:
            return self._report_failed_check(error)
        self.firing = {problem.name: problem.what for problem in problems}
        return problems

    def _report_failed_check(self, error: Exception) -> list[Problem]:
        if self.is_watching is False:
            logger.info("nothing can be checked, which the worker that watches reports: %s", error)
            return []
        problem = Problem(CHECKS_FAILED, f"nothing can be checked: {error}", "`opshub doctor`")
        self._send([problem], lambda name: False)
        self.firing = (self.firing or {}) | {CHECKS_FAILED: problem.what}
        return [problem]

    def _send_and_remember(self, hub: psycopg.Connection, problems: list[Problem], findings: list[Finding]) -> None:
        # From the hub at each check: another worker may have watched since the last one.
        before = alert_state.load(hub)
        self._sender.sent = alert_state.with_local(before, self._sender.sent, CHECKS_FAILED)
        self._send(problems, lambda name: was_checked(name, findings))
        alert_state.save(hub, before, alert_state.without(self._sender.sent, CHECKS_FAILED))

    def _send(self, problems: list[Problem], was_checked: Callable[[str], bool]) -> None:
        before = dict(self._sender.failures)
        self._sender.send(problems, was_checked)
        for sink, reason in self._sender.failures.items():
            if before.get(sink) != reason:
                logger.warning("alerts cannot be sent to %s: %s", sink, reason)

    def _findings(self) -> list[Finding]:
        """What is wrong with sources, Connect, hub and disk; restarts and stops connectors."""
        settings = self._settings
        slots: dict[str, Slot] = {}
        findings = [
            finding
            for system in self._systems
            for finding in check_capture(settings, system, self._dsns[system.name], slots.__setitem__)
        ]
        self.slots = slots
        findings += check_hub_is_complete(settings) + check_disk(settings) + feed_findings(settings, self._captured)
        with psycopg.connect(settings.hub, autocommit=True, **KEEPALIVE) as hub:
            findings += ending_pauses(settings, hub)
        try:
            # Stop before restart: a failed connector that may have lost changes must not start again.
            stop_lost(settings, self._systems, findings)
            findings += self._restarts.restart_due(findings)
        except (EnvironmentFault, httpx.HTTPError) as error:
            what = f"Kafka Connect does not do what it is asked: {error}"
            findings.append(Finding("connect-refuses", "connect", what, "restart Kafka Connect; its log says why"))
        self._log_table_changes()
        return findings

    def _problems(self, hub: psycopg.Connection, findings: list[Finding]) -> list[Problem]:
        """The severe findings, lag, and the figures past a threshold. Adds a finding when Kafka does not answer."""
        late: list[Problem] = []
        try:
            late = self._late_lanes(read_lags(self._settings, self._captured))
        except (KafkaException, TimeoutError) as error:
            findings.append(
                Finding(
                    "kafka-away",
                    self._settings.kafka,
                    f"no broker answers: {error}",
                    "start Kafka; check OPSHUB_BOOTSTRAP_SERVERS",
                )
            )
        problems = [
            Problem(f"{finding.code}/{finding.where}", finding.what, finding.remedy)
            for finding in findings
            if finding.severe
        ]
        refused = refusing(targets_away(hub), datetime.now(UTC))
        return problems + late + refused + exceeded(self._figures(hub), self._settings)

    def _late_lanes(self, lags: dict[str, int]) -> list[Problem]:
        now = time.monotonic()
        self._behind = behind_since(lags, self._behind, now, self._settings)
        return late_lanes(lags, self._behind, now, self._settings)

    def _figures(self, hub: psycopg.Connection) -> Figures:
        settings = self._settings
        account = account_summary(settings)
        counts = count_pipeline(
            hub,
            waiting_s=settings.alert_approval_hours * 3600,
            undelivered_s=settings.alert_undelivered_minutes * 60,
        )
        # What the overview shows: flows that have come to rest, counted by a worker twice a minute.
        stuck = figures_now(hub).get("stuck")
        numbers = longest_stuck(hub, stuck_limits(settings)) if stuck and stuck.value else []
        return Figures(account.parked_keys, account.balances, stuck.value if stuck else 0, counts, numbers)

    def _hold_lock(self) -> bool:
        """Whether this worker is the watcher: it has the lock, or got it now."""
        if self._lock is not None:
            try:
                self._lock.execute("SELECT 1")
                return True
            except psycopg.OperationalError:  # the hub was restarted, and the lock is free
                self._lock.close()
        self._lock = None
        # Autocommit: a session that idles in a transaction is ended by the server, and the lock with it.
        hub = psycopg.connect(self._settings.hub, autocommit=True, **KEEPALIVE)
        # Before the lock is taken: the server must free it soon when this worker vanishes.
        hub.execute(SERVER_SESSION_LIMITS.encode())
        self.is_watching = try_watcher_lock(hub, LOCK_KEY)
        if not self.is_watching:
            hub.close()
            return False
        self._lock = hub
        self._take_over(hub)
        return True

    def _take_over(self, hub: psycopg.Connection) -> None:
        """Continue where the last watcher ended: a lane whose alert is open has been behind for long already."""
        known = {name for alerts in alert_state.load(hub).values() for name in alerts}
        logger.info("this worker watches now; open alerts: %s", ", ".join(sorted(known)) or "none")
        long_ago = time.monotonic() - self._settings.alert_lag_seconds
        self._behind = {name.removeprefix("lag/"): long_ago for name in known if name.startswith("lag/")}

    def _log_table_changes(self) -> None:
        """Log and remember what ALTER TABLE did. A source that does not answer is a finding of `check_capture`."""
        with psycopg.connect(self._settings.hub, autocommit=True, **KEEPALIVE) as hub:
            for system in self._systems:
                try:
                    with source_session(self._dsns[system.name]) as source:
                        changes = record_table_changes(hub, source, system)
                except psycopg.OperationalError:
                    continue
                for change in changes:
                    logger.warning("%s of %s: %s; %s", change.table, system.name, change.what, change.effect)

    def _update_stopped(self) -> None:
        with psycopg.connect(self._settings.hub, **KEEPALIVE) as hub:
            alarms = load_alarms(hub)
        for system in self._stopped.keys() - alarms.keys():
            self._stopped.pop(system, None)
        self._stopped.update({system: f"{system} is stopped: {alarm}" for system, alarm in alarms.items()})
