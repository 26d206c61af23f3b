"""The progress of each captured system: its connector, what the workers took of its raw topics, what waits.

In: hub, Connect and Kafka as they are. Out: one `SystemProgress` for each system, for `opshub status`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from confluent_kafka import KafkaException

from streams.capture.accounting import KINDS
from streams.hub.raw_accounts import PartitionAccount, load_raw_accounts
from streams.hub.session import hub_session
from streams.kafka.clients import kafka_away
from streams.kafka.offsets import topic_offsets
from streams.model.partition import Partition
from streams.provision import connectors
from streams.provision.systems import System, load_systems
from streams.settings import Settings


class TableProgress(msgspec.Struct, frozen=True):
    """One captured table: records that wait in its raw topic (None: there is no topic), and what became of the
    others.
    """

    waiting: int | None
    passed: int
    filtered: int
    tombstones: int
    dead: int
    parked: int
    control: int

    @property
    def taken(self) -> int:
        """Records that workers have taken, whatever became of them."""
        return self.passed + self.filtered + self.tombstones + self.dead + self.parked + self.control


class SystemProgress(msgspec.Struct, frozen=True):
    """One system; `connector` is the state that Connect reports, `problem` what a person should see to, if anything."""

    system: str
    connector: str
    taken: int
    waiting: int
    problem: str | None
    tables: dict[str, TableProgress]


def capture_progress(settings: Settings) -> list[SystemProgress]:
    """One entry for each system of the settings. Raises EnvironmentFault while hub, Connect or Kafka does not
    answer.
    """
    systems = load_systems(settings)
    topics = [topic for system in systems for topic in system.topics]
    # The hub before Kafka: records that arrive in between count as waiting, and none is counted twice.
    with hub_session(settings.hub) as hub:
        accounts = load_raw_accounts(hub, topics)
    states = {system.name: connectors.state_of(settings, system) for system in systems}
    waiting = waiting_by_topic(topics, raw_offsets(settings, topics), accounts)
    return [_progress(system, *states[system.name], accounts, waiting) for system in systems]


def _progress(
    system: System,
    state: str,
    cause: str,
    accounts: Mapping[Partition, PartitionAccount],
    waiting: Mapping[str, int | None],
) -> SystemProgress:
    tables = {}
    for topic, table in sorted(system.topics.items()):
        partitions = [account for (name, _), account in accounts.items() if name == topic]
        sums = (sum(getattr(account, kind) for account in partitions) for kind in KINDS)
        tables[table] = TableProgress(waiting.get(topic), *sums)
    taken = sum(table.taken for table in tables.values())
    waits = sum(table.waiting or 0 for table in tables.values())
    without_topic = [name for name, table in tables.items() if table.waiting is None]
    problem = system_problem(system, state, cause, taken, waits, without_topic)
    return SystemProgress(system.name, state, taken, waits, problem, tables)


def system_problem(
    system: System, state: str, cause: str, taken: int, waits: int, without_topic: list[str]
) -> str | None:
    """What a person should see to, if anything; `state` and `cause` are those of `connectors.status`."""
    if state == "MISSING":
        return "it is not captured: `opshub apply` registers its connector"
    if state == "FAILED":
        return f"it cannot be read: {cause}" if not system.has_database else f"its connector failed: {cause}"
    if state in ("STOPPED", "PAUSED"):
        return (
            f"its connector is {state.lower()}: `opshub systems resume {system.name}` starts it again where a person "
            "paused it; else `opshub doctor` says why"
        )
    if without_topic:
        return f"{', '.join(without_topic)} has no raw topic: `opshub apply` creates it"
    if waits and not taken:
        return f"no worker takes its records: start the workers with {system.name} among OPSHUB_SYSTEMS"
    if not waits and not taken and state == "RUNNING":
        return "no record of its tables has come: they are empty, or `opshub doctor` says why"
    return None


def waiting_by_topic(
    topics: list[str],
    offsets: Mapping[Partition, tuple[int, int]],
    accounts: Mapping[Partition, PartitionAccount],
) -> dict[str, int | None]:
    """Raw topic → offsets that no worker has counted yet; None where there is no topic."""
    waiting: dict[str, int | None] = dict.fromkeys(topics)
    for (topic, number), (first, end) in offsets.items():
        account = accounts.get((topic, number))
        upto = account.upto if account is not None else 0
        waiting[topic] = (waiting[topic] or 0) + max(0, end - max(upto, first))
    return waiting


def raw_offsets(settings: Settings, topics: list[str]) -> dict[Partition, tuple[int, int]]:
    """(first, next) offset of each raw partition. Raises EnvironmentFault while Kafka does not answer."""
    try:
        return topic_offsets(settings.kafka, topics)
    except KafkaException as error:
        raise kafka_away(settings.kafka, error) from error
