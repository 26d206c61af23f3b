"""The native stack as a user meets it: it starts, keeps its data, and says clearly what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.errors import EnvironmentFault
from streams.stack import processes
from streams.stack.native import NativeStack
from streams.stack.server import port_is_free
from tests.conftest import stack_settings

SCHEMA = json.dumps({"type": "record", "name": "Kept", "fields": [{"name": "id", "type": "string"}]})


@pytest.fixture(scope="module")
def own() -> Iterator[NativeStack]:
    """A stack that these tests may stop and break."""
    folder = Path(tempfile.mkdtemp(prefix="opshub-own-"))
    stack = NativeStack(stack_settings(folder), end_with_parent=True)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


def hub(stack: NativeStack) -> psycopg.Connection:
    return psycopg.connect(stack.settings.hub, autocommit=True, connect_timeout=10)


def admin_of(stack: NativeStack, system: str) -> psycopg.Connection:
    env = stack.env()
    return psycopg.connect(
        host=env[f"{system}_HOST"],
        port=env[f"{system}_PORT"],
        dbname=env[f"{system}_DATABASE"],
        user=env[f"{system}_ADMIN_USER"],
        password=env[f"{system}_ADMIN_PASSWORD"],
        autocommit=True,
    )


def first_record(stack: NativeStack, topic: str) -> bytes:
    consumer = Consumer({"bootstrap.servers": stack.settings.kafka, "group.id": "reader", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        end = time.monotonic() + 60
        while time.monotonic() < end:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                return message.value()
    finally:
        consumer.close()
    raise AssertionError(f"nothing came from {topic}")


def test_every_server_is_healthy(own: NativeStack) -> None:
    status = own.status()
    assert [server.name for server in status] == ["crm", "erp", "hub", "kafka", "connect", "registry"]
    assert all(server.healthy and server.pid for server in status)
    plugins = httpx.get(f"{own.settings.connect}/connector-plugins").json()
    found = {plugin["class"]: plugin["version"] for plugin in plugins}
    assert found["io.debezium.connector.postgresql.PostgresConnector"] == "3.7.0.Final"


def test_passwords_are_needed_and_private(own: NativeStack) -> None:
    assert stat.S_IMODE((own.settings.state_dir / "env").stat().st_mode) == 0o600
    env = own.env()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(host=env["DEMO_CRM_HOST"], port=env["DEMO_CRM_PORT"], user="postgres", password="guess")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(
            host=str(own.settings.state_dir / "data/crm/socket"), port=env["DEMO_CRM_PORT"], user="postgres"
        )


def test_a_connector_reads_its_password_from_the_environment(own: NativeStack) -> None:
    with admin_of(own, "DEMO_CRM") as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS thing (id int PRIMARY KEY, name text)")
        connection.execute("INSERT INTO thing VALUES (1, 'one') ON CONFLICT DO NOTHING")
    config = {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "topic.prefix": "own",
        "plugin.name": "pgoutput",
        "database.hostname": "${env:DEMO_CRM_HOST}",
        "database.port": "${env:DEMO_CRM_PORT}",
        "database.dbname": "${env:DEMO_CRM_DATABASE}",
        "database.user": "${env:DEMO_CRM_ADMIN_USER}",
        "database.password": "${env:DEMO_CRM_ADMIN_PASSWORD}",
        "table.include.list": "public.thing",
        "topic.creation.default.replication.factor": "1",
        "topic.creation.default.partitions": "1",
    }
    answer = httpx.put(f"{own.settings.connect}/connectors/own/config", json=config, timeout=30)
    assert answer.is_success, answer.text
    assert own.env()["DEMO_CRM_ADMIN_PASSWORD"] not in httpx.get(f"{own.settings.connect}/connectors/own").text
    event = json.loads(first_record(own, "own.public.thing"))
    assert event["op"] == "r"
    assert event["after"] == {"id": 1, "name": "one"}
    httpx.delete(f"{own.settings.connect}/connectors/own", timeout=30).raise_for_status()


def test_down_and_up_keeps_rows_records_and_schemas(own: NativeStack) -> None:
    with hub(own) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (note text)")
        connection.execute("INSERT INTO kept VALUES ('still here')")
    admin = AdminClient({"bootstrap.servers": own.settings.kafka})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(10)
    producer = Producer({"bootstrap.servers": own.settings.kafka})
    producer.produce("kept", b"still here")
    assert producer.flush(10) == 0
    subject = f"{own.settings.registry}/subjects/kept-value/versions"
    number = httpx.post(subject, json={"schema": SCHEMA}, timeout=20).raise_for_status().json()["id"]
    before = {server.name: server.pid for server in own.status()}

    own.down()
    assert all(server.pid is None and port_is_free("127.0.0.1", server.port) for server in own.status())
    began = time.monotonic()
    after = own.up()
    assert time.monotonic() - began < 60  # some 14 s on two idle cores
    assert all(server.healthy and server.pid != before[server.name] for server in after)

    with hub(own) as connection:
        assert connection.execute("SELECT note FROM kept").fetchone() == ("still here",)
    assert first_record(own, "kept") == b"still here"
    kept = httpx.get(f"{own.settings.registry}/schemas/ids/{number}", timeout=20).raise_for_status().json()
    assert json.loads(kept["schema"]) == json.loads(SCHEMA)


def test_up_again_leaves_what_runs_alone(own: NativeStack) -> None:
    before = own.status()
    assert own.up() == before


def test_a_killed_server_is_seen_and_started_again(own: NativeStack) -> None:
    with hub(own) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS survivor (note text)")
        connection.execute("INSERT INTO survivor VALUES ('committed')")
    own.kill("hub", signal.SIGKILL)
    assert [server.name for server in own.status() if server.pid is None] == ["hub"]
    own.start("hub")
    with hub(own) as connection:
        assert connection.execute("SELECT note FROM survivor").fetchone() == ("committed",)


def test_a_taken_port_is_named_and_nothing_is_left_running(state_dir: Path) -> None:
    settings = stack_settings(state_dir)
    with socket.create_server(("127.0.0.1", settings.kafka_port)), pytest.raises(EnvironmentFault) as fault:
        NativeStack(settings).up()
    assert str(settings.kafka_port) in str(fault.value)
    assert "OPSHUB_KAFKA_PORT" in fault.value.remedy
    assert fault.value.exit_code == 3
    assert all(server.pid is None for server in NativeStack(settings).status())


def test_a_server_that_dies_is_reported_with_its_log_and_the_others_are_ended(state_dir: Path) -> None:
    settings = stack_settings(state_dir)
    storage = state_dir / "data" / "kafka" / "log"
    storage.mkdir(parents=True)
    (storage / "meta.properties").write_text("version=1\nnode.id=77\ncluster.id=xxxxxxxxxxxxxxxxxxxxxx\n")
    with pytest.raises(EnvironmentFault) as fault:
        NativeStack(settings, end_with_parent=True).up()
    assert "kafka ended while it started" in str(fault.value)
    assert "77" in str(fault.value)  # the log's own words: the stored node id is 77
    status = NativeStack(settings).status()
    assert all(server.pid is None and port_is_free("127.0.0.1", server.port) for server in status)
    NativeStack(settings).down()


def test_a_folder_that_cannot_be_written_is_named(state_dir: Path) -> None:
    (state_dir / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="cannot be written") as fault:
        NativeStack(stack_settings(state_dir / "file" / "state")).up()
    assert "OPSHUB_STATE_DIR" in fault.value.remedy


def test_an_interrupted_start_leaves_nothing_running(state_dir: Path) -> None:
    settings = stack_settings(state_dir)
    variables = {f"OPSHUB_{name.upper()}": str(getattr(settings, name)) for name in vars(settings) if "port" in name}
    command = [sys.executable, "-m", "streams.cli", "up", "--state-dir", str(state_dir)]
    pipe = subprocess.PIPE
    # A shell has what it starts in the background ignore SIGINT, and children inherit that; a handler they do not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, env=dict(os.environ) | variables, stderr=pipe, stdout=pipe, text=True) as starting:
        while not (state_dir / "run" / "kafka.json").exists() and starting.poll() is None:
            time.sleep(0.05)
        started = processes.read_records(state_dir / "run")
        starting.send_signal(signal.SIGINT)
        _, errors = starting.communicate(timeout=60)
    try:
        assert starting.returncode == 130, errors
        assert started
        assert not any(processes.is_alive(record) for record in started)
        assert processes.read_records(state_dir / "run") == []
    finally:
        NativeStack(settings).down()
