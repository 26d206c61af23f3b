"""pathway: its Kafka connectors over raw bytes, one flattened UDF call a record.

The records' places are read too: without them pathway takes records that are alike for one with a count. It says
nothing of what is acknowledged, so the ends of the output topic tell; what it writes is again only once of what is
alike.
"""

from __future__ import annotations

import os
import threading
import time

import pathway as pw
from confluent_kafka import Consumer, TopicPartition

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
        settings, topic=name, format="raw", mode="streaming", autocommit_duration_ms=100, with_metadata=True
    ).select(value=pw.this.data, topic=name, place=pw.this._metadata)
    for name in one.topics
]
rows = tables[0].concat_reindex(*tables[1:]) if len(tables) > 1 else tables[0]


produced: list[int] = []


@pw.udf
def changes(topic: str, value: bytes, place: pw.Json) -> list[tuple[bytes, bytes]]:
    made = work(topic, None, value)
    produced.append(len(made))
    return made


made = rows.select(pair=changes(pw.this.topic, pw.this.value, pw.this.place)).flatten(pw.this.pair)
pairs = made.select(key=pw.this.pair[0], value=pw.this.pair[1])
pw.io.kafka.write(
    pairs,
    {"bootstrap.servers": one.bootstrap, "linger.ms": "20", "compression.type": "lz4"},
    one.out,
    format="raw",
    key=pairs.key,
    value=pairs.value,
)


def written(consumer: Consumer) -> int:
    partitions = consumer.list_topics(one.out, timeout=10).topics[one.out].partitions
    return sum(
        consumer.get_watermark_offsets(TopicPartition(one.out, partition), timeout=10)[1] for partition in partitions
    )


def ends() -> None:
    while not work.done:
        time.sleep(0.05)
    consumer = Consumer({"bootstrap.servers": one.bootstrap, "group.id": settings["group.id"]})
    # It writes what is alike once, so nobody knows how many records there will be: it has ended when no more come.
    seen, at, since = -1, work.now(), time.monotonic()
    while seen < sum(produced) and time.monotonic() - since < 3:
        if (count := written(consumer)) > seen:
            seen, at, since = count, work.now(), time.monotonic()
        time.sleep(0.05)
    work.took(at)
    os._exit(0)


threading.Thread(target=ends, daemon=True).start()
pw.run(monitoring_level=pw.MonitoringLevel.NONE)
