"""The topics that opshub makes: raw and change topics are kept for a time, canonical topics are compacted for ever."""

from __future__ import annotations

from confluent_kafka import KafkaException
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.cimpl import NewTopic

from streams.errors import EnvironmentFault
from streams.kafka.clients import admin_client
from streams.model import limits
from streams.model.entities import ENTITIES
from streams.model.names import changes_topic
from streams.provision.systems import System
from streams.settings import Settings

WEEK_MS = str(7 * 24 * 3600 * 1000)

ANY_TIME = 2**63 - 1

_WIDTH = "max.message.bytes"
_AHEAD = "message.timestamp.after.max.ms"
"""How far ahead of the broker's clock a record's time may be (an hour, if nobody says): what is further is refused, and the lane
waits until the clocks agree. Set after a topic was made: brokers before 3.6 know no such limit, and would not make it.
"""
_LEAST = {_WIDTH: limits.TOPIC, _AHEAD: ANY_TIME}


def change_topics() -> list[str]:
    """`changes.<aggregate>`, one for each aggregate."""
    return sorted({changes_topic(entity.aggregate) for entity in ENTITIES.values()})


def wanted_topics(systems: list[System]) -> dict[str, dict[str, str]]:
    """topic → its configuration."""
    wide = {"compression.type": "producer", _WIDTH: str(limits.TOPIC)}
    kept = {**wide, "cleanup.policy": "delete", "retention.ms": WEEK_MS}
    compacted = {**wide, "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.5"}
    wanted = {topic: kept for system in systems for topic in system.topics}
    wanted |= {topic: kept for topic in change_topics()}
    wanted |= {entity.topic: compacted for entity in ENTITIES.values() if entity.topic}
    wanted |= {"deadletters": {**kept, "retention.ms": "-1"}, "conflicts": kept}
    return wanted


def missing_topics(settings: Settings, systems: list[System]) -> dict[str, dict[str, str]]:
    """What of `wanted_topics` Kafka does not have. Raises EnvironmentFault when no broker answers."""
    admin = admin_client(settings.kafka)
    try:
        there = admin.list_topics(timeout=10).topics
    except KafkaException as error:
        raise EnvironmentFault(
            f"Kafka does not answer at {settings.kafka}: {error.args[0].str()}",
            remedy="`opshub up` starts the native stack",
        ) from error
    return {topic: config for topic, config in wanted_topics(systems).items() if topic not in there}


def narrow_topics(settings: Settings, systems: list[System]) -> dict[str, dict[str, int]]:
    """Those of `wanted_topics` that are there and refuse a record which our workers may produce, so that a lane could not go on; and by
    which settings they would take it.
    """
    admin = admin_client(settings.kafka)
    wanted = wanted_topics(systems)
    try:
        there = admin.list_topics(timeout=10).topics
        asked = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in wanted if name in there]
        told = {one.name: future.result(10) for one, future in admin.describe_configs(asked).items()} if asked else {}
    except KafkaException as error:
        raise EnvironmentFault(
            f"Kafka does not tell how its topics are set: {error.args[0].str()}",
            remedy="the client needs the right DescribeConfigs on them",
        ) from error
    lacking = {
        name: {one: least for one, least in _LEAST.items() if one in config and int(config[one].value) < least}
        for name, config in sorted(told.items())
    }
    return {name: wider for name, wider in lacking.items() if wider}


def widen_topics(settings: Settings, topics: dict[str, dict[str, int]]) -> None:
    """Let these topics take what `narrow_topics` says that they refuse."""
    if not topics:
        return
    admin = admin_client(settings.kafka)
    wider = {
        name: [ConfigEntry(*one, incremental_operation=AlterConfigOpType.SET) for one in _written(lacking)]
        for name, lacking in topics.items()
    }
    asked = [ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=one) for name, one in wider.items()]
    for topic, future in admin.incremental_alter_configs(asked).items():
        try:
            future.result(30)
        except KafkaException as error:
            raise EnvironmentFault(
                f"Kafka did not let {topic.name} take all records: {error.args[0].str()}",
                remedy=f"set {', '.join(map('='.join, _written(topics[topic.name])))} on it, "
                "or give the client the right AlterConfigs",
            ) from error


def _written(config: dict[str, int]) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in config.items()]


def create_topics(settings: Settings, topics: dict[str, dict[str, str]]) -> None:
    """Make these topics, with the partitions and replication of the settings."""
    if not topics:
        return
    admin = admin_client(settings.kafka)
    made = admin.create_topics(
        [
            NewTopic(topic, settings.partitions, settings.replication_factor, config=config)
            for topic, config in topics.items()
        ]
    )
    for topic, future in made.items():
        try:
            future.result(30)
        except KafkaException as error:
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                raise EnvironmentFault(f"Kafka did not make the topic {topic}: {error.args[0].str()}") from error
