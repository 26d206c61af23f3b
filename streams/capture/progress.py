"""By system, how far its rows have come: what its connector does, what workers took of its raw topics, what waits, what is amiss."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaException

from streams.errors import EnvironmentFault
from streams.hub.session import hub_session
from streams.kafka.offsets import topic_offsets
from streams.provision import connectors
from streams.provision.systems import System, load_systems
from streams.settings import Settings

_COUNTS = ("passed", "filtered", "tombstones", "dead", "parked", "control")


def captured(settings: Settings) -> list[dict[str, Any]]:
    """One entry for each system of the settings, with its tables. Raises EnvironmentFault while hub, Connect or Kafka is away."""
    systems = load_systems(settings)
    counted = _counted(settings, [topic for system in systems for topic in system.topics])
    states = {system.name: connectors.status(settings, system.source["name"]) for system in systems}
    waiting = _waiting(settings, systems, counted)
    return [_told(system, *states[system.name], counted, waiting) for system in systems]


def _told(
    system: System,
    state: str,
    cause: str,
    counted: dict[str, dict[int, tuple[int, ...]]],
    waiting: dict[str, int | None],
) -> dict[str, Any]:
    tables = {}
    for topic, table in sorted(system.topics.items()):
        parts = counted.get(topic, {}).values()
        sums = (sum(part[number] for part in parts) for number in range(1, 1 + len(_COUNTS)))
        tables[table] = {"waiting": waiting.get(topic), **dict(zip(_COUNTS, sums, strict=True))}
    taken = sum(table[name] or 0 for table in tables.values() for name in _COUNTS)
    waits = sum(table["waiting"] or 0 for table in tables.values())
    return {
        "system": system.name,
        "connector": state,
        "taken": taken,
        "waiting": waits,
        "amiss": _amiss(
            system, state, cause, taken, waits, [table for table in tables if tables[table]["waiting"] is None]
        ),
        "tables": tables,
    }


def _amiss(system: System, state: str, cause: str, taken: int, waits: int, without_topic: list[str]) -> str | None:
    if state == "MISSING":
        return "it is not captured: `opshub apply` registers its connector"
    if state == "FAILED":
        return f"its connector failed: {cause}"
    if without_topic:
        return f"{', '.join(without_topic)} has no raw topic: `opshub apply` creates it"
    if waits and not taken:
        return f"no worker takes its records: start the workers with {system.name} among OPSHUB_SYSTEMS"
    if not waits and not taken and state == "RUNNING":
        return "nothing has come of its tables: they are empty, or `opshub doctor` says why"
    return None


def _counted(settings: Settings, topics: list[str]) -> dict[str, dict[int, tuple[int, ...]]]:
    """topic → partition → (offset that comes next, counts)."""
    found: dict[str, dict[int, tuple[int, ...]]] = {}
    with hub_session(settings.hub) as connection:
        for topic, partition, *numbers in connection.execute(
            "SELECT topic, partition, upto, passed, filtered, tombstones, dead, parked, control FROM raw_account "
            "WHERE topic = ANY(%s)",
            [topics],
        ):
            found.setdefault(topic, {})[partition] = tuple(numbers)
    return found


def _waiting(
    settings: Settings, systems: list[System], counted: dict[str, dict[int, tuple[int, ...]]]
) -> dict[str, int | None]:
    """By raw topic, the offsets that no worker has counted yet; None where there is no topic."""
    topics = [topic for system in systems for topic in system.topics]
    try:
        there = topic_offsets(settings.kafka, topics)
    except KafkaException as error:
        raise EnvironmentFault(
            f"Kafka does not answer at {settings.kafka}: {error.args[0].str()}",
            remedy="`opshub up`, or check OPSHUB_BOOTSTRAP_SERVERS",
        ) from error
    waiting: dict[str, int | None] = dict.fromkeys(topics)
    for (topic, partition), (first, end) in there.items():
        upto = counted.get(topic, {}).get(partition, (0,))[0]
        waiting[topic] = (waiting[topic] or 0) + max(0, end - max(upto, first))
    return waiting
