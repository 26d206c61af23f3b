"""Watch capture and the walk from within one worker: guard each source, restart failed tasks, stop what has lost changes, raise alerts.

In: settings, the systems and a role for each. Every worker runs it; the one that holds the hub's advisory lock acts. A failed task is
restarted after 15 s, then each time twice as long, at most ten minutes. Promised: a slot that is lost or another database is told of
within two looks of `EVERY_SECONDS`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import httpx
import psycopg
from mode.utils.logging import get_logger

from streams.errors import EnvironmentFault, OpshubError
from streams.hub.session import LIVELY, MORTAL
from streams.provision import connectors
from streams.provision.systems import System
from streams.repair import source_shape
from streams.repair.alerts import Alerts, Notice, Problem, Sink, email, slack, webhook
from streams.repair.capture_guard import Finding, guard, restart_failed
from streams.repair.dlq import accounting
from streams.repair.hub_guard import hub_is_behind
from streams.settings import Settings

logger = get_logger(__name__)

EVERY_SECONDS = 15.0
SILENT_LOOKS = 3
"""Looks after which a connector without a session is not just being started."""
LOCK = 7365710004
"""Key of the advisory lock that makes one worker the watcher."""


def sinks(settings: Settings) -> dict[str, Sink]:
    """What the settings name."""
    found: dict[str, Sink] = {}
    if settings.alert_webhook:
        found["webhook"] = webhook(settings.alert_webhook)
    if settings.alert_slack:
        found["slack"] = slack(settings.alert_slack)
    if settings.alert_email:
        host, _, port = settings.alert_smtp.partition(":")
        found["email"] = email(host, int(port or "25"), settings.alert_sender, settings.alert_email)
    return found


def _log(notices: list[Notice]) -> None:
    """The sink that is always there: who set no other finds problems in the worker's log."""
    for notice in notices:
        problem = notice.problem
        logger.warning("%s: %s: %s; remedy: %s", notice.state, problem.name, problem.what, problem.remedy)


class Watch:
    """One look after another; `dsns` has the systems that can be looked at from here.

    `stopped`: by system, why nothing more is captured of it; kept up to date in every worker, for whoever asks whether it is ready.
    """

    def __init__(
        self, settings: Settings, systems: list[System], dsns: dict[str, str], stopped: dict[str, str] | None = None
    ) -> None:
        self._stopped = {} if stopped is None else stopped
        self._settings = settings
        self._systems = [system for system in systems if system.name in dsns]
        self._dsns = dsns
        self._alerts = Alerts({"log": _log} | sinks(settings))
        self._restarts: dict[str, tuple[float, float]] = {}
        self._deaf: dict[str, Finding] = {}
        """Connectors that Connect could not restart when it was last asked."""
        self._silent: Counter[str] = Counter()
        """Connectors that are said to run and have no session with their database → for how many looks."""
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
        """What is wrong now, told to the sinks; nothing while another worker watches or the hub is away."""
        try:
            self._note_stopped()
            if not self._mine():
                return []
            findings = [
                one for system in self._systems for one in guard(self._settings, system, self._dsns[system.name])
            ]
            findings += hub_is_behind(self._settings)
            self._hold(findings)
            self._restart(findings)
            self._look_at_columns()
            problems = [Problem(f"{one.code}/{one.where}", one.what, one.remedy) for one in findings if one.severe]
            told = accounting(self._settings)
            if told["parked_keys"] >= self._settings.alert_parked_keys:
                problems.append(
                    Problem("parked-keys", f"{told['parked_keys']} keys wait behind a dead letter", "`opshub dlq list`")
                )
            if not told["balances"]:
                problems.append(
                    Problem("accounts", "what was put aside and what the hub holds do not balance", "`opshub verify`")
                )
        except (OpshubError, psycopg.Error, httpx.HTTPError) as error:
            problems = [Problem("watch", f"capture can not be watched: {error}", "`opshub doctor`")]
        before = dict(self._alerts.failures)
        self._alerts.look(problems)
        for sink, why in self._alerts.failures.items():
            if before.get(sink) != why:
                logger.warning("%s is not told of problems: %s", sink, why)
        return problems

    def _mine(self) -> bool:
        if self._lock is None or self._lock.closed:
            connection = psycopg.connect(self._settings.hub, autocommit=True, **LIVELY)
            connection.execute(MORTAL.encode())
            row = connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
            if row is None or not row[0]:
                connection.close()
                return False
            self._lock = connection
        self._lock.execute("SELECT 1")
        return True

    def _look_at_columns(self) -> None:
        """Note what ALTER TABLE did to captured tables; a source that is away is told of by its guard."""
        with psycopg.connect(self._settings.hub, autocommit=True, **LIVELY) as hub:
            for system in self._systems:
                try:
                    with psycopg.connect(self._dsns[system.name], autocommit=True, **LIVELY) as source:
                        notes = source_shape.look(hub, source, system)
                except psycopg.OperationalError:
                    continue
                for note in notes:
                    logger.warning("%s of %s: %s; %s", note.table, system.name, note.what, note.effect)

    def _note_stopped(self) -> None:
        with psycopg.connect(self._settings.hub, **LIVELY) as hub:
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
