"""A helpdesk that is read into a hub and a Kafka of its own topics, without workers: what raw records come of it."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import TopicPartition

from streams.hub.migrate import migrate
from streams.hub.sources import SourceRead, source_reads
from streams.kafka.clients import reading_consumer
from streams.kafka.offsets import topic_offsets
from streams.provision.systems import System, load_systems
from streams.provision.topics import create_topics, missing_topics
from streams.settings import Settings
from streams.sources.feeds import FeedSystem, load_feeds
from streams.sources.reader import SystemReader, hub_connection
from streams.sources.sender import Sender
from streams.stack.native import NativeStack
from tests.integration.helpdesk import SECRET, Helpdesk

FIXTURE = Path(__file__).parents[1] / "fixtures/connectors/helpdesk"
WEBHOOK_SECRET = "hook-secret"


class FeedPlace:
    """One helpdesk system under a name of its own, so that tests of a session do not meet."""

    def __init__(self, stack: NativeStack, helpdesk: Helpdesk, folder: Path) -> None:
        self.helpdesk = helpdesk
        self.name = f"desk{uuid.uuid4().hex[:8]}"
        self.files = folder / "files"
        self.files.mkdir()
        made = folder / "connectors" / self.name
        shutil.copytree(FIXTURE, made)
        for name in ("dictionary.yaml", "source.yaml"):
            text = (made / name).read_text("utf-8").replace("system: helpdesk", f"system: {self.name}")
            (made / name).write_text(text, "utf-8")
        os.environ |= {
            "HELPDESK_URL": helpdesk.url, "HELPDESK_CLIENT_SECRET": SECRET, "HELPDESK_FILES": str(self.files),
            "HELPDESK_WEBHOOK_SECRET": WEBHOOK_SECRET,
        }  # fmt: skip
        usual = stack.settings
        database = f"feeds_{self.name}"
        admin = stack.env()["OPSHUB_HUB_ADMIN_PASSWORD"]
        with psycopg.connect(
            psycopg.conninfo.make_conninfo(usual.hub, user="postgres", password=admin, dbname="postgres"),
            autocommit=True,
        ) as server:
            server.execute(f"CREATE DATABASE {database} OWNER opshub")  # type: ignore[arg-type]
        dsn = psycopg.conninfo.make_conninfo(usual.hub, dbname=database)
        migrate(dsn)
        self.settings: Settings = usual.model_copy(
            update={"hub_dsn": dsn, "connectors_dir": folder / "connectors", "systems": [self.name]}
        )
        (self.system,) = load_systems(self.settings)
        create_topics(self.settings, {
            topic: config for topic, config in missing_topics(self.settings, [self.system]).items() if self.name in topic
        })  # fmt: skip
        self.sender = Sender(dsn, usual.kafka)

    @property
    def feed(self) -> FeedSystem:
        return load_feeds(self.settings, [self.system])[0]

    def reader(self, holder: str = "reader") -> SystemReader:
        return SystemReader(self.feed, self.settings.hub, holder, self.sender, Counter())

    def read(self, table: str) -> SourceRead:
        with hub_connection(self.settings.hub) as hub:
            return source_reads(hub, [self.name])[self.name, f"helpdesk.{table}"]

    def records(self, table: str) -> list[dict[str, Any]]:
        """The values of all raw records of a table, in the order of their positions; the key as `_key`."""
        topic = self.system.topic(f"helpdesk.{table}")
        ends = {tp: end for tp, (first, end) in topic_offsets(self.settings.kafka, [topic]).items() if end > first}
        consumer = reading_consumer(self.settings.kafka, "feed-tests", **{"auto.offset.reset": "earliest"})
        records = []
        try:
            consumer.assign([TopicPartition(*tp, 0) for tp in ends])
            for _ in range(sum(ends.values())):
                message = consumer.poll(20)
                assert message is not None and message.error() is None
                value, key = message.value(), message.key()
                assert value is not None
                records.append(json.loads(value) | {"_key": None if key is None else json.loads(key)})
        finally:
            consumer.close()
        return sorted(records, key=lambda record: record["source"]["position"])

    def live(self, table: str) -> dict[str, dict[str, Any]]:
        """Key → row, as a reader of the topic that goes by positions knows them."""
        rows: dict[str, dict[str, Any]] = {}
        for record in self.records(table):
            key = "|".join(record["_key"].values())
            if record["op"] == "d":
                del rows[key]
            else:
                rows[key] = record["after"]
        return rows


def due_now(place: FeedPlace) -> None:
    """Let every table be read at the next pass."""
    with hub_connection(place.settings.hub) as hub:
        hub.execute("UPDATE source_read SET wanted_at = clock_timestamp()")


def whole_now(place: FeedPlace) -> None:
    """Let every table be read as a whole."""
    with hub_connection(place.settings.hub) as hub:
        hub.execute("UPDATE source_read SET wanted_at = clock_timestamp(), whole_wanted = true")


__all__ = ["FeedPlace", "System", "due_now", "whole_now"]
