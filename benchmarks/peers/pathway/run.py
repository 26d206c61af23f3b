"""pathway: its Kafka connectors over raw bytes, one flattened UDF call a record."""

from __future__ import annotations

import os
import threading
import time

import pathway as pw

from benchmarks.peers.work import Work, job

one = job()
work = Work(one)
settings = {
    "bootstrap.servers": one.bootstrap,
    "group.id": f"peer-pathway-{time.time_ns()}",
    "auto.offset.reset": "earliest",
}
tables = [
    pw.io.kafka.read(
        settings, topic=name, format="raw", mode="streaming", autocommit_duration_ms=100, with_metadata=False
    ).select(value=pw.this.data, topic=name)
    for name in one.topics
]
rows = tables[0].concat_reindex(*tables[1:]) if len(tables) > 1 else tables[0]


@pw.udf
def changes(topic: str, value: bytes) -> list[tuple[bytes, bytes]]:
    return work(topic, None, value)


made = rows.select(pair=changes(pw.this.topic, pw.this.value)).flatten(pw.this.pair)
pairs = made.select(key=pw.this.pair[0], value=pw.this.pair[1])
pw.io.kafka.write(
    pairs,
    {"bootstrap.servers": one.bootstrap, "linger.ms": "20", "compression.type": "lz4"},
    one.out,
    format="raw",
    key=pairs.key,
    value=pairs.value,
)


def ends() -> None:
    while not work.done:
        time.sleep(0.05)
    time.sleep(0.3)
    work.took()
    os._exit(0)


threading.Thread(target=ends, daemon=True).start()
pw.run(monitoring_level=pw.MonitoringLevel.NONE)
