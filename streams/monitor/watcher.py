"""Watch capture and the walk from within one worker: guard each source, restart failed tasks, stop what has lost changes, raise alerts.

In: settings, the systems and a role for each. Every worker runs it; the one that holds the hub's advisory lock acts, and tells people. A
failed task is restarted after 15 s, then each time twice as long, at most ten minutes. Promised: a slot that is lost or another database is
told of within two looks of `EVERY_SECONDS`. What a look could not see, since a server was away, stays as it was told. What was told is kept
in the hub: another worker that takes over tells none of it again, and all that is over.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
from confluent_kafka import KafkaException
from mode.utils.logging import get_logger
from psycopg.rows import dict_row

from streams.capture import schema_drift as source_shape
from streams.capture.accounting import accounting
from streams.capture.finding import Finding
from streams.capture.guard import guard, restart_failed
from streams.errors import EnvironmentFault, OpshubError
from streams.hub.session import KEEPALIVE, SERVER_SESSION_LIMITS
from streams.hub.statements import SQL
from streams.monitor import alert_state as notices
from streams.monitor.alerts import Alerts, Notice, Problem, Sink, Told, email, slack, webhook
from streams.monitor.disk import disk_left
from streams.monitor.hub_guard import hub_is_behind, lags
from streams.monitor.thresholds import Figures, behind_since, is_seen, late, past, stuck_limits
from streams.provision import connectors
from streams.provision.systems import System
from streams.settings import Settings

logger = get_logger(__name__)

EVERY_SECONDS = 15.0
SILENT_LOOKS = 3
"""Looks after which a connector without a session is not just being started."""
SLOW_SECONDS = 300.0
"""Between two looks at what reads all of a table."""
OUTAGE = "watch"
"""The problem that nothing can be looked at: told by the worker that watched, and remembered there alone, since the hub is away."""
LOCK = 7365710004
"""Key of the advisory lock that makes one worker the watcher."""


def sinks(settings: Settings) -> dict[str, Sink]:
    """What the settings name."""
    found: dict[str, Sink] = {}
    if settings.alert_webhook_url:
        found["webhook"] = webhook(settings.alert_webhook_url)
    if settings.alert_slack_url:
        found["slack"] = slack(settings.alert_slack_url)
    if settings.alert_email_to:
        host, _, port = settings.alert_smtp_server.partition(":")
        found["email"] = email(
            host,
            int(port or "25"),
            settings.alert_email_from,
            settings.alert_email_to,
            user=settings.alert_smtp_user,
            password=settings.alert_smtp_password.get_secret_value(),
            tls=settings.alert_smtp_tls,
        )
    return found


def _without_outage(told: Told) -> Told:
    return {sink: {name: one for name, one in known.items() if name != OUTAGE} for sink, known in told.items()}


def _log(notices: list[Notice]) -> None:
    """The sink that is always there: who set no other finds problems in the worker's log."""
    for notice in notices:
        problem = notice.problem
        logger.warning("%s: %s: %s; remedy: %s", notice.state, problem.name, problem.what, problem.remedy)


class Watch:
    """One look after another; `dsns` has the systems that can be looked at from here.

    `stopped`: by system, why nothing more is captured of it; kept up to date in every worker, for whoever asks whether it is ready.
    """

    _watching: bool | None = None
    """Whether this worker holds the lock; None while it never could ask."""
    firing: dict[str, str] | None = None
    """What is wrong now, by its name, in the worker that watches."""

    def __init__(
        self, settings: Settings, systems: list[System], dsns: dict[str, str], stopped: dict[str, str] | None = None
    ) -> None:
        self._stopped = {} if stopped is None else stopped
        self._settings = settings
        self._captured = systems
        self._systems = [system for system in systems if system.name in dsns]
        self._dsns = dsns
        self._alerts = Alerts({"log": _log} | sinks(settings))
        self._restarts: dict[str, tuple[float, float]] = {}
        self._deaf: dict[str, Finding] = {}
        """Connectors that Connect could not restart when it was last asked."""
        self._silent: Counter[str] = Counter()
        """Connectors that are said to run and have no session with their database → for how many looks."""
        self._behind: dict[str, float] = {}
        """Lane → since when it has been behind."""
        self._stuck = 0
        self._next_slow = 0.0
        self._lock: psycopg.Connection[tuple[object, ...]] | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await asyncio.sleep(EVERY_SECONDS)
                try:
                    await loop.run_in_executor(None, self.look)
                except Exception:
                    logger.exception("capture was not watched this time")  # a watcher that ends is missed by nobody
        finally:
            if self._lock is not None:
                self._lock.close()

    def look(self) -> list[Problem]:
        """What is wrong now, told to the sinks; nothing while another worker watches."""
        try:
            self._note_stopped()
            if not self._mine():
                self.firing = None
                self._tell([], lambda name: name == OUTAGE)
                return []
            assert self._lock is not None
            findings, problems = self._problems(self._lock)
            before = notices.load(self._lock)
            told = {sink: dict(before.get(sink, {})) for sink in before.keys() | self._alerts.told.keys()}
            for sink, known in self._alerts.told.items():
                told[sink] |= {name: notice for name, notice in known.items() if name == OUTAGE}
            self._alerts.told = told
            self._tell(problems, lambda name: is_seen(name, findings))
            notices.keep(self._lock, before, _without_outage(self._alerts.told))
        except (OpshubError, psycopg.Error, httpx.HTTPError) as error:
            if self._watching is False:
                logger.info("the hub is not there to be watched: %s", error)
                return []
            problems = [Problem(OUTAGE, f"capture can not be watched: {error}", "`opshub doctor`")]
            self._tell(problems, lambda name: False)
            self.firing = (self.firing or {}) | {OUTAGE: problems[0].what}
            return problems
        self.firing = {problem.name: problem.what for problem in problems}
        return problems

    def _tell(self, problems: list[Problem], is_seen: Callable[[str], bool]) -> None:
        before = dict(self._alerts.failures)
        self._alerts.look(problems, is_seen)
        for sink, why in self._alerts.failures.items():
            if before.get(sink) != why:
                logger.warning("%s is not told of problems: %s", sink, why)

    def _problems(self, hub: psycopg.Connection[Any]) -> tuple[list[Finding], list[Problem]]:
        """What was found, and what of it people are told."""
        settings = self._settings
        findings = [one for system in self._systems for one in guard(settings, system, self._dsns[system.name])]
        findings += hub_is_behind(settings) + disk_left(settings)
        try:
            self._hold(findings)
            self._restart(findings)
        except (EnvironmentFault, httpx.HTTPError) as deaf:
            findings.append(
                Finding("connect-deaf", "connect", f"Kafka Connect does not do as told: {deaf}", "see its log")
            )
        self._look_at_columns()
        lag: list[Problem] = []
        try:
            lag = self._late(lags(settings, self._captured))
        except (KafkaException, TimeoutError) as away:
            findings.append(
                Finding(
                    "kafka-away",
                    settings.kafka,
                    f"no broker answers: {away}",
                    "start it; check OPSHUB_BOOTSTRAP_SERVERS",
                )
            )
        problems = [Problem(f"{one.code}/{one.where}", one.what, one.remedy) for one in findings if one.severe]
        return findings, problems + lag + past(self._figures(hub), settings)

    def _late(self, behind: dict[str, int]) -> list[Problem]:
        now = time.monotonic()
        self._behind = behind_since(behind, self._behind, now, self._settings)
        return late(behind, self._behind, now, self._settings)

    def _figures(self, hub: psycopg.Connection[Any]) -> Figures:
        settings, sql = self._settings, SQL
        told = accounting(settings)
        limits = {
            "waiting_s": settings.alert_approval_hours * 3600,
            "undelivered_s": settings.alert_undelivered_minutes * 60,
        }
        with hub.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(sql["troubles"], limits).fetchone() or {}
        if time.monotonic() >= self._next_slow:  # this reads every flow
            self._next_slow = time.monotonic() + SLOW_SECONDS
            asked = {"limits": json.dumps(stuck_limits(settings)), "most": 1000}
            self._stuck = len(hub.execute(sql["stuck_flows"], asked).fetchall())
        return Figures(told["parked_keys"], told["balances"], stuck=self._stuck, **row)

    def _mine(self) -> bool:
        if self._lock is not None:
            try:
                self._lock.execute("SELECT 1")
                return True
            except psycopg.OperationalError:  # the hub was started again; it is asked anew
                self._lock.close()
        self._lock = None
        connection = psycopg.connect(self._settings.hub, autocommit=True, **KEEPALIVE)
        connection.execute(SERVER_SESSION_LIMITS.encode())
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
        self._watching = row is not None and bool(row[0])
        if not self._watching:
            connection.close()
            return False
        self._lock = connection
        # Whoever watched before has told of these already: they are not young.
        known = {name for told in notices.load(connection).values() for name in told}
        logger.info("watching; told before, and not over yet: %s", ", ".join(sorted(known)) or "nothing")
        long_ago = time.monotonic() - self._settings.alert_lag_seconds
        self._behind = {name.removeprefix("lag/"): long_ago for name in known if name.startswith("lag/")}
        return True

    def _look_at_columns(self) -> None:
        """Note what ALTER TABLE did to captured tables; a source that is away is told of by its guard."""
        with psycopg.connect(self._settings.hub, autocommit=True, **KEEPALIVE) as hub:
            for system in self._systems:
                try:
                    with psycopg.connect(self._dsns[system.name], autocommit=True, **KEEPALIVE) as source:
                        notes = source_shape.look(hub, source, system)
                except psycopg.OperationalError:
                    continue
                for note in notes:
                    logger.warning("%s of %s: %s; %s", note.table, system.name, note.what, note.effect)

    def _note_stopped(self) -> None:
        with psycopg.connect(self._settings.hub, **KEEPALIVE) as hub:
            alarms: dict[str, str] = dict(
                hub.execute("SELECT system, alarm FROM source_seen WHERE alarm IS NOT NULL").fetchall()
            )
        for system in self._stopped.keys() - alarms.keys():
            self._stopped.pop(system, None)
        self._stopped.update({system: f"{system} is stopped: {alarm}" for system, alarm in alarms.items()})

    def _hold(self, findings: list[Finding]) -> None:
        """A system that may have lost changes brings no more of them until its new epoch."""
        lost = {one.where for one in findings if one.code == "capture-lost"}
        for system in self._systems:
            name = system.source["name"]
            if system.name in lost and connectors.status(self._settings, name)[0] not in ("STOPPED", "MISSING"):
                logger.error("stopping the connector %s: changes may be missing", name)
                connectors.stop(self._settings, name)

    def _restart(self, findings: list[Finding]) -> None:
        silent = {one.where for one in findings if one.code == "connector-silent"}
        self._silent = Counter({name: self._silent[name] + 1 for name in silent})
        failed = {one.where for one in findings if one.code == "connector-failed"}
        failed |= {name for name in silent if self._silent[name] >= SILENT_LOOKS}
        for system in self._systems:
            name = system.source["name"]
            if name not in failed:
                self._restarts.pop(name, None)
                self._deaf.pop(name, None)
                continue
            due, pause = self._restarts.get(name, (time.monotonic(), 15.0))
            if time.monotonic() >= due:
                logger.warning(
                    "restarting %s, %s", name, "which is silent" if name in silent else "of which a task failed"
                )
                self._deaf.pop(name, None)
                try:
                    restart_failed(self._settings, system, all_of_it=name in silent)
                except EnvironmentFault as deaf:
                    self._deaf[name] = Finding("connect-deaf", name, str(deaf), deaf.remedy)
                self._restarts[name] = (time.monotonic() + pause, min(pause * 2, 600.0))
        findings += self._deaf.values()
