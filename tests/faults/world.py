"""Faults of what is around the workers: links, disks, clocks, and a hub that fails over."""

from __future__ import annotations

import random
import resource
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from streams.demo.drain import MARKERS
from streams.provision import connectors
from streams.provision.systems import System
from streams.stack.server import port_is_free
from tests.faults.clock import Clock, compiler
from tests.faults.disk import Disk, may_mount
from tests.faults.field import Field
from tests.faults.link import Link, side_door
from tests.faults.standby import Standby
from tests.faults.steps import Fault, delivers_again
from tests.waiting import came_true


class World:
    """What must be there before the servers are started. Use as a context manager around all of them, before there are
    threads.
    """

    def __init__(self, state: Path, host: str) -> None:
        self._state, self._host = state, host
        self._stack = ExitStack()
        self._disks: dict[str, Disk] = {}
        self._door = (0, 0)
        self.missing: list[str] = []
        """What can not be done on this machine, and why."""

    def __enter__(self) -> World:
        if may_mount():
            self._disks = {name: Disk(self._state / "data" / name) for name in ("hub", "kafka", "crm")}
        else:
            self.missing.append("disk full (this user may not mount)")
        if compiler() is None:
            self.missing.append("clock jumps (there is no C compiler)")
        free = [port for port in range(19_000, 19_900) if port_is_free(self._host, port)]
        outside, behind, self._spare = random.SystemRandom().sample(free, 3)
        self._door = (outside, behind)
        self._stack.enter_context(side_door(self._host, outside, behind))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        for disk in self._disks.values():
            disk.end()

    @property
    def faults(self) -> dict[str, Fault]:
        found: dict[str, Fault] = {
            "broker behind a bad link": self.bad_broker_link,
            "hub behind a link that swallows all": self.deaf_hub,
            "registry behind a bad link": self.bad_registry_link,
            "source behind a bad link": self.bad_source_link,
            "target behind a bad link": self.bad_target_link,
            "hub fails over": self.fail_over,
            "disk full for workers": full_for_workers,
        }
        found |= {f"disk full {name}": self.disk_full(name) for name in self._disks}
        if compiler() is not None:
            found |= {f"clock jumps {name}": self.clock_jumps(name) for name in ("connect", "crm", "hub", "kafka")}
            found["clock jumps worker"] = self.worker_clock
        return found

    # -- links

    def bad_broker_link(self, field: Field, rng: random.Random) -> float | None:
        """The workers' own way to the broker is cut several times, then slow, then deaf for longer than their
        session.
        """
        outside, behind = self._door
        with Link(self._host, behind, outside) as link:
            _restart(field, bootstrap_servers=f"{self._host}:{outside}")
            for _ in range(5):
                link.cut()
                time.sleep(rng.uniform(0.5, 3))
            link.delay = 0.1
            time.sleep(10)
            link.delay = 0.0
            link.deaf = True
            time.sleep(field.settings.session_timeout_ms / 1000 + 6)
            link.deaf = False
            took = field.recovered(180)
            assert link.carried > 1_000_000, "the workers went around the link"
        _restart(field)
        return took

    def deaf_hub(self, field: Field, rng: random.Random) -> float | None:
        """What is sent to the hub and back disappears for a while, and no connection breaks."""
        with Link(self._host, field.settings.hub_port) as link:
            _restart(field, hub_dsn=field.settings.hub.replace(f":{field.settings.hub_port}/", f":{link.port}/"))
            for _ in range(2):
                link.deaf = True
                time.sleep(rng.uniform(8, 14))
                link.deaf = False
                took = field.recovered(180)
            assert link.carried > 0
        _restart(field)
        return took

    def bad_registry_link(self, field: Field, rng: random.Random) -> float | None:
        """Workers that start find a registry that breaks every connection, then one that is slow; they come up by
        themselves.
        """
        with Link(self._host, field.settings.registry_port) as link:
            link.refuses = True
            _restart(
                field, wait=False,
                registry_url=field.settings.registry.replace(f":{field.settings.registry_port}/", f":{link.port}/"),
            )  # fmt: skip
            time.sleep(rng.uniform(6, 10))
            assert all(field.ended(name) is None for name in field.workers), "a worker left"
            link.delay, link.refuses = 0.2, False
            return field.recovered(180)

    def bad_source_link(self, field: Field, rng: random.Random) -> float | None:
        """Connect's way to a source is cut several times, then slow, then swallows all for a while."""
        system = field.system(rng.choice(sorted(MARKERS)))
        config = system.source["config"]
        with Link(self._host, int(field.env[f"{MARKERS[system.name][0]}_PORT"])) as link:
            connectors.put_config(field.settings, system.name, config | {"database.port": str(link.port)})
            for _ in range(4):
                link.cut()
                time.sleep(rng.uniform(2, 5))
            link.delay = 0.1
            time.sleep(8)
            link.delay, link.deaf = 0.0, True
            time.sleep(rng.uniform(8, 12))
            link.deaf = False
            field.revive_capture()
            before, began = field.raw_of(system), time.monotonic()
            assert came_true(lambda: field.raw_of(system) > before, 120), f"nothing of {system.name} is captured"
            took = time.monotonic() - began
            assert link.carried > 0
        connectors.put(field.settings, system)
        return took

    def bad_target_link(self, field: Field, rng: random.Random) -> float | None:
        """Deliverers' ways to both systems are cut in the middle of what they carry, then slow, then swallow all for a
        while.
        """
        ports = {name: f"{prefix}_PORT" for name, (prefix, _) in MARKERS.items()}
        with ExitStack() as links:
            made = {name: links.enter_context(Link(self._host, int(field.env[port]))) for name, port in ports.items()}
            _restart(field, env={ports[name]: str(link.port) for name, link in made.items()})
            delivers_again(field, time.monotonic())
            for _ in range(8):
                for link in made.values():
                    link.cut()
                time.sleep(rng.uniform(0.3, 2))
            for link in made.values():
                link.delay = 0.1
            time.sleep(8)
            for link in made.values():
                link.delay, link.deaf = 0.0, True
            time.sleep(rng.uniform(8, 14))
            began = time.monotonic()
            for link in made.values():
                link.deaf = False
            took = delivers_again(field, began)
            assert all(link.carried > 0 for link in made.values()), "the deliverers went around the links"
        _restart(field)
        return took

    # -- disks

    def disk_full(self, name: str) -> Fault:
        def inject(field: Field, rng: random.Random) -> float | None:
            disk = self._disks[name]
            disk.fill()
            time.sleep(rng.uniform(12, 20))
            disk.free()
            up = came_true(lambda: any(one.name == name and one.healthy for one in field.stack.status()), 10)
            if not up:  # it ended, as it should rather than go on half
                field.stack.start(name)
            field.revive_capture()
            return None

        return inject

    # -- clocks

    def clock_jumps(self, name: str) -> Fault:
        """A server's clock goes two hours ahead, an hour and a half behind, and back: farther each way than Kafka by
        itself forgives.
        """

        def inject(field: Field, rng: random.Random) -> float | None:
            clock = Clock(field.settings.state_dir / "clock")
            field.stack.kill(name)
            with clock.over_children():
                field.stack.start(name)
            field.revive_capture()
            field.recovered(180)
            (pid,) = (one.pid for one in field.stack.status() if one.name == name)
            assert pid is not None and clock.is_clock_of(pid), f"{name} lives by another clock"
            slowest = _jumps(field, clock, rng)
            field.stack.kill(name)
            field.stack.start(name)
            field.revive_capture()
            return slowest

        return inject

    def worker_clock(self, field: Field, rng: random.Random) -> float | None:
        clock = Clock(field.settings.state_dir / "clock")
        with clock.over_children():
            _restart(field)
            assert all(clock.is_clock_of(pid) for pid in field.pids().values()), "a worker lives by another clock"
            slowest = _jumps(field, clock, rng)
        _restart(field)
        return slowest

    # -- the hub

    def fail_over(self, field: Field, rng: random.Random) -> float | None:
        """The hub is gone; its standby, which had every commit before the workers heard of it, takes over, and later
        its place.
        """
        settings, standby = field.settings, Standby(field.stack, self._spare)
        try:
            standby.follow()
            near = f"{settings.host}:{settings.hub_port}"
            both = settings.hub.replace(f"@{near}/", f"@{near},{settings.host}:{standby.port}/")
            assert both != settings.hub, settings.hub
            _restart(field, hub_dsn=both + "?target_session_attrs=read-write")
            time.sleep(rng.uniform(3, 6))
            field.stack.kill("hub")
            standby.promote()
            took = field.recovered(180)
            time.sleep(rng.uniform(2, 4))
            standby.move_in()
        finally:
            standby.end()
        field.recovered(180)
        _restart(field)
        return took


def _more_of(field: Field, system: System, before: int) -> bool:
    return field.raw_of(system) > before


def _jumps(field: Field, clock: Clock, rng: random.Random) -> float:
    """Seconds of the jump that took longest, until both systems are captured and all is worked on again."""
    slowest = 0.0
    for seconds in (7200.0, -5400.0, 0.0):
        clock.jump(seconds)
        began = time.monotonic()
        pause = rng.uniform(3, 6)
        time.sleep(pause)
        for system in field.systems:
            assert came_true(partial(_more_of, field, system, field.raw_of(system)), 180), (
                f"nothing of {system.name} is captured {seconds:+.0f} s from the true time"
            )
        field.recovered(180)
        slowest = max(slowest, time.monotonic() - began - pause)
    return slowest


def full_for_workers(field: Field, rng: random.Random) -> float | None:
    """No worker can write a byte to any file, its log included; the hub goes and comes, of which they would tell."""
    limits = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in field.pids().values()}
    for pid, (_, hard) in limits.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    field.stack.kill("hub")
    time.sleep(rng.uniform(3, 6))
    field.stack.start("hub")
    took = field.recovered(180)
    assert set(field.pids().values()) == set(limits), "a worker left"
    for pid, both in limits.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, both)
    return took


def _restart(field: Field, *, wait: bool = True, env: dict[str, str] | None = None, **settings: object) -> None:
    """All workers, started again with these settings."""
    for name in sorted(field.workers):
        field.kill(name)
        field.work(name, settings=settings, env=env)
    if wait:
        assert came_true(field.working, 90), f"no worker came up with {settings}"
