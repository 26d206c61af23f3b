"""Kafka Connect in distributed mode, with the Debezium connectors that are installed.

It resolves `${env:NAME}` in connector configurations from its own environment, so no password is in its REST interface
or in its topics.
"""

from __future__ import annotations

from pathlib import Path

from streams.settings import Settings
from streams.stack.environment import read_environment
from streams.stack.kafka import LOG4J, MAX_MESSAGE_BYTES, SMALL, jars
from streams.stack.server import Server, answers, java, write_config

JVM = ("-XX:+UseParallelGC", *SMALL)
"""CPU of Connect for a captured row, warm, on two cores: parallel 29 us, G1 30 us (and 150 MB more), serial 34 us.
At 5,000 rows/s with both compilers: 80 % of a core cold, 30 % after 80 s; with the first only 60 % always."""


class Connect(Server):
    """One Connect worker. It waits for the broker by itself, so both start at the same time."""

    archives = ("kafka", "debezium-postgres")
    stop_seconds = 30.0
    start_seconds = 120.0

    def __init__(self, settings: Settings, lib: Path, plugins: list[Path]) -> None:
        super().__init__("connect", settings, "connect_port")
        self._lib = lib
        self._plugins = plugins
        self._config = self.state / "etc" / "connect.properties"
        self._log4j = self.state / "etc" / "log4j2-connect.properties"

    @property
    def environment(self) -> dict[str, str]:
        return read_environment(self.settings) | super().environment

    def prepare(self) -> None:
        write_config(self._config, self._properties())
        self._log4j.write_text(LOG4J, encoding="utf-8")

    def command(self) -> list[str]:
        return java(
            "1g",
            "-Xms256m",
            *JVM,
            f"-Dlog4j2.configurationFile={self._log4j}",
            classpath=jars(self._lib),
            main="org.apache.kafka.connect.cli.ConnectDistributed",
            arguments=(str(self._config),),
        )

    def healthy(self) -> bool:
        # The root page answers before the worker has joined its group; this one does not.
        return answers(f"http://{self.host}:{self.port}/connectors")

    def fingerprint_parts(self) -> list[str]:
        values = [*self._properties().items(), *sorted(read_environment(self.settings).items())]
        return [*super().fingerprint_parts(), *(f"{key}={value}" for key, value in values)]

    def _properties(self) -> dict[str, str]:
        return {
            "bootstrap.servers": f"{self.host}:{self.settings.kafka_port}",
            "group.id": f"{self.settings.app_id}-connect",
            "listeners": f"http://{self.settings.host}:{self.port}",
            "rest.advertised.host.name": self.host,
            "rest.advertised.port": str(self.port),
            "plugin.path": ",".join(str(plugin) for plugin in self._plugins),
            "plugin.discovery": "service_load",  # the default scans every class, which doubles the start time
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "key.converter.schemas.enable": "false",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "false",
            # -1: as many replicas as the brokers' default.replication.factor.
            "config.storage.topic": "connect.configs",
            "config.storage.replication.factor": "-1",
            "offset.storage.topic": "connect.offsets",
            "offset.storage.replication.factor": "-1",
            "offset.storage.partitions": "4",
            "status.storage.topic": "connect.status",
            "status.storage.replication.factor": "-1",
            "status.storage.partitions": "2",
            "offset.flush.interval.ms": "5000",
            "connector.client.config.override.policy": "All",
            "config.providers": "env",
            "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
            # There is only one worker: waiting for another to come back gains nothing.
            "scheduled.rebalance.max.delay.ms": "0",
            "session.timeout.ms": "6000",
            "heartbeat.interval.ms": "2000",
            "task.shutdown.graceful.timeout.ms": "8000",
            "producer.compression.type": "lz4",
            "producer.linger.ms": "1",
            "producer.batch.size": str(256 * 1024),
            "producer.buffer.memory": str(64 * 1024 * 1024),
            "producer.max.request.size": str(MAX_MESSAGE_BYTES),
        }
