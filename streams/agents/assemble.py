"""The agent assemble: changes.<aggregate> → hub and canonical.<entity>; and the background jobs beside it."""

from __future__ import annotations

from collections.abc import AsyncIterable

from mode.utils.logging import get_logger

from streams.agents.rule_limits import rule_limits
from streams.agents.waiting import on_resume, on_wait
from streams.emit.change_codec import decode_change, encode_change
from streams.emit.conflict_codec import conflict_maker
from streams.emit.wire import output_maker
from streams.hub.store import HubStore
from streams.kafka.clients import idempotent_producer
from streams.paths import connectors_dir
from streams.pipeline.assemble import Assemble
from streams.pipeline.dead_letter_topic import dead_letter_output
from streams.pipeline.invariant_checks import InvariantChecks
from streams.pipeline.refreshes import DelayedRefreshes
from streams.pipeline.sums import Sums
from streams.resolve.ownership import load_ownership
from streams.runtime.background import BackgroundJob
from streams.runtime.batch import Batch
from streams.runtime.batch_loop import each_batch
from streams.runtime.fault_points import fault_point
from streams.runtime.faust_adapter import LaneApp
from streams.runtime.logs import log_dead_letters
from streams.runtime.traces import Traces
from streams.runtime.worker_state import WorkerState
from streams.settings import Settings
from streams.writeback.http_rules import HttpTarget
from streams.writeback.load import load_rules
from streams.writeback.planner import IntentPlanner

logger = get_logger(__name__)


def build_assemble(settings: Settings, schema_ids: dict[str, int]) -> Assemble:
    """The step, with the rules of ownership and of write-back. Raises ConfigError for a file that is wrong."""
    ownership = load_ownership(connectors_dir(settings) / "ownership.yaml")
    rules = load_rules(connectors_dir(settings), settings.systems)
    planner = IntentPlanner(rules, ownership.restored)
    for entity, owned in ownership.entities.items():
        planner.check_restored(entity, [name for name, rule in owned.fields.items() if rule.restores])
    return Assemble(
        HubStore(settings.hub, f"opshub-assemble-{settings.worker}"),
        decode_change,
        encode_change,
        output_maker(schema_ids),
        ownership,
        settings.cache_entities,
        conflict_maker(schema_ids),
        planner,
        frozenset(system for system, writeback in rules.items() if isinstance(writeback.target, HttpTarget)),
    )


def build_jobs(settings: Settings, assemble: Assemble, schema_ids: dict[str, int]) -> list[BackgroundJob]:
    """What runs beside assemble: checks of flows that came to rest, refreshes that were put off, sums."""
    name = settings.worker
    # One producer for all: what the jobs emit is little, and a producer has threads and connections of its own.
    producer = idempotent_producer(settings.kafka)
    limits = rule_limits(settings)
    checks_store = HubStore(settings.hub, f"opshub-invariants-{name}")
    return [
        InvariantChecks(checks_store, assemble, limits, conflict_maker(schema_ids), producer),
        DelayedRefreshes(HubStore(settings.hub, f"opshub-refresh-{name}"), producer, encode_change),
        Sums(HubStore(settings.hub, f"opshub-sums-{name}"), producer, encode_change),
    ]


def add_assemble(
    app: LaneApp, state: WorkerState, step: Assemble, topics: list[str], traces: Traces | None = None
) -> None:
    """changes.<aggregate> → hub and canonical.<entity>.

    (1) to (3) are the step's: read, pure work, one hub transaction; (4) and (5), emit and commit offsets, are one Kafka
    transaction.
    """
    channel = app.lane("assemble", topics)

    async def work(batch: Batch) -> None:
        fault_point("assemble.read")
        outputs, dead = await step.step(batch.records)
        log_dead_letters(logger, dead)
        fault_point("assemble.hub")
        outputs.extend(dead_letter_output(dead_letter) for dead_letter in dead)
        if traces is not None:
            outputs, contexts = traces.assembled(batch.records, outputs)
            if contexts:
                await step.trace_intents(contexts)
        await batch.commit(outputs)
        fault_point("assemble.committed")

    @app.agent(channel, name="assemble")
    async def assemble(stream: AsyncIterable[Batch]) -> None:
        await each_batch(stream, work, on_wait=on_wait(state, "assemble"), on_resume=on_resume(state, "assemble"))

    app.drop_caches["assemble"] = step.forget
