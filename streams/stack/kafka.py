"""The Kafka broker: one KRaft node that is broker and controller."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import uuid
from pathlib import Path

from streams.errors import EnvironmentFault
from streams.settings import Settings
from streams.stack.processes import tail
from streams.stack.server import Server, java, write_config

MAX_MESSAGE_BYTES = 8 * 1024 * 1024  # as streams.model.limits.TOPIC
ANY_TIME = 2**63 - 1  # as streams.provision.topics.ANY_TIME

LOG4J = """\
status = warn
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS}{UTC}Z %-5p %c{1} %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
logger.quiet1.name = org.apache.kafka.clients
logger.quiet1.level = warn
logger.quiet2.name = org.apache.kafka.common
logger.quiet2.level = warn
logger.quiet3.name = org.reflections
logger.quiet3.level = error
logger.quiet4.name = org.glassfish.jersey
logger.quiet4.level = error
"""


SMALL = ("-XX:+UseCompactObjectHeaders", "-XX:+UseTransparentHugePages", "-XX:-UsePerfData")
"""Smaller objects and larger pages: at 5,000 rows/s the broker needs 15 % of a core instead of 17 %, Connect 28 %
instead of 30 %.
"""

JVM = ("-XX:+UseSerialGC", *SMALL)
"""The serial collector suits heaps of one gigabyte on few cores: with G1 the broker needs 90 MB more and is no
faster.
"""

ONE_COMPILER = "-XX:TieredStopAtLevel=1"
"""Turns the JVM's second compiler off, for programs that end soon or do little: the registry starts in 2.8 s, not 3.7
s. The broker keeps it: at 500 and 1,500 rows/s it then needs a third less of a core once warm, and latency at 2,000
rows/s is lower from a cold start too.
"""


def jars(folder: Path) -> str:
    """Class path of every jar in a folder."""
    return f"{folder}/*"


class Kafka(Server):
    """The broker. Auto-creation of topics is off: `opshub apply` creates them."""

    archives = ("kafka",)
    stop_seconds = 30.0

    def __init__(self, settings: Settings, lib: Path) -> None:
        super().__init__("kafka", settings, "kafka_port")
        self._lib = lib
        self._logs = self.data / "log"
        self._config = self.state / "etc" / "kafka.properties"
        self._log4j = self.state / "etc" / "log4j2.properties"

    @property
    def other_ports(self) -> dict[str, int]:
        return {"kafka_controller_port": self.settings.kafka_controller_port}

    def prepare(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        write_config(self._config, self._properties())
        self._log4j.write_text(LOG4J, encoding="utf-8")
        if not (self._logs / "meta.properties").exists():
            self._format()

    def command(self) -> list[str]:
        return java(
            "1g",
            "-Xms256m",
            *JVM,
            f"-Dlog4j2.configurationFile={self._log4j}",
            classpath=jars(self._lib),
            main="kafka.Kafka",
            arguments=(str(self._config),),
        )

    def healthy(self) -> bool:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        with contextlib.suppress(KafkaException):
            admin = AdminClient(
                {"bootstrap.servers": f"{self.host}:{self.port}", "log_level": 0, "socket.timeout.ms": 2000}
            )
            return bool(admin.list_topics(timeout=2).brokers)
        return False

    def fingerprint_parts(self) -> list[str]:
        return [*super().fingerprint_parts(), *(f"{key}={value}" for key, value in self._properties().items())]

    def _properties(self) -> dict[str, str]:
        host, port, controller = self.settings.host, self.port, self.settings.kafka_controller_port
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{self.host}:{controller}",
            "listeners": f"PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.host}:{port},CONTROLLER://{self.host}:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self._logs),
            "num.partitions": str(self.settings.partitions),
            "default.replication.factor": "1",
            "auto.create.topics.enable": "false",
            "delete.topic.enable": "true",
            "message.max.bytes": str(MAX_MESSAGE_BYTES),
            "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
            # By default the broker refuses records from more than an hour ahead of its clock: one wrong clock would
            # stop everything.
            "log.message.timestamp.after.max.ms": str(ANY_TIME),
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            # An open transaction of a killed worker blocks its successor; the default checks only every ten seconds.
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
            "share.coordinator.state.topic.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # A killed broker can register again only when its old session has timed out; the default is nine seconds.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "log.cleaner.enable": "true",
            "log.cleaner.threads": "1",
            "log.cleaner.dedupe.buffer.size": str(32 * 1024 * 1024),
            "log.segment.bytes": str(256 * 1024 * 1024),
            "num.network.threads": "2",
            "num.io.threads": "4",
            "background.threads": "2",
            "num.recovery.threads.per.data.dir": "2",
        }

    def _format(self) -> None:
        """Make the storage on the first start, with a cluster id of its own."""
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")  # may begin with "-"
        command = java(
            "256m",
            *JVM,
            ONE_COMPILER,
            f"-Dlog4j2.configurationFile={self._log4j}",
            classpath=jars(self._lib),
            main="kafka.tools.StorageTool",
            arguments=("format", f"--cluster-id={cluster}", "--config", str(self._config), "--ignore-formatted"),
        )
        with self.log.open("ab") as log:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(os.environ),
                start_new_session=True,
            )
        if done.returncode:
            raise EnvironmentFault(
                f"kafka: its storage could not be made:\n{tail(self.log)}",
                remedy=f"correct what the log names; the whole log is {self.log}",
            )
