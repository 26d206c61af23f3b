"""The stack of docker/compose.yaml under a name of its own, with clerks at work on its systems and the checker of the fault tests.

The host reaches containers by their addresses, inside internal networks too; Kafka by the port that is published.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from testcontainers.compose import DockerCompose

from streams.simulator.setup import dsn_of
from streams.stack.server import port_is_free
from tests.containers.table import ROWS, Row
from tests.faults.checker import Findings, check
from tests.faults.clerk import Clerk
from tests.faults.crm_user import CrmUser
from tests.faults.erp_user import ErpUser
from tests.faults.evidence import read_evidence
from tests.faults.goods import stock_up
from tests.faults.rows import id_of
from tests.faults.supply_user import SupplyUser
from tests.waiting import came_true

ROOT = Path(__file__).parents[2]
SYSTEMS = {"demo-crm": ("DEMO_CRM", "crm"), "demo-erp": ("DEMO_ERP", "erp")}
UP_SECONDS = 600
RECOVERS_WITHIN = 240.0
"""Seconds until a change is in the hub again, and until the checker finds nothing wrong: a loaded machine of two cores is slow."""


def docker(*arguments: str, check: bool = True) -> str:
    """Run the command, its output; raises AssertionError with what it printed."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    assert not check or done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


class ContainerStack:
    """Use as a context manager; what it started, and its volumes, are gone at the end.

    `files`: further Compose files. `variables`: for them, beside the free ports that each stack gets.
    """

    def __init__(
        self,
        project: str = "opshub-test",
        files: tuple[str, ...] = (),
        profiles: tuple[str, ...] = (),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        free = [
            port for port in random.SystemRandom().sample(range(20_000, 29_000), 60) if port_is_free("127.0.0.1", port)
        ]
        self.project = project
        self.hub_service = "hub"
        names = ("KAFKA_PORT", "CONSOLE_PORT", "KAFKA_2_PORT", "KAFKA_3_PORT")
        ports = dict(zip(names, free[: len(names)], strict=True))
        self.kafka_ports = [
            ports[name] for name in names if name.startswith("KAFKA") and (files or name == "KAFKA_PORT")
        ]
        # Compose reads these when it is called: of two stacks, the one that was made last is the one that it speaks of.
        self._variables = (
            {name: str(port) for name, port in ports.items()}
            | {"COMPOSE_PROJECT_NAME": project}
            | dict(variables or {})
        )
        self._own_environment()
        built = "opshub/kafka" in docker("images", "--format", "{{.Repository}}", check=False)
        self._compose = DockerCompose(
            ROOT / "docker",
            compose_file_name=[
                str(ROOT / name) for name in ("docker/compose.yaml", *files, "tests/containers/compose.test.yaml")
            ],
            profiles=list(profiles),
            env_file=str(ROOT / "docker/images/built.env") if built else None,
            wait=True,
            keep_volumes=False,
        )
        self._clerks: list[Clerk] = []
        self._journal: dict[tuple[str, str], bool] = {}
        self._won: set[str] = set()
        self._surely: set[str] = set()
        self._loads = 0
        self.env: dict[str, str] = {}

    def _own_environment(self) -> None:
        os.environ |= self._variables

    def __enter__(self) -> ContainerStack:
        self._own_environment()
        self._compose.stop(down=True)  # what a run that was killed left behind
        self._compose.start()
        for prefix, service in SYSTEMS.values():
            shown = json.loads(docker("inspect", self.container(service)))[0]["NetworkSettings"]["Networks"]
            self.env |= {
                f"{prefix}_HOST": shown[f"{self.project}_systems"]["IPAddress"],
                f"{prefix}_PORT": "5432",
                f"{prefix}_DATABASE": service,
                f"{prefix}_APP_USER": f"{service}_app",
                f"{prefix}_APP_PASSWORD": self.secret(f"{prefix}_APP_PASSWORD"),
                f"{prefix}_ADMIN_USER": "postgres",
                f"{prefix}_ADMIN_PASSWORD": self.secret(f"{prefix}_ADMIN_PASSWORD"),
            }
        stock_up(dsn_of(self.env, "DEMO_CRM", "APP"), dsn_of(self.env, "DEMO_ERP", "APP"))
        return self

    def __exit__(self, *_: object) -> None:
        for clerk in self._clerks:
            clerk.stop()
        self._own_environment()
        self._compose.stop(down=True)

    # -- containers

    def use(self, **variables: str) -> None:
        """From now on, these variables of the Compose files have these values."""
        self._variables |= variables

    def compose(self, *arguments: str) -> str:
        """`docker compose` of this stack."""
        self._own_environment()
        return docker(*self._compose.compose_command_property[1:], *arguments)

    def containers(self, service: str) -> list[str]:
        """Names of its containers, those that do not run among them; by name."""
        labels = {"project": self.project, "service": service, "oneoff": "False"}
        filters = [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        return sorted(docker("ps", "--all", *filters, "--format={{.Names}}").split())

    def container(self, service: str) -> str:
        """The first of its containers."""
        return self.containers(service)[0]

    def scale_workers(self, number: int, *options: str) -> None:
        """So many workers run, and the clerks' work goes on."""
        self.compose("up", "--detach", "--no-deps", *options, "--scale", f"worker={number}", "worker")
        assert came_true(lambda: len(self.containers("worker")) == number, 120), f"there are not {number} workers"
        before = self.commits()
        assert came_true(lambda: self.commits() > before + 20, 120), "the clerks do not work"

    def secret(self, name: str) -> str:
        """A password, from the volume that holds all of them."""
        return docker(
            "run",
            "--rm",
            "--network=none",
            "--entrypoint=cat",
            f"--volume={self.project}_secrets:/all:ro",
            "opshub-worker:0.1.0",
            f"/all/{name}",
        )

    @property
    def hub(self) -> str:
        """Connection string of the hub, by its present address."""
        networks = json.loads(docker("inspect", self.container(self.hub_service)))[0]["NetworkSettings"]["Networks"]
        password = self.env.setdefault("HUB_PASSWORD", self.secret("OPSHUB_HUB_PASSWORD"))
        return f"postgresql://opshub:{password}@{networks[f'{self.project}_hub']['IPAddress']}:5432/opshub?connect_timeout=5"

    @property
    def kafka(self) -> str:
        """The brokers, as this machine reaches them."""
        return ",".join(f"127.0.0.1:{port}" for port in self.kafka_ports)

    def cut(self, container: str, network: str) -> None:
        """The container loses its link to a network: what is sent disappears, and connections stay open."""
        docker("network", "disconnect", f"{self.project}_{network}", container)

    def mend(self, container: str, network: str, alias: str) -> None:
        docker("network", "connect", "--alias", alias, f"{self.project}_{network}", container)

    # -- load

    def load(self) -> None:
        """Clerks at both systems begin to work; those of a fault that failed end: a journal takes one load at a time."""
        self._end_load()
        self._loads += 1
        for kind in (CrmUser, ErpUser, SupplyUser):
            prefix, _ = SYSTEMS["demo-crm" if kind is CrmUser else "demo-erp"]
            user = kind(random.Random(f"{self._loads}/{kind.__name__}"))
            clerk = Clerk(user, dsn_of(self.env, prefix, "APP"), kind.__name__, 0.05)
            self._clerks.append(clerk)
            clerk.start()

    def commits(self) -> int:
        return sum(clerk.commits for clerk in self._clerks)

    def recovered(self) -> float:
        """Seconds until a new customer of the CRM is in the hub."""
        key, began = str(uuid.uuid4()), time.monotonic()

        def is_written() -> bool:
            try:
                with psycopg.connect(dsn_of(self.env, "DEMO_CRM", "APP"), connect_timeout=3) as crm:
                    crm.execute("INSERT INTO account (id, name) VALUES (%s, %s)", [key, f"Probe {key}"])
                return True
            except psycopg.OperationalError:
                return False

        def is_there() -> bool:
            try:
                with psycopg.connect(self.hub) as hub:
                    wanted = id_of("demo-crm", "customer", key)
                    return hub.execute("SELECT 1 FROM entity WHERE id = %s::uuid", [wanted]).fetchone() is not None
            except psycopg.OperationalError:
                return False

        assert came_true(is_written, RECOVERS_WITHIN, 0.5), "the CRM does not take a row"
        assert came_true(is_there, RECOVERS_WITHIN, 0.5), (
            f"a new customer is not in the hub after {RECOVERS_WITHIN:.0f} s"
        )
        return time.monotonic() - began

    def _end_load(self) -> None:
        for clerk in self._clerks:
            clerk.finish()
            self._journal |= clerk.journal
            self._won |= set(clerk.user.won)
            self._surely |= clerk.user.surely
        self._clerks.clear()

    def settle(self) -> Findings:
        """End the load, and check everything until nothing is wrong any more: what is lost, doubled or gone back stays so."""
        self._end_load()
        end = time.monotonic() + RECOVERS_WITHIN
        findings = self._check()
        while not findings.hold and time.monotonic() < end:
            time.sleep(3)
            findings = self._check()
        return findings

    def _check(self) -> Findings:
        dsns = {system: dsn_of(self.env, prefix, "ADMIN") for system, (prefix, _) in SYSTEMS.items()}
        with psycopg.connect(dsns["demo-crm"]) as crm:
            query = "SELECT id::text FROM opportunity WHERE id = ANY(%s::uuid[]) AND stage = 'Closed Won'"
            won = {row[0] for row in crm.execute(query, [list(self._won)]).fetchall()}
        ordered = won | self._surely
        return check(read_evidence(self.kafka, self.hub, dsns, self._journal, ordered))

    def verify(self) -> dict[str, Any]:
        """The verdict of `opshub verify` in a container, once it finds no difference: sums follow by up to some minutes."""
        command = (*self._compose.compose_command_property[1:], "exec", "-T", "console", "opshub", "verify", "--json")
        found: dict[str, Any] = {}

        def is_equal() -> bool:
            found.update(json.loads(docker(*command, check=False) or "{}"))
            return bool(found) and not any(found[kind] for kind in ("lost", "doubled", "differing", "gone_back"))

        came_true(is_equal, RECOVERS_WITHIN, 3)
        return found

    def endure(self, fault: str, inject: Fault, acts: int = 30) -> Findings:
        """Under load, after so many acts of the clerks, a fault; then what is new must come through, and everything is checked.

        Adds a line to the table. Raises AssertionError when nothing comes through any more.
        """
        self.load()
        before = self.commits()
        assert came_true(lambda: self.commits() > before + acts, RECOVERS_WITHIN), "the clerks do not work"
        inject(self)
        recovery_s = self.recovered()
        findings = self.settle()
        counts: Counter[str] = Counter(findings.counts)
        shown = counts["lost"], counts["doubled"], counts["gone_back"]
        ROWS.append(Row(fault, *shown, sum(counts.values()) - sum(shown), recovery_s))
        return findings


Fault = Callable[[ContainerStack], None]
"""What it breaks, it mends, except where the fault is that it stays broken."""
