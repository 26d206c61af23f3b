"""What Tryton and Creme have in common as servers: set up once by their own tools, then run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from streams.errors import EnvironmentFault
from streams.settings import Settings
from streams.stack.processes import tail
from streams.stack.server import Server


class Program(Server):
    """A server that is a program of an environment of its own."""

    start_seconds = 900.0
    """The first start makes hundreds of tables."""

    def __init__(
        self, name: str, settings: Settings, port_setting: str, programs: Path, env: Mapping[str, str]
    ) -> None:
        super().__init__(name, settings, port_setting)
        self.programs = programs
        self.env = env

    @property
    def environment(self) -> dict[str, str]:
        # Not ours: a proxy or a path of this process must not reach it, but for what it needs to run.
        kept = ("PATH", "HOME", "LANG", "TMPDIR")
        return {name: os.environ[name] for name in kept if name in os.environ} | {
            "PYTHONWARNINGS": "ignore",
            "TZ": "UTC",
        }

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def tool(self, *command: str, given: str = "") -> str:
        """Run one of its own tools and return what it printed. Raises EnvironmentFault when that fails."""
        with self.log.open("ab") as log:
            done = subprocess.run(
                command, input=given, stdout=subprocess.PIPE, stderr=log, text=True, check=False,
                cwd=self.data, env=self.environment,
            )  # fmt: skip
        if done.returncode != 0:
            raise EnvironmentFault(
                f"{self.name}: {Path(command[0]).name} failed; the last lines of its log:\n{tail(self.log)}",
                remedy=f"correct what the log names; the whole log is {self.log}",
            )
        return done.stdout
