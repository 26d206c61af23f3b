"""Stock Faust: an agent over raw bytes, records one at a time, produced with send_soon; nothing of opshub's
transport.
"""

from __future__ import annotations

import asyncio
import os
import time

import faust

from benchmarks.peers.work import Work, job

one = job()
work = Work(one)
app = faust.App(
    f"peer-faust-{time.time_ns()}", broker=f"kafka://{one.bootstrap}", value_serializer="raw", key_serializer="raw", store="memory://",
    web_enabled=False, topic_disable_leader=True, consumer_auto_offset_reset="earliest", stream_buffer_maxsize=16_384,
    producer_linger=0.02, producer_max_batch_size=262_144, producer_compression_type="lz4", datadir=f"/tmp/peer-faust-{os.getpid()}",
)  # fmt: skip
source = app.topic(*one.topics, value_serializer="raw", key_serializer="raw")
out = app.topic(one.out, value_serializer="raw", key_serializer="raw")


@app.agent(source)
async def ingest(stream):  # type: ignore[no-untyped-def]
    async for event in stream.events():
        for key, value in work(event.message.topic, event.message.key, event.message.value):
            await out.send(key=key, value=value)
        if work.done:
            await app.producer.flush()
            work.took()
            os._exit(0)


async def main() -> None:
    app.loop = asyncio.get_running_loop()
    await app.start()
    await app.wait_until_stopped()


asyncio.run(main())
