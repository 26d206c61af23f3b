"""The schema registry: Apicurio, which speaks the Confluent API at /apis/ccompat/v7.

It keeps its schemas in a database of its own on the hub's Postgres: records name their schema by its id, so a crash
must neither lose a schema nor let its id be used again.
"""

from __future__ import annotations

from pathlib import Path

from streams.settings import Settings
from streams.stack.kafka import JVM, ONE_COMPILER
from streams.stack.server import Server, answers, java


class Registry(Server):
    archives = ("registry",)
    needs = ("hub",)

    def __init__(self, settings: Settings, home: Path, password: str) -> None:
        super().__init__("registry", settings, "registry_port")
        self._home = home
        self._password = password

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | self._values()

    def prepare(self) -> None:
        return

    def command(self) -> list[str]:
        return java("320m", *JVM, ONE_COMPILER, arguments=("-jar", str(self._home / "quarkus-run.jar")))

    def healthy(self) -> bool:
        return answers(f"http://{self.host}:{self.port}/apis/ccompat/v7/subjects")

    def fingerprint_parts(self) -> list[str]:
        return [*super().fingerprint_parts(), *(f"{key}={value}" for key, value in self._values().items())]

    def _values(self) -> dict[str, str]:
        return {
            "QUARKUS_HTTP_HOST": self.settings.host,
            "QUARKUS_HTTP_PORT": str(self.port),
            "QUARKUS_LOG_CONSOLE_JSON": "false",
            # Its second port serves probes that nobody uses here: any free one will do.
            "QUARKUS_MANAGEMENT_HOST": "127.0.0.1",
            "QUARKUS_MANAGEMENT_PORT": "0",
            "APICURIO_STORAGE_KIND": "sql",
            "APICURIO_STORAGE_SQL_KIND": "postgresql",
            "APICURIO_DATASOURCE_URL": f"jdbc:postgresql://{self.host}:{self.settings.hub_port}/registry",
            "APICURIO_DATASOURCE_USERNAME": "registry",
            "APICURIO_DATASOURCE_PASSWORD": self._password,
        }
