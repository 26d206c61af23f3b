"""The topics that opshub creates: raw and change topics are kept for a week, canonical topics are compacted and kept
forever.
"""

from __future__ import annotations

from confluent_kafka import KafkaException
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.cimpl import NewTopic

from streams.errors import EnvironmentFault
from streams.kafka.clients import admin_client, kafka_away
from streams.model import limits
from streams.model.entities import ENTITIES
from streams.model.names import changes_topic
from streams.provision.systems import System
from streams.settings import Settings

WEEK_MS = str(7 * 24 * 3600 * 1000)

ANY_TIME = 2**63 - 1

BROKERS_DEFAULT = -1
"""Kafka takes it for the brokers' `default.replication.factor` (KIP-464)."""

_MAX_BYTES = "max.message.bytes"
_MAX_AHEAD = "message.timestamp.after.max.ms"
"""How far ahead of the broker's clock a record's time may be; Kafka's default is an hour. The broker refuses a record
that is further ahead, and the lane waits until the clocks agree. Set after the topic was created: brokers before 3.6 do
not know it, and would refuse to create the topic.
"""
_MINIMUM = {_MAX_BYTES: limits.TOPIC, _MAX_AHEAD: ANY_TIME}


def change_topics() -> list[str]:
    """`changes.<aggregate>`, one for each aggregate."""
    return sorted({changes_topic(entity.aggregate) for entity in ENTITIES.values()})


def wanted_topics(systems: list[System]) -> dict[str, dict[str, str]]:
    """topic → its configuration."""
    wide = {"compression.type": "producer", _MAX_BYTES: str(limits.TOPIC)}
    kept = {**wide, "cleanup.policy": "delete", "retention.ms": WEEK_MS}
    # Canonical topics hold the last record of each key forever: a new consumer reads the present state from the
    # beginning.
    compacted = {**wide, "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.5"}
    wanted = {topic: kept for system in systems for topic in system.topics}
    wanted |= {topic: kept for topic in change_topics()}
    wanted |= {entity.topic: compacted for entity in ENTITIES.values() if entity.topic}
    # Dead letters stay until a person settles them, however long that takes.
    wanted |= {"deadletters": {**kept, "retention.ms": "-1"}, "conflicts": kept}
    return wanted


def missing_topics(settings: Settings, systems: list[System]) -> dict[str, dict[str, str]]:
    """Those of `wanted_topics` that Kafka does not have. Raises EnvironmentFault when no broker answers."""
    admin = admin_client(settings.kafka)
    try:
        existing = admin.list_topics(timeout=10).topics
    except KafkaException as error:
        raise kafka_away(settings.kafka, error) from error
    return {topic: config for topic, config in wanted_topics(systems).items() if topic not in existing}


def narrow_topics(settings: Settings, systems: list[System]) -> dict[str, dict[str, int]]:
    """Existing topics whose limits are too narrow; topic → setting → the value that it needs.

    Such a topic would refuse a record that a worker may emit, and the lane could not go on.
    """
    admin = admin_client(settings.kafka)
    wanted = wanted_topics(systems)
    try:
        existing = admin.list_topics(timeout=10).topics
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in wanted if name in existing]
        # An empty request is an error to librdkafka.
        futures = admin.describe_configs(resources) if resources else {}
        configs = {resource.name: future.result(10) for resource, future in futures.items()}
    except KafkaException as error:
        raise EnvironmentFault(
            f"Kafka does not describe the settings of its topics: {error.args[0].str()}",
            remedy="the client needs the right DescribeConfigs on them",
        ) from error
    narrow = {
        topic: {name: least for name, least in _MINIMUM.items() if name in config and int(config[name].value) < least}
        for topic, config in sorted(configs.items())
    }
    return {topic: config for topic, config in narrow.items() if config}


def widen_topics(settings: Settings, topics: dict[str, dict[str, int]]) -> None:
    """Set the limits that `narrow_topics` lists."""
    if not topics:
        return
    admin = admin_client(settings.kafka)
    resources = [
        ConfigResource(
            ConfigResource.Type.TOPIC,
            topic,
            incremental_configs=[
                ConfigEntry(name, str(value), incremental_operation=AlterConfigOpType.SET)
                for name, value in config.items()
            ],
        )
        for topic, config in topics.items()
    ]
    for resource, future in admin.incremental_alter_configs(resources).items():
        try:
            future.result(30)
        except KafkaException as error:
            wanted = ", ".join(f"{name}={value}" for name, value in topics[resource.name].items())
            raise EnvironmentFault(
                f"Kafka did not widen the limits of {resource.name}: {error.args[0].str()}",
                remedy=f"set {wanted} on it, or give the client the right AlterConfigs",
            ) from error


def create_topics(settings: Settings, topics: dict[str, dict[str, str]]) -> None:
    """Create these topics (name → configuration), with the partitions and replication of the settings."""
    if not topics:
        return
    admin = admin_client(settings.kafka)
    replicas = settings.replication_factor or BROKERS_DEFAULT
    least = {} if settings.min_insync_replicas is None else {"min.insync.replicas": str(settings.min_insync_replicas)}
    created = admin.create_topics(
        [NewTopic(topic, settings.partitions, replicas, config=config | least) for topic, config in topics.items()]
    )
    for topic, future in created.items():
        try:
            future.result(30)
        except KafkaException as error:
            # Another process may create it at the same time.
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                raise EnvironmentFault(f"Kafka did not create the topic {topic}: {error.args[0].str()}") from error
