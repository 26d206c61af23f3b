"""bytewax: its Kafka source and sink, flat_map in between, one worker."""

from __future__ import annotations

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.testing import run_main

from benchmarks.peers.work import Work, job

one = job()
work = Work(one)


def changes(message):  # type: ignore[no-untyped-def]
    return [KafkaSinkMessage(key, value) for key, value in work(message.topic, message.key, message.value)]


flow = Dataflow("peer")
source = KafkaSource([one.bootstrap], one.topics, tail=False, batch_size=4000)
messages = op.input("in", flow, source)
made = op.flat_map("map", messages, changes)
op.output(
    "out",
    made,
    KafkaSink(
        [one.bootstrap],
        one.out,
        add_config={"linger.ms": "20", "compression.type": "lz4", "queue.buffering.max.messages": "500000"},
    ),
)
run_main(flow)
work.took()
