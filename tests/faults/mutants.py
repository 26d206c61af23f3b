"""Real workers that do one thing wrong, to see that the checker finds it: `python -m tests.faults.mutants 'drop a
batch' --worker-name w0`.

Each mutation replaces one function of the product in this process only, then runs the worker as the command does.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Callable
from typing import Any

import msgspec

import streams.pipeline.settle.merging
import streams.runtime.fenced_lane
from streams.app import ROLES, run_worker
from streams.decode.envelope import Decoder
from streams.model.change import Position, RowChange
from streams.pipeline.ingest import Ingest
from streams.runtime.batch import Batch, Output
from streams.runtime.fenced_lane import FencedLane
from streams.settings import Settings


def _replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    setattr(owner, name, make(getattr(owner, name)))


def drop_a_batch() -> None:
    """What every fifth batch of ingest gives rise to is forgotten, and its offsets are committed."""
    batches = [0]

    def make(step: Any) -> Any:
        async def forgetful(self: Ingest, records: Any, lookup: Any) -> Any:
            outputs, taken = await step(self, records, lookup)
            batches[0] += 1
            return ([] if batches[0] % 5 == 0 else outputs), taken

        return forgetful

    _replace(Ingest, "step", make)


def swap_two_positions() -> None:
    """The second of two changes of a row claims to have come before the first."""
    first: dict[Any, Position] = {}

    def make(decode: Any) -> Any:
        def swapped(self: Decoder, topic: str, key: bytes | None, value: bytes | None) -> RowChange | None:
            change: RowChange | None = decode(self, topic, key, value)
            if change is None or change.op == "t":
                return change
            before = first.pop((topic, key), None)
            if before is None:
                first[topic, key] = change.position
                return change
            epoch, major, minor = before
            return msgspec.structs.replace(change, position=Position(epoch, major, minor - 1))

        return swapped

    _replace(Decoder, "decode", make)


def acknowledge_early() -> None:
    """Offsets are committed before the work is done; the worker dies in between."""
    batches = [0]

    def make(run: Any) -> Any:
        async def hasty(self: FencedLane, deliver: Any, on_rebalance: Any) -> None:
            async def early(batch: Batch) -> None:
                await batch.commit([])
                batches[0] += self.name == "assemble"
                if batches[0] > 20 and self.name == "assemble" and len(batch.records) >= 10:
                    os.kill(os.getpid(), signal.SIGKILL)
                await deliver(batch)

            await run(self, early, on_rebalance)

        return hasty

    _replace(FencedLane, "run", make)


def forget_a_tombstone() -> None:
    """The hub deletes a record, and nobody downstream is told."""

    def make(produce: Any) -> Any:
        def quiet(producer: Any, outputs: list[Output]) -> None:
            produce(producer, [one for one in outputs if one.value is not None])

        return quiet

    _replace(streams.runtime.fenced_lane, "produce", make)


def emit_what_is_old() -> None:
    """As a zombie that nothing fences: what was emitted a while ago comes again, behind what is newer."""
    emitted: list[Output] = []

    def make(produce: Any) -> Any:
        def late(producer: Any, outputs: list[Output]) -> None:
            canonical = [one for one in outputs if one.topic.startswith("canonical.")]
            emitted.extend(canonical)
            produce(producer, [*outputs, *(emitted[-100:-99] if canonical else [])])

        return late

    _replace(streams.runtime.fenced_lane, "produce", make)


def apply_an_echo() -> None:
    """What write-back wrote is taken for what people said."""
    streams.pipeline.settle.merging.is_echo = lambda origin: False


MUTATIONS: dict[str, tuple[Callable[[], None], tuple[str, ...]]] = {
    "apply an echo": (apply_an_echo, ("echoed",)),
    "drop a batch": (drop_a_batch, ("lost", "differing", "ghost")),
    "swap two positions": (swap_two_positions, ("differing",)),
    "ack early": (acknowledge_early, ("lost", "differing", "ghost")),
    "forget a tombstone": (forget_a_tombstone, ("ghost",)),
    "emit what is old": (emit_what_is_old, ("gone_back",)),
}
"""Name → (what switches it on, kinds of findings of which at least one must come)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mutation", choices=sorted(MUTATIONS))
    parser.add_argument("--role", action="append", choices=ROLES)
    given = parser.parse_args()
    MUTATIONS[given.mutation][0]()
    run_worker(Settings(), roles=tuple(given.role or ROLES))


if __name__ == "__main__":
    main()
