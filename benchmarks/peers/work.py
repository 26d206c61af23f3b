"""The work that every peer does for a raw record, and how a peer says what it took.

A peer is a script `benchmarks/peers/<name>/run.py`, run with the interpreter of its own venv and one argument: a `Job`
as JSON. It prints a `Took` as JSON on its last line. What runs on a JVM does the job twice and tells the second pass
too (`again_…`, into the topic `<out>.again`). Time runs from the first record that it gets; it ends when all of its
output is acknowledged.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from typing import Any

import msgspec

from streams.decode.envelope import Decoder
from streams.emit.change_codec import encode_change
from streams.model.change import Change
from streams.provision.systems import load_systems
from streams.settings import Settings


class Job(msgspec.Struct):
    bootstrap: str
    topics: list[str]
    count: int
    """Records in `topics`; there are no tombstones among them, which some peers never show."""
    out: str
    schema_id: int


def job() -> Job:
    return msgspec.json.decode(sys.argv[1], type=Job)


class Work:
    """(topic, key, value) → (key, value) of each change. The parent's id is the key, else the entity's own: no look-up
    of homes.
    """

    def __init__(self, one: Job) -> None:
        self.count = one.count
        self._routes: dict[str, Any] = {}
        for system in load_systems(Settings()):
            dictionary: Any = system.dictionary
            decoder = Decoder(dictionary, prefix=system.source["config"]["topic.prefix"])
            for topic in decoder.topics:
                self._routes[topic] = (decoder.decode, dictionary.tables)
        # As opshub's workers have it, so that no peer pays for what a setting of Python saves.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        self.seen = 0
        self._begun = (0.0, 0.0)

    def __call__(self, topic: str, key: bytes | None, value: bytes | None) -> list[tuple[bytes, bytes]]:
        if not self.seen:
            self._begun = self.now()
        self.seen += 1
        name = topic.rsplit(".bench", 1)[0]
        decode, tables = self._routes[name]
        row = decode(name, key, value)
        if row is None:
            return []
        p = row.position
        return [
            (
                (one.parent or one.id).encode(),
                encode_change(
                    Change("change", one.entity, one.id, row.system, one.key, row.op, p[0], p[1], p[2], row.source_us, row.tx, row.origin,
                           one.parent, one.same_as, None, one.deleted, 0, one.fields)
                ),
            )
            for one in tables[row.table].map_change(row)
        ]  # fmt: skip

    @property
    def done(self) -> bool:
        return self.seen >= self.count

    def now(self) -> tuple[float, float]:
        """Seconds of the clock and of this process's CPU."""
        return time.perf_counter(), time.process_time()

    def took(self, until: tuple[float, float] | None = None) -> None:
        """Print what it took, up to now or to what `now` said, as the last line."""
        wall, cpu = (end - begin for end, begin in zip(until or self.now(), self._begun, strict=True))
        print(json.dumps({"per_second": self.seen / wall, "us": cpu / self.seen * 1e6}), flush=True)
