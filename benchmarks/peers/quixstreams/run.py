"""quixstreams: a dataframe for each topic, expanded into changes, to one topic."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from quixstreams import Application
from quixstreams.models import Serializer, TopicConfig

from benchmarks.peers.work import Work, job


class Second(Serializer):
    """The value of a (key, value) pair."""

    def __call__(self, value: Any, ctx: Any) -> bytes:
        return value[1]  # type: ignore[no-any-return]


one = job()
work = Work(one)
app = Application(
    broker_address=one.bootstrap, consumer_group=f"peer-quix-{time.time_ns()}", auto_offset_reset="earliest", auto_create_topics=False,
    commit_interval=1.0, loglevel="ERROR", state_dir=f"/tmp/peer-quix-{os.getpid()}",
    producer_extra_config={"linger.ms": 20, "compression.type": "lz4", "queue.buffering.max.messages": 500_000},
    consumer_extra_config={"queued.min.messages": 20_000},
)  # fmt: skip
out = app.topic(
    one.out,
    key_serializer="bytes",
    value_serializer=Second(),
    config=TopicConfig(num_partitions=4, replication_factor=1),
)


def changes(name: str) -> Any:
    return lambda value, key, timestamp, headers: work(name, key, value)


for name in one.topics:
    frame = app.dataframe(app.topic(name, key_deserializer="bytes", value_deserializer="bytes"))
    frame.apply(changes(name), metadata=True, expand=True).to_topic(out, key=lambda pair: pair[0])
app.run(count=one.count, timeout=180.0)
work.took()
sys.exit(0)
