"""Schemas, writers and readers against a real registry and a real Kafka; the guide's own code among the readers."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from streams.emit import schema_registry as registry
from streams.emit.change_codec import encode_change
from streams.emit.consume import Consumed, consume
from streams.emit.read import TopicReader
from streams.emit.schema_registry import pending_schemas, register_all, subjects
from streams.emit.wire import output_maker
from streams.errors import ConfigError, DecodeError, EnvironmentFault
from streams.model import SalesOrder
from streams.model.change import Change
from streams.model.entities import avro_schema
from streams.paths import schemas_dir
from streams.settings import Settings
from streams.stack.native import NativeStack

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "consume.md"


@pytest.fixture(scope="module")
def settings(stack: NativeStack) -> Settings:
    return stack.settings


@pytest.fixture(scope="module")
def ids(settings: Settings) -> dict[str, int]:
    return register_all(settings.registry)


def make_topics(settings: Settings, *topics: str) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka})
    for topic, future in admin.create_topics([NewTopic(topic, 2, 1) for topic in topics]).items():
        try:
            future.result(20)
        except Exception as error:
            assert "ALREADY_EXISTS" in str(error) or "already exists" in str(error), topic


@pytest.fixture(scope="module")
def orders(settings: Settings, ids: dict[str, int]) -> Iterator[list[str]]:
    """Three sales orders on their topic, of which one is gone; their ids."""
    make_topics(settings, "canonical.sales_order", "canonical.invoice")
    message = output_maker(ids)
    found = [str(uuid.uuid4()) for _ in range(3)]
    producer = Producer({"bootstrap.servers": settings.kafka, "transactional.id": f"test-{uuid.uuid4()}"})
    producer.init_transactions(20)

    def send(*versions: tuple[str, int, dict[str, Any] | None]) -> None:
        for order_id, version, record in versions:
            topic, key, value, headers = message("sales_order", order_id, version, record)
            producer.produce(topic, value, key, headers=headers)

    producer.begin_transaction()
    send(*((order_id, 1, order(order_id, 1)) for order_id in found))
    send((found[2], 2, None))
    producer.commit_transaction(20)
    producer.begin_transaction()
    send((found[0], 9, order(found[0], 9)))
    producer.flush()
    producer.abort_transaction(20)
    yield found
    producer.begin_transaction()  # other tests compare the topics with the hub, which knows nothing of these
    send(*((order_id, 10, None) for order_id in found[:2]))
    producer.commit_transaction(20)


def order(order_id: str, version: int) -> dict[str, Any]:
    return {
        "id": order_id,
        "version": version,
        "sources": [{"system": "erp", "key": "7"}],
        "number": "SO-7",
        "gross_amount": 1190_5000,
        "currency": "EUR",
        "lines": [{"id": order_id, "line_no": 1, "quantity": 2_500000}],
    }


def of(records: Iterator[Consumed], wanted: list[str]) -> list[Consumed]:
    return [one for one in records if one.key in wanted]


# -- the registry


def test_every_subject_is_there_with_its_level(settings: Settings, ids: dict[str, int]) -> None:
    assert set(ids) == set(subjects())
    assert register_all(settings.registry) == ids
    assert pending_schemas(settings.registry) == []
    with httpx.Client(base_url=settings.registry) as client:
        for subject, path in subjects().items():
            assert client.get(f"/config/{subject}").json()["compatibilityLevel"] == "BACKWARD_TRANSITIVE"
            latest = client.get(f"/subjects/{subject}/versions/latest").json()
            assert json.loads(latest["schema"]) == json.loads(path.read_text(encoding="utf-8"))


def shipped_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, schema: dict[str, Any]) -> None:
    """As if the shipped schemas had this one, and nothing had been released."""
    folder = tmp_path / "schemas"
    shutil.copytree(schemas_dir(), folder, ignore=shutil.ignore_patterns("released"))
    (folder / f"{name}.avsc").write_text(json.dumps(schema), encoding="utf-8")
    monkeypatch.setattr(registry, "schemas_dir", lambda: folder)
    monkeypatch.setattr(registry, "require_compatible", lambda: None)


@pytest.mark.usefixtures("ids")
def test_a_schema_that_breaks_consumers_is_refused(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = copy.deepcopy(avro_schema("payment"))
    schema["fields"].append({"name": "fee", "type": "string", "doc": "Without a default."})
    shipped_with(tmp_path, monkeypatch, "payment", schema)
    for attempt in (pending_schemas, register_all):
        with pytest.raises(ConfigError) as caught:
            attempt(settings.registry)
        assert "payment.avsc for canonical.payment-value" in str(caught.value)
        assert "BACKWARD_TRANSITIVE" in caught.value.remedy


@pytest.mark.usefixtures("ids")
def test_a_schema_that_is_none_is_refused(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = copy.deepcopy(avro_schema("payment"))
    schema["fields"][0]["type"] = "nonsense"
    shipped_with(tmp_path, monkeypatch, "payment", schema)
    with pytest.raises(ConfigError, match=r"payment\.avsc for canonical\.payment-value"):
        register_all(settings.registry)


def test_a_new_optional_field_is_a_new_version_and_old_readers_go_on(
    settings: Settings, ids: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streams.emit.encode import encoder

    schema = copy.deepcopy(avro_schema("contact"))
    schema["fields"].append({"name": "fax", "type": ["null", "string"], "default": None, "doc": "Fax number."})
    shipped_with(tmp_path, monkeypatch, "contact", schema)
    assert pending_schemas(settings.registry) == [("canonical.contact-value", "evolve")]
    newer = register_all(settings.registry)["canonical.contact-value"]
    assert newer != ids["canonical.contact-value"]
    contact_id = str(uuid.uuid4())
    body = encoder("contact")({"id": contact_id, "version": 1, "sources": [], "first_name": "Ada"})
    value = b"\x00" + newer.to_bytes(4, "big") + body + b"\x02\x06123"
    reader = TopicReader(settings.registry, "canonical.contact")
    record = reader.decode(value)
    assert not isinstance(record, dict)
    assert (str(record.id), record.first_name) == (contact_id, "Ada")  # type: ignore[attr-defined]


def test_a_registry_that_is_away() -> None:
    with pytest.raises(EnvironmentFault, match="does not answer") as caught:
        register_all("http://127.0.0.1:9/apis/ccompat/v7")
    assert "OPSHUB_REGISTRY_URL" in caught.value.remedy


# -- readers


def test_consume_gives_typed_records_and_deletes(settings: Settings, orders: list[str]) -> None:
    read = consume(settings.kafka, settings.registry, "canonical.sales_order", start="beginning", follow=False)
    found = of(read, orders)
    assert sorted((one.version or 0, one.key or "") for one in found) == sorted(
        [(1, orders[0]), (1, orders[1]), (1, orders[2]), (2, orders[2])]
    )
    first = next(one for one in found if one.key == orders[0])
    assert isinstance(first.record, SalesOrder)
    assert first.record.gross_amount == Decimal("1190.5000")
    assert json.loads(first.to_json())["record"]["lines"][0]["quantity"] == "2.500000"
    assert next(one for one in found if one.version == 2).record is None


def test_consume_from_a_time_and_from_the_end(settings: Settings, orders: list[str]) -> None:
    topic = "canonical.sales_order"
    for start, count in ((datetime(2020, 1, 1, tzinfo=UTC), 4), (datetime(2100, 1, 1, tzinfo=UTC), 0), ("latest", 0)):
        read = consume(settings.kafka, settings.registry, topic, start=start, follow=False)  # type: ignore[arg-type]
        assert len(of(read, orders)) == count
    assert len(list(consume(settings.kafka, settings.registry, topic, start="beginning", most=2))) == 2


def test_consume_shows_changes_and_says_what_is_none(settings: Settings) -> None:
    topic = "changes.product"
    make_topics(settings, topic)
    producer = Producer({"bootstrap.servers": settings.kafka})
    key = str(uuid.uuid4())
    producer.produce(topic, encode_change(Change("change", "product", key, "erp", "1", fields={"sku": "A"})), key)
    producer.produce(topic, b'{"no": "avro"}', key)
    producer.produce(topic, b"\x00\x7f\xff\xff\xff", key)
    producer.flush(20)
    read = consume(settings.kafka, settings.registry, topic, start="beginning", follow=False)
    change, text, cut = of(read, [key])
    assert isinstance(change.record, dict)
    assert json.loads(change.to_json())["record"]["fields"] == {"sku": "A"}
    assert text.record is None
    assert "a change of version 123" in str(text.error)
    assert "not a change as schemas/change.avsc says" in str(cut.error)


def test_consume_says_what_is_no_avro(settings: Settings) -> None:
    topic = f"avro-{uuid.uuid4()}"
    make_topics(settings, topic)
    producer = Producer({"bootstrap.servers": settings.kafka})
    producer.produce(topic, b'{"no": "avro"}', "key")
    producer.produce(topic, b"\x00\x7f\xff\xff\xff", "key")
    producer.flush(20)
    text, unknown = consume(settings.kafka, settings.registry, topic, start="beginning", follow=False)
    assert text.record is None
    assert "does not begin with the byte 0" in str(text.error)
    assert "knows no schema 2147483647" in str(unknown.error)


def test_a_topic_that_is_not_there(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="there is no topic 'canonical.nothing'"):
        next(consume(settings.kafka, settings.registry, "canonical.nothing"))
    with pytest.raises(EnvironmentFault, match="Kafka does not answer"):
        next(consume("127.0.0.1:9", settings.registry, "canonical.customer"))


def test_a_value_that_is_cut_off(settings: Settings, ids: dict[str, int]) -> None:
    reader = TopicReader(settings.registry, "canonical.sales_order")
    value = output_maker(ids)("sales_order", str(uuid.uuid4()), 1, order(str(uuid.uuid4()), 1))[2]
    assert value is not None
    for wrong in (b"", b"\x00", value[:5], value[:60]):
        with pytest.raises(DecodeError):
            reader.decode(wrong)


def test_the_command(settings: Settings, orders: list[str]) -> None:
    environment = {
        "OPSHUB_BOOTSTRAP_SERVERS": settings.kafka,
        "OPSHUB_REGISTRY_URL": settings.registry,
        "PATH": "/usr/bin:/bin",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "streams.cli", "consume", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    told = run("sales_order", "--from", "beginning", "--no-follow", "--json")
    assert told.returncode == 0, told.stderr
    keys = [json.loads(line)["key"] for line in told.stdout.splitlines()]
    assert set(orders) <= set(keys)
    shown = run("canonical.sales_order", "--from", "beginning", "--no-follow")
    assert "gross_amount: 1190.5000" in shown.stdout
    assert "deleted" in shown.stdout
    assert run("nothing").returncode == 2
    wrong = run("sales_order", "--from", "yesterday")
    assert wrong.returncode == 2
    assert "neither beginning nor latest" in wrong.stderr


# -- the guide


def python_block(number: int) -> str:
    """The source of a Python block of the guide."""
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return str(blocks[number])


def test_the_guide_reads_with_the_avro_deserializer(
    settings: Settings, orders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSHUB_BOOTSTRAP_SERVERS", settings.kafka)
    monkeypatch.setenv("OPSHUB_REGISTRY_URL", settings.registry)
    latest: dict[str, SalesOrder | None] = {}
    names: dict[str, Any] = {"__name__": "guide"}
    exec(compile(python_block(0), GUIDE.name, "exec"), names)
    reading = names["sales_orders"](f"guide-{uuid.uuid4()}")
    changes = 0
    for key, record in reading:
        if key in orders:
            latest[key] = record
            changes += 1
        if changes == 4:
            break
    reading.close()
    assert latest[orders[2]] is None
    record = latest[orders[0]]
    assert record is not None
    assert record.gross_amount == Decimal("1190.5000")
    assert record.version == 1


@pytest.mark.usefixtures("orders")
def test_the_guides_own_faust_agent(settings: Settings, ids: dict[str, int], tmp_path: Path) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka})
    name = f"guide-{uuid.uuid4()}"
    record_ids = [str(uuid.uuid4()) for _ in range(3)]
    for record_id, status in zip(record_ids, ("open", "open", "paid"), strict=True):
        record = {"id": record_id, "version": 1, "sources": [], "status": f"{status} {name}"}
        topic, key, value, _ = output_maker(ids)("invoice", record_id, 1, record)
        producer.produce(topic, value, key)
    producer.flush(20)
    script = tmp_path / "agent.py"
    script.write_text(python_block(1).partition("if __name__")[0] + _UNTIL_COUNTED, encoding="utf-8")
    environment = {
        **os.environ,
        "OPSHUB_BOOTSTRAP_SERVERS": settings.kafka,
        "OPSHUB_REGISTRY_URL": settings.registry,
        "OPSHUB_APP_ID": name,
        "OPSHUB_WORKER_NAME": name,
        "PYTHONPATH": str(GUIDE.parents[2]),
    }
    told = subprocess.run(
        [sys.executable, str(script)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == {"open": 2, "paid": 1}
    for record_id in record_ids:
        topic, key, _, headers = output_maker(ids)("invoice", record_id, 2, None)
        producer.produce(topic, None, key, headers=headers)
    producer.flush(20)


_UNTIL_COUNTED = """
import json

NAME = Settings().app_id


def ours() -> dict:
    return {s.partition(" ")[0]: n for s, n in statuses.items() if s and s.endswith(NAME)}


async def until_counted() -> None:
    app = build(Settings())
    app.loop = asyncio.get_running_loop()
    await app.start()
    while sum(ours().values()) < 3:
        await asyncio.sleep(0.1)
    await app.stop()


asyncio.run(asyncio.wait_for(until_counted(), 180))
print(json.dumps(ours()))
"""
"""What a test adds to the guide's agent: it ends when the three invoices of this test were counted, among those of others."""
